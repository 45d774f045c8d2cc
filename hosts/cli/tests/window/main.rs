//! The window on an X server of the test's own: pictures, sound, keys, clipboard, closing.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

mod desktop;
mod firmware;
mod sound;

use desktop::{Desktop, place, wait};
use firmware::Firmware;

/// A machine in a window.
struct Run {
    child: Child,
    folder: PathBuf,
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Run {
    /// Starts one in a folder of its own.
    fn start(name: &str, desktop: &Desktop, arguments: &[&str], files: &[(&str, Vec<u8>)]) -> Self {
        let folder = std::env::temp_dir().join(format!("nomad86-window-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (file, bytes) in files {
            std::fs::write(folder.join(file), bytes).unwrap();
        }
        let child = Command::new(env!("CARGO_BIN_EXE_nomad86"))
            .args(["run", "--display", "sdl"])
            .args(arguments)
            .current_dir(&folder)
            .env("DISPLAY", &desktop.name)
            .env("SDL_VIDEODRIVER", "x11")
            .env("SDL_AUDIODRIVER", "disk")
            .env("SDL_DISKAUDIOFILE", folder.join("sound.raw"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn end(&mut self, seconds: u64) -> ExitStatus {
        wait("end of the machine", seconds, || self.child.try_wait().unwrap())
    }

    /// Files that were written on demand, by the end of their names; those are whole.
    fn files(&self, end: &str) -> Vec<PathBuf> {
        let files = std::fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|found| found == end)).collect()
    }
}

macro_rules! desktop {
    () => {
        match Desktop::start() {
            Some(desktop) => desktop,
            None => {
                eprintln!("SKIPPED: there is no Xvfb (Debian: apt-get install xvfb)");
                assert!(std::env::var_os("CI").is_none(), "CI must have Xvfb");
                return;
            }
        }
    };
}

fn png(path: &Path) -> (usize, Vec<u32>) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    let pixel = |c: &[u8]| u32::from_be_bytes([0, c[0], c[1], c[2]]);
    (info.width as usize, bytes.chunks(3).map(pixel).collect())
}

/// Each pixel as a block of `times` by `times`.
fn blow_up((width, pixels): &(usize, Vec<u32>), times: usize) -> (usize, Vec<u32>) {
    let rows = pixels.chunks(*width).flat_map(|row| {
        let wide: Vec<u32> = row.iter().flat_map(|pixel| std::iter::repeat_n(*pixel, times)).collect();
        std::iter::repeat_n(wide, times)
    });
    (width * times, rows.flatten().collect())
}

#[test]
fn the_window_shows_what_the_machine_draws() {
    let desktop = desktop!();
    let image = Firmware::new().power_button().picture();
    let mut run = Run::start("picture", &desktop, &["--bios", "test.bin"], &[("test.bin", image.image())]);
    let window = desktop.window();
    wait("picture of many colours", 20, || {
        let (width, pixels) = desktop.picture(window);
        let colors: std::collections::HashSet<u32> = pixels.into_iter().collect();
        (width == 320 && colors.len() > 10_000).then_some(())
    });
    desktop.chord(&[place::CONTROL, place::ALT, place::P]);
    let file = wait("screenshot", 20, || run.files("png").pop());
    wait("message in the title", 5, || desktop.title(window).contains("the screen is in").then_some(()));
    let taken = png(&file);
    wait("the same picture in the window", 10, || (desktop.picture(window) == taken).then_some(()));
    // Twice as large, each pixel is four.
    desktop.chord(&[place::CONTROL, place::ALT, place::EQUAL]);
    wait("picture of twice the size", 10, || (desktop.picture(window) == blow_up(&taken, 2)).then_some(()));

    // A smooth picture has the shape of a monitor: 533 by 400 in the middle of 640 by 400.
    desktop.chord(&[place::CONTROL, place::ALT, place::I]);
    wait("a smooth picture", 20, || {
        let (width, pixels) = desktop.picture(window);
        let row = &pixels[200 * width..201 * width];
        let dark = |part: &[u32]| part.iter().all(|pixel| *pixel == 0);
        (dark(&row[..52]) && dark(&row[588..]) && !dark(&row[56..64]) && !dark(&row[576..584])).then_some(())
    });
    desktop.chord(&[place::CONTROL, place::ALT, place::I]);
    wait("whole multiples again", 20, || (desktop.picture(window) == blow_up(&taken, 2)).then_some(()));

    // The state that a key saves has the same picture in it.
    desktop.chord(&[place::CONTROL, place::ALT, place::S]);
    let state = wait("state image", 20, || run.files("state").pop());
    wait("message in the title", 5, || desktop.title(window).contains("state").then_some(()));
    let restored = Command::new(env!("CARGO_BIN_EXE_nomad86"))
        .args(["run", "--display", "none", "--timeout", "1", "--screenshot"])
        .arg(run.file("restored.shot"))
        .arg("--restore")
        .arg(state)
        .output()
        .unwrap();
    assert!(run.file("restored.shot").exists(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert!(png(&run.file("restored.shot")) == taken, "the restored machine shows something else");

    // A click gives the guest the mouse, Ctrl-Alt-G takes it back.
    let told = |text: &str| wait(text, 15, || desktop.title(window).contains(text).then_some(()));
    told("Ctrl-Alt-H shows keys");
    desktop.click(window);
    told("Ctrl-Alt-G releases the mouse");
    desktop.chord(&[place::CONTROL, place::ALT, place::G]);
    told("Ctrl-Alt-H shows keys");
    desktop.chord(&[place::CONTROL, place::ALT, place::SPACE]);
    told("stopped");
    desktop.chord(&[place::CONTROL, place::ALT, place::SPACE]);
    told("halted with interrupts off");

    // The first time the power button is pressed, which this guest takes and does nothing about.
    desktop.close(window);
    told("power button pressed");
    assert!(run.child.try_wait().unwrap().is_none());
    desktop.close(window);
    assert!(run.end(10).success());
}

#[test]
fn a_key_gives_the_machine_the_whole_screen() {
    let mut desktop = desktop!();
    if !desktop.manage() {
        eprintln!("SKIPPED: there is no window manager (Debian: apt-get install openbox)");
        assert!(std::env::var_os("CI").is_none(), "CI must have openbox");
        return;
    }
    let image = Firmware::new().picture();
    let run = Run::start("full", &desktop, &["--bios", "test.bin"], &[("test.bin", image.image())]);
    let window = desktop.managed();
    wait("picture", 20, || (desktop.picture(window).0 == 320).then_some(()));
    desktop.chord(&[place::CONTROL, place::ALT, place::P]);
    let taken = png(&wait("screenshot", 20, || run.files("png").pop()));
    wait("the same picture in the window", 10, || (desktop.picture(window) == taken).then_some(()));
    // The screen has 1600 by 1000 pixels: each of the machine's is five wide and high.
    desktop.chord(&[place::CONTROL, place::ALT, place::ENTER]);
    wait("the whole screen", 20, || (desktop.picture(window) == blow_up(&taken, 5)).then_some(()));
    desktop.chord(&[place::CONTROL, place::ALT, place::ENTER]);
    wait("the window again", 20, || (desktop.picture(window) == taken).then_some(()));
}

#[test]
fn a_guest_without_power_management_goes_off_when_the_window_is_closed() {
    let desktop = desktop!();
    let mut run =
        Run::start("close", &desktop, &["--bios", "test.bin"], &[("test.bin", Firmware::new().image())]);
    desktop.close(desktop.window());
    assert!(run.end(10).success());
}

/// How far the mouse has gone after what a guest has read from it, and the first byte of the last packet.
fn mouse(run: &Run) -> (i32, i32, u8) {
    let bytes = std::fs::read(run.file("mouse.log")).unwrap_or_default();
    let packets = bytes.strip_prefix(&[0xFA]).unwrap_or_default().chunks_exact(3);
    let signed = |byte: u8, negative: bool| i32::from(byte) - if negative { 256 } else { 0 };
    packets.fold((0, 0, 0), |(x, y, _), packet| {
        let head = packet[0];
        (x + signed(packet[1], head & 0x10 != 0), y + signed(packet[2], head & 0x20 != 0), head)
    })
}

#[test]
fn the_guest_reads_the_mouse_while_it_is_captured() {
    let desktop = desktop!();
    let arguments = ["--bios", "test.bin", "--serial", "file:mouse.log"];
    let run = Run::start("mouse", &desktop, &arguments, &[("test.bin", Firmware::new().mouse().image())]);
    let window = desktop.window();
    wait("mouse", 20, || run.file("mouse.log").metadata().ok().filter(|file| file.len() == 1).map(drop));
    desktop.move_by(5, 5);
    desktop.click(window);
    wait("capture", 15, || desktop.title(window).contains("releases the mouse").then_some(()));
    // What it took for the click is not what is looked at.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (x, y, _) = mouse(&run);
    desktop.move_by(30, 0);
    desktop.move_by(-10, 40);
    wait("movement", 10, || {
        let (to_x, to_y, head) = mouse(&run);
        ((to_x - x, to_y - y) == (20, -40) && head & 7 == 0).then_some(())
    });
    desktop.button(3, true);
    wait("the right button", 10, || (mouse(&run).2 & 7 == 2).then_some(()));
    // With the mouse the guest loses its buttons.
    desktop.chord(&[place::CONTROL, place::ALT, place::G]);
    wait("no button", 10, || (mouse(&run).2 & 7 == 0).then_some(()));
    desktop.button(3, false);
    let before = mouse(&run);
    desktop.move_by(20, 20);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(mouse(&run), before, "the mouse is the user's again");
}

fn heard(name: &str, image: Firmware, hertz: f64) {
    let desktop = desktop!();
    let run = Run::start(name, &desktop, &["--bios", "test.bin"], &[("test.bin", image.image())]);
    let found = wait("sound", 40, || {
        let samples = sound::left(&run.file("sound.raw"));
        (samples.len() > 100_000).then(|| sound::pitch(&samples)).flatten()
    });
    println!("{name}: {found:.1} Hz, expected {hertz:.1} Hz");
    assert!((found - hertz).abs() < hertz * 0.005, "{name}: {found} Hz, expected {hertz} Hz");
}

#[test]
fn the_loudspeaker_has_the_pitch_that_the_guest_gave_it() {
    heard("speaker", firmware::speaker(1000), 1000.0);
}

#[test]
fn the_sound_blaster_plays_at_its_rate() {
    heard("dac", firmware::dac(), firmware::DAC_HERTZ);
}

#[test]
fn a_guest_reads_what_is_typed_and_pasted() {
    let desktop = desktop!();
    let guest = match nomad86_host::guest::debian(&nomad86_host::guest::cache_folder(), &mut |_| ()) {
        Ok(guest) => guest,
        Err(error) => {
            eprintln!("SKIPPED: no Debian guest: {error}");
            assert!(std::env::var_os("CI").is_none(), "CI must have a guest");
            return;
        }
    };
    let (kernel, initrd) = (guest.kernel.display().to_string(), guest.initrd.display().to_string());
    let arguments = [
        "--engine",
        "jit",
        "-m",
        "128",
        "--kernel",
        &kernel,
        "--initrd",
        &initrd,
        "--append",
        "console=tty0",
        "--serial",
        "file:serial.log",
        "--timeout",
        "240",
        "--screenshot",
        "end.png",
        "--expect",
        "nomad86: ready",
        "--type",
        "echo up >/dev/ttyS0\n",
        "--expect",
        "pasted-42",
    ];
    // Keys are the guest's by their places, whatever the user's letters are.
    desktop.french();
    let mut run = Run::start("typed", &desktop, &arguments, &[]);
    desktop.window();
    let says = |text: &str| {
        let log = std::fs::read_to_string(run.folder.join("serial.log")).unwrap_or_default();
        log.contains(text).then_some(())
    };
    wait("shell", 240, || says("up"));
    desktop.type_text("echo \"Typed-$((6*7))\" >/dev/ttyS0\n");
    wait("answer to what was typed", 60, || says("Typed-42"));
    desktop.clipboard("echo pasted-$((6*7))\n", || {
        desktop.chord(&[place::CONTROL, place::ALT, place::V]);
    });
    assert!(run.end(60).success());
    let (width, pixels) = png(&run.file("end.png"));
    assert_eq!((width, pixels.len() / width), (720, 400), "text of the VGA");
    if let Some(folder) = std::env::var_os("NOMAD86_PICTURES") {
        std::fs::copy(run.file("end.png"), Path::new(&folder).join("window.png")).unwrap();
    }
}

#[test]
fn without_a_display_one_line_says_so() {
    let image = std::env::temp_dir().join(format!("nomad86-blind-{}.bin", std::process::id()));
    std::fs::write(&image, Firmware::new().image()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_nomad86"))
        .args(["run", "--display", "sdl", "--bios"])
        .arg(&image)
        .env_remove("DISPLAY")
        .env("SDL_VIDEODRIVER", "x11")
        .output()
        .unwrap();
    std::fs::remove_file(image).unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.starts_with("nomad86: --display sdl: "), "{message}");
}
