//! The window: what happens to it, what it shows.

use crate::audio::Sound;
use crate::controls::{Controls, HELP, Shortcut};
use crate::keys;
use crate::picture::{Canvas, Shared};
use crate::scale::{Scaling, place};
use nomad86::host::Host;
use nomad86_host::input::InputQueue;
use nomad86_host::screen::{Screen, State, Wish};
use sdl2::event::{Event, WindowEvent};
use sdl2::messagebox::{MessageBoxFlag, show_simple_message_box};
use sdl2::mouse::{MouseButton, MouseWheelDirection};
use sdl2::pixels::{Color, PixelFormatEnum};
use sdl2::rect::Rect;
use sdl2::render::{Texture, TextureCreator, WindowCanvas};
use sdl2::video::{FullscreenType, WindowContext};
use sdl2::{EventPump, Sdl, VideoSubsystem};
use std::time::{Duration, Instant};

/// How long the user may wait for an answer to what he does.
const PATIENCE: Duration = Duration::from_millis(8);
/// How long the title shows a message.
const MESSAGE: Duration = Duration::from_secs(4);
/// The window before the first picture: text of the VGA.
const FIRST_SIZE: (u32, u32) = (720, 400);

/// A window that shows a machine.
pub struct Window {
    sdl: Sdl,
    video: VideoSubsystem,
    events: EventPump,
    canvas: WindowCanvas,
    /// Textures borrow it; there is one window in a program, so that it may stay for good.
    creator: &'static TextureCreator<WindowContext>,
    texture: Option<Texture<'static>>,
    shared: Shared,
    controls: Controls,
    scaling: Scaling,
    /// Size of a pixel of the guest, as the user chose it.
    zoom: u32,
    /// Size that the window was last given for its picture; another one is the user's.
    fitted: (u32, u32),
    /// The window's contents are not what they should be.
    stale: bool,
    name: String,
    title: String,
    message: Option<(String, Instant)>,
    /// The power button was pressed for the user, who wants to close the window.
    closing: bool,
}

impl Window {
    /// Opens a window called `name` and plugs it into `host`: display, sound, and `input`.
    ///
    /// # Errors
    /// What SDL says, in one line.
    pub fn open(name: &str, host: &mut Host, input: InputQueue) -> Result<Self, String> {
        // Signals are the program's.
        sdl2::hint::set("SDL_NO_SIGNAL_HANDLERS", "1");
        sdl2::hint::set("SDL_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR", "0");
        let sdl = sdl2::init()?;
        let video = sdl.video()?;
        let window = video
            .window(name, FIRST_SIZE.0, FIRST_SIZE.1)
            .position_centered()
            .resizable()
            .allow_highdpi()
            .build()
            .map_err(|error| error.to_string())?;
        let mut canvas = window.into_canvas().build().map_err(|error| error.to_string())?;
        canvas.set_draw_color(Color::BLACK);
        let events = sdl.event_pump()?;
        // The window's keys are places, not text.
        video.text_input().stop();
        let shared = Shared::default();
        host.display = Box::new(Canvas::new(shared.clone()));
        if let Some(sound) = sdl.audio().ok().and_then(|audio| Sound::open(&audio)) {
            host.audio = Box::new(sound);
        }
        let creator = Box::leak(Box::new(canvas.texture_creator()));
        Ok(Self {
            sdl,
            video,
            events,
            canvas,
            creator,
            texture: None,
            shared,
            controls: Controls::new(input),
            scaling: Scaling::default(),
            zoom: 1,
            fitted: FIRST_SIZE,
            stale: true,
            name: name.to_owned(),
            title: String::new(),
            message: None,
            closing: false,
        })
    }

