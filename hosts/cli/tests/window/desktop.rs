//! An X server of our own, without a screen, and a user at its keyboard and mouse.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ClientMessageEvent, ConnectionExt as _, CreateWindowAux, EventMask, ImageFormat,
    InputFocus, PropMode, SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, Window, WindowClass,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

const KEY_PRESS: u8 = 2;
const KEY_RELEASE: u8 = 3;
const BUTTON_PRESS: u8 = 4;
const BUTTON_RELEASE: u8 = 5;
const MOTION: u8 = 6;

/// Codes of keys by place, as Linux numbers them plus 8.
pub(crate) mod place {
    pub(crate) const CONTROL: u8 = 37;
    pub(crate) const SHIFT: u8 = 50;
    pub(crate) const ALT: u8 = 64;
    pub(crate) const ENTER: u8 = 36;
    pub(crate) const G: u8 = 42;
    pub(crate) const I: u8 = 31;
    pub(crate) const P: u8 = 33;
    pub(crate) const S: u8 = 39;
    pub(crate) const V: u8 = 55;
    pub(crate) const EQUAL: u8 = 21;
    pub(crate) const SPACE: u8 = 65;
}

/// Rows of a US keyboard, plain and with Shift, with the code of their first key.
const ROWS: [(u8, &str, &str); 5] = [
    (10, "1234567890-=", "!@#$%^&*()_+"),
    (24, "qwertyuiop[]", "QWERTYUIOP{}"),
    (38, "asdfghjkl;'`", "ASDFGHJKL:\"~"),
    (51, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (65, " ", " "),
];

/// Waits until `look` finds something.
pub(crate) fn wait<T>(what: &str, seconds: u64, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(seconds), "no {what} within {seconds} s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) struct Desktop {
    server: Child,
    manager: Option<Child>,
    pub(crate) name: String,
    x: RustConnection,
    root: Window,
}

impl Drop for Desktop {
    fn drop(&mut self) {
        for child in self.manager.iter_mut().chain([&mut self.server]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Desktop {
    /// Starts an X server; `None` where there is none.
    pub(crate) fn start() -> Option<Self> {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1600x1000x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        let name = format!(":{}", number.trim());
        let (x, screen) = x11rb::connect(Some(&name)).unwrap();
        let root = x.setup().roots[screen].root;
        Some(Self { server, manager: None, name, x, root })
    }

    fn atom(&self, name: &str) -> Atom {
        self.x.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom
    }

    /// The title of a window.
    pub(crate) fn title(&self, window: Window) -> String {
        let name = self.atom("_NET_WM_NAME");
        let reply = self.x.get_property(false, window, name, AtomEnum::ANY, 0, 1024).unwrap().reply();
        reply.map(|reply| String::from_utf8_lossy(&reply.value).into_owned()).unwrap_or_default()
    }

    /// Starts a window manager; whether there is one. SDL asks one for the whole screen.
    pub(crate) fn manage(&mut self) -> bool {
        let manager = Command::new("openbox")
            .arg("--sm-disable")
            .env("DISPLAY", &self.name)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.manager = manager.ok();
        if self.manager.is_some() {
            // It has taken the windows that were there: a new one is not overlooked any more.
            let list = self.atom("_NET_CLIENT_LIST");
            wait("window manager", 20, || {
                let found =
                    self.x.get_property(false, self.root, list, AtomEnum::WINDOW, 0, 0).unwrap().reply();
                (found.unwrap().format == 32).then_some(())
            });
        }
        self.manager.is_some()
    }

    /// A property that is a list of windows.
    fn windows(&self, of: Window, name: Atom) -> Vec<Window> {
        let reply = self.x.get_property(false, of, name, AtomEnum::WINDOW, 0, 64).unwrap().reply().unwrap();
        reply.value32().into_iter().flatten().collect()
    }

    /// Waits for the machine's window under a window manager, which gives it the keyboard.
    pub(crate) fn managed(&self) -> Window {
        let (list, active) = (self.atom("_NET_CLIENT_LIST"), self.atom("_NET_ACTIVE_WINDOW"));
        wait("window", 60, || {
            let window = self.windows(self.root, list).pop()?;
            (self.windows(self.root, active) == [window]).then_some(window)
        })
    }

    /// Waits for the machine's window and gives it the keyboard, as a window manager would.
    pub(crate) fn window(&self) -> Window {
        let window = wait("window", 60, || {
            let tree = self.x.query_tree(self.root).unwrap().reply().unwrap();
            tree.children.into_iter().find(|window| self.title(*window).starts_with("nomad86 -"))
        });
        self.x.set_input_focus(InputFocus::PARENT, window, x11rb::CURRENT_TIME).unwrap();
        self.x.sync().unwrap();
        window
    }

    fn fake(&self, kind: u8, detail: u8, x: i16, y: i16) {
        self.x.xtest_fake_input(kind, detail, 0, self.root, x, y, 0).unwrap();
        self.x.sync().unwrap();
        std::thread::sleep(Duration::from_millis(4));
    }

    /// Gives the user a French keyboard: Q and A, W and Z have changed places on it.
    pub(crate) fn french(&self) {
        const LATIN: u32 = 0x60;
        for (key, letter) in [(24, b'a'), (38, b'q'), (25, b'z'), (52, b'w')] {
            let small = u32::from(letter);
            self.x.change_keyboard_mapping(1, key, 2, &[small, small - (LATIN - 0x40)]).unwrap();
        }
        self.x.sync().unwrap();
        let map = self.x.get_keyboard_mapping(24, 1).unwrap().reply().unwrap();
        assert_eq!(map.keysyms[0], u32::from(b'a'));
    }

    /// Moves the mouse by so much.
    pub(crate) fn move_by(&self, dx: i16, dy: i16) {
        self.fake(MOTION, 1, dx, dy);
    }

    /// Presses or lets go of a mouse button: 1 left, 2 middle, 3 right.
    pub(crate) fn button(&self, number: u8, pressed: bool) {
        self.fake(if pressed { BUTTON_PRESS } else { BUTTON_RELEASE }, number, 0, 0);
    }

    /// Presses keys in order, and lets go in the opposite one.
    pub(crate) fn chord(&self, keys: &[u8]) {
        keys.iter().for_each(|key| self.fake(KEY_PRESS, *key, 0, 0));
        keys.iter().rev().for_each(|key| self.fake(KEY_RELEASE, *key, 0, 0));
    }

    /// Types a text, key by key.
    pub(crate) fn type_text(&self, text: &str) {
        for c in text.chars() {
            if c == '\n' {
                self.chord(&[place::ENTER]);
                continue;
            }
            let (row, column, shift) = ROWS
                .iter()
                .find_map(|(row, plain, shifted)| {
                    let at = |keys: &str| keys.chars().position(|key| key == c);
                    at(plain).map(|n| (row, n, false)).or_else(|| at(shifted).map(|n| (row, n, true)))
                })
                .unwrap();
            let key = row + column as u8;
            if shift { self.chord(&[place::SHIFT, key]) } else { self.chord(&[key]) }
        }
    }

    /// Clicks into the middle of a window.
    pub(crate) fn click(&self, window: Window) {
        let at = self.x.get_geometry(window).unwrap().reply().unwrap();
        let middle = |start: i16, size: u16| start + size as i16 / 2;
        self.x
            .warp_pointer(x11rb::NONE, self.root, 0, 0, 0, 0, middle(at.x, at.width), middle(at.y, at.height))
            .unwrap();
        self.fake(BUTTON_PRESS, 1, 0, 0);
        self.fake(BUTTON_RELEASE, 1, 0, 0);
    }

    /// What a window shows: width and `0x00RRGGBB`.
    pub(crate) fn picture(&self, window: Window) -> (usize, Vec<u32>) {
        let at = self.x.get_geometry(window).unwrap().reply().unwrap();
        let image = self.x.get_image(ImageFormat::Z_PIXMAP, window, 0, 0, at.width, at.height, !0).unwrap();
        let bytes = image.reply().unwrap().data;
        let pixels = bytes.chunks(4).map(|pixel| u32::from_le_bytes(pixel.try_into().unwrap()) & 0xFF_FFFF);
        (at.width.into(), pixels.collect())
    }

    /// Asks a window to close, as the cross in its frame does.
    pub(crate) fn close(&self, window: Window) {
        let data = [self.atom("WM_DELETE_WINDOW"), 0, 0, 0, 0];
        let event = ClientMessageEvent::new(32, window, self.atom("WM_PROTOCOLS"), data);
        self.x.send_event(false, window, EventMask::NO_EVENT, event).unwrap();
        self.x.sync().unwrap();
    }

    /// Has `text` in the clipboard, and calls `paste`, until somebody has taken it.
    pub(crate) fn clipboard(&self, text: &str, paste: impl FnOnce()) {
        let (own, clipboard, utf8) =
            (self.x.generate_id().unwrap(), self.atom("CLIPBOARD"), self.atom("UTF8_STRING"));
        let aux = CreateWindowAux::new();
        self.x.create_window(0, own, self.root, 0, 0, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &aux).unwrap();
        self.x.set_selection_owner(own, clipboard, x11rb::CURRENT_TIME).unwrap();
        self.x.sync().unwrap();
        paste();
        wait("request for the clipboard", 20, || {
            let Some(Event::SelectionRequest(request)) = self.x.poll_for_event().unwrap() else {
                return None;
            };
            let is_text = request.target == utf8;
            if is_text {
                self.x
                    .change_property8(
                        PropMode::REPLACE,
                        request.requestor,
                        request.property,
                        utf8,
                        text.as_bytes(),
                    )
                    .unwrap();
            }
            let event = SelectionNotifyEvent {
                response_type: SELECTION_NOTIFY_EVENT,
                sequence: 0,
                time: request.time,
                requestor: request.requestor,
                selection: request.selection,
                target: request.target,
                property: if is_text { request.property } else { x11rb::NONE },
            };
            self.x.send_event(false, request.requestor, EventMask::NO_EVENT, event).unwrap();
            self.x.sync().unwrap();
            is_text.then_some(())
        });
    }
}