    fn event(&mut self, event: Event) -> Option<Wish> {
        match event {
            Event::Quit { .. } => return self.close(),
            Event::Window { win_event, .. } => match win_event {
                WindowEvent::Exposed | WindowEvent::SizeChanged(..) | WindowEvent::Restored => {
                    self.stale = true;
                }
                WindowEvent::FocusLost => {
                    self.controls.unfocus();
                    self.capture(false);
                }
                _ => {}
            },
            Event::KeyDown { scancode: Some(code), repeat, .. } => {
                let key = keys::key(code)?;
                let shortcut = self.controls.key(key, true)?;
                return if repeat { None } else { self.shortcut(shortcut) };
            }
            Event::KeyUp { scancode: Some(code), .. } => {
                self.controls.key(keys::key(code)?, false);
            }
            Event::MouseButtonDown { mouse_btn, .. } => {
                if self.controls.captured {
                    self.controls.button(bit(mouse_btn), true);
                } else if mouse_btn == MouseButton::Left {
                    self.capture(true);
                }
            }
            Event::MouseButtonUp { mouse_btn, .. } => self.controls.button(bit(mouse_btn), false),
            Event::MouseMotion { xrel, yrel, .. } => self.controls.moved(xrel, yrel, 0),
            Event::MouseWheel { y, direction, .. } => {
                let away = if direction == MouseWheelDirection::Flipped { -y } else { y };
                self.controls.moved(0, 0, -away);
            }
            Event::DropText { filename: text, .. } => self.controls.paste(&text),
            Event::RenderTargetsReset { .. } | Event::RenderDeviceReset { .. } => self.redraw(),
            _ => {}
        }
        None
    }

    fn shortcut(&mut self, shortcut: Shortcut) -> Option<Wish> {
        match shortcut {
            Shortcut::Capture => self.capture(!self.controls.captured),
            Shortcut::FullScreen => self.full_screen(),
            Shortcut::Scaling => {
                self.scaling = match self.scaling {
                    Scaling::Integer => Scaling::Smooth,
                    Scaling::Smooth => Scaling::Integer,
                };
                self.redraw();
            }
            Shortcut::Paste => match self.video.clipboard().clipboard_text() {
                Ok(text) if !text.is_empty() => self.controls.paste(&text),
                _ => self.tell("the clipboard has no text"),
            },
            Shortcut::Screenshot => return Some(Wish::Screenshot),
            Shortcut::Save => return Some(Wish::Save),
            Shortcut::Pause => return Some(Wish::Pause),
            Shortcut::Close => return self.close(),
            Shortcut::Help => {
                self.capture(false);
                let window = self.canvas.window();
                let _ = show_simple_message_box(MessageBoxFlag::INFORMATION, "nomad86", HELP, window);
            }
            Shortcut::Resize(by) => {
                self.zoom = match by {
                    0 => 1,
                    by => self.zoom.saturating_add_signed(by.into()).clamp(1, 8),
                };
                let mode = self.shared.0.borrow().mode;
                self.fit(mode.width, mode.height);
            }
        }
        None
    }

    /// First the guest is asked by its power button; whoever insists ends the machine.
    fn close(&mut self) -> Option<Wish> {
        if self.closing {
            return Some(Wish::Quit);
        }
        self.closing = true;
        self.controls.power_button();
        None
    }

    fn capture(&mut self, captured: bool) {
        if captured != self.controls.captured {
            self.controls.release();
            self.controls.captured = captured;
            self.sdl.mouse().set_relative_mouse_mode(captured);
            self.canvas.window_mut().set_keyboard_grab(captured);
        }
    }

    fn full_screen(&mut self) {
        let window = self.canvas.window_mut();
        let other = match window.fullscreen_state() {
            FullscreenType::Off => FullscreenType::Desktop,
            _ => FullscreenType::Off,
        };
        if let Err(error) = window.set_fullscreen(other) {
            self.tell(&error);
        }
        self.stale = true;
    }

    /// Has the whole picture drawn again.
    fn redraw(&mut self) {
        self.texture = None;
        let mut picture = self.shared.0.borrow_mut();
        picture.dirty = Some((0, picture.mode.height));
    }

    /// Makes the window as large as a picture of this size, unless the desktop gave it its size.
    fn fit(&mut self, width: u32, height: u32) {
        let window = self.canvas.window_mut();
        if width > 0 && window.fullscreen_state() == FullscreenType::Off && !window.is_maximized() {
            self.fitted = (width * self.zoom, height * self.zoom);
            let _ = window.set_size(self.fitted.0, self.fitted.1);
        }
        self.stale = true;
    }

    /// Shows what the machine has drawn since the last time.
    fn draw(&mut self) -> Result<(), String> {
        let dirty = self.shared.0.borrow_mut().dirty.take();
        if let Some((first, end)) = dirty {
            self.update(first, end)?;
            self.stale = true;
        }
        if !std::mem::take(&mut self.stale) {
            return Ok(());
        }
        self.canvas.clear();
        if let Some(texture) = &self.texture {
            let query = texture.query();
            let at = place((query.width, query.height), self.canvas.output_size()?, self.scaling);
            self.canvas.copy(texture, None, Rect::new(at.x, at.y, at.width, at.height))?;
        }
        self.canvas.present();
        Ok(())
    }

    /// Brings changed rows into the texture, which is a new one after a change of mode.
    fn update(&mut self, first: u32, end: u32) -> Result<(), String> {
        let shared = self.shared.clone();
        let picture = shared.0.borrow();
        let (width, height) = (picture.mode.width, picture.mode.height);
        let size = self.texture.as_ref().map(Texture::query).map(|query| (query.width, query.height));
        let (mut first, mut end) = (first, end);
        if size != Some((width, height)) {
            let quality = if self.scaling == Scaling::Smooth { "best" } else { "nearest" };
            sdl2::hint::set("SDL_RENDER_SCALE_QUALITY", quality);
            let texture = self.creator.create_texture_streaming(PixelFormatEnum::RGB888, width, height);
            self.texture = Some(texture.map_err(|error| error.to_string())?);
            (first, end) = (0, height);
            if self.canvas.window().size() == self.fitted {
                self.fit(width, height);
            }
        }
        let Some(texture) = &mut self.texture else { return Ok(()) };
        let row = width as usize;
        let rows = picture.pixels.get(first as usize * row..end as usize * row).unwrap_or_default();
        let at = Rect::new(0, first as i32, width, end.saturating_sub(first));
        texture.update(at, bytemuck::cast_slice(rows), row * 4).map_err(|error| error.to_string())
    }

    fn show_title(&mut self, state: State) {
        if self.message.as_ref().is_some_and(|(_, since)| since.elapsed() > MESSAGE) {
            self.message = None;
        }
        let state = match state {
            _ if self.closing => "power button pressed; close again to end it",
            State::Running => "running",
            State::Paused => "stopped, Ctrl-Alt-Space lets it go on",
            State::Halted => "halted with interrupts off",
        };
        let mouse =
            if self.controls.captured { "Ctrl-Alt-G releases the mouse" } else { "Ctrl-Alt-H shows keys" };
        let title = match &self.message {
            Some((message, _)) => format!("{} - {message}", self.name),
            None => format!("{} - {state} - {mouse}", self.name),
        };
        if title != self.title {
            let _ = self.canvas.window_mut().set_title(&title);
            self.title = title;
        }
    }
}

/// The machine's bit for a mouse button.
const fn bit(button: MouseButton) -> u8 {
    match button {
        MouseButton::Left => 1,
        MouseButton::Right => 2,
        MouseButton::Middle => 4,
        MouseButton::X1 => 8,
        MouseButton::X2 => 16,
        MouseButton::Unknown => 0,
    }
}

impl Screen for Window {
    fn turn(&mut self, state: State) -> Option<Wish> {
        let mut wish = None;
        while wish.is_none()
            && let Some(event) = self.events.poll_event()
        {
            wish = self.event(event);
        }
        if let Err(error) = self.draw() {
            self.tell(&error);
        }
        self.show_title(state);
        wish
    }

    fn tell(&mut self, message: &str) {
        self.message = Some((message.to_owned(), Instant::now()));
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }
}
