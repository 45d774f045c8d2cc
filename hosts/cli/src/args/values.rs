//! Values of options: each is read once, here, and is a typed value from then on.

use nomad86::config::{BootDevice, ClockMode, CpuModel, DebugExit};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Reads a number in decimal or, behind `0x`, in hexadecimal.
pub(crate) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => u64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

fn port(name: &str, text: &str) -> Result<u16, String> {
    number(text)
        .and_then(|n| u16::try_from(n).ok())
        .ok_or_else(|| format!("{name}={text}: give a port from 0 to 0xffff"))
}

fn switch(name: &str, text: &str) -> Result<bool, String> {
    match text {
        "on" | "yes" | "true" => Ok(true),
        "off" | "no" | "false" => Ok(false),
        _ => Err(format!("{name}={text}: give on or off")),
    }
}

/// Splits `a,b=c` into words with their values.
fn words(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split(',').filter(|word| !word.is_empty()).map(|word| match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    })
}

/// Seconds, with a fraction if need be.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number: Option<f64> = text.strip_suffix('s').unwrap_or(text).parse().ok();
    number
        .filter(|n| *n > 0.0 && *n <= 1e9)
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "give seconds, such as 60 or 2.5".to_owned())
}

/// A whole number.
pub(crate) fn whole(text: &str) -> Result<u64, String> {
    number(text).ok_or_else(|| "give a whole number, such as 1000000 or 0xf4240".to_owned())
}

/// Bytes of RAM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MemorySize(pub(crate) usize);

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "give a number of MiB, or one with a suffix such as 64M or 1G".to_owned();
        // -m size=512M,slots=..,maxmem=..: only the size means something here.
        let size = text.split(',').next().unwrap_or(text);
        let size = size.strip_prefix("size=").unwrap_or(size);
        let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match size[digits.len()..].to_ascii_lowercase().as_str() {
            "" | "m" | "mb" | "mib" => 20,
            "k" | "kb" | "kib" => 10,
            "g" | "gb" | "gib" => 30,
            "b" => 0,
            _ => return Err(wrong()),
        };
        let bytes = digits.parse::<usize>().ok().and_then(|n| n.checked_mul(1 << unit)).ok_or_else(wrong)?;
        match bytes {
            bytes if bytes & 0xF_FFFF == 0 && (1 << 20..=3072 << 20).contains(&bytes) => Ok(Self(bytes)),
            _ => Err("the machine has a whole number of MiB from 1 to 3072".to_owned()),
        }
    }
}

/// Memory for translated code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CodeSize(pub(crate) usize);

impl FromStr for CodeSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<MemorySize>() {
            // Less would be emptied over and over.
            Ok(MemorySize(bytes)) if (4 << 20..=1 << 30).contains(&bytes) => Ok(Self(bytes)),
            _ => Err("translated code has a whole number of MiB from 4 to 1024".to_owned()),
        }
    }
}

/// A processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cpu(pub(crate) CpuModel);

impl FromStr for Cpu {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text.to_ascii_lowercase().as_str() {
            "486" | "i486" => CpuModel::I486,
            "pentium" | "586" | "i586" => CpuModel::Pentium,
            "p6" | "pentium2" | "pentium3" | "686" | "i686" => CpuModel::P6,
            "pentium4" | "qemu32" | "kvm32" | "default" => CpuModel::Pentium4,
            "max" | "host" | "base" => CpuModel::Max,
            _ => return Err("there are 486, pentium, p6, pentium4 and max".to_owned()),
        }))
    }
}

/// What executes instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Engine {
    Interpreter,
    Recompiler,
}

/// When windows are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum WindowUse {
    /// Where the host has them.
    #[default]
    Auto,
    /// As before, and it is said where the host has none.
    On,
    Off,
}

impl FromStr for WindowUse {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err("expected auto, on or off".to_owned()),
        }
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "interp" | "interpreter" => Ok(Self::Interpreter),
            "jit" | "tcg" => Ok(Self::Recompiler),
            "kvm" | "hvf" | "whpx" => Err("the host's virtualisation is not used; leave it out".to_owned()),
            _ => Err("give interp or jit".to_owned()),
        }
    }
}

/// A device for test programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Device {
    DebugExit(DebugExit),
    DebugConsole(u16),
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, options) = text.split_once(',').unwrap_or((text, ""));
        let mut iobase = None;
        let mut iosize = None;
        let known = matches!(kind, "isa-debug-exit" | "isa-debugcon");
        for (name, value) in words(options).filter(|_| known) {
            match (name, value) {
                ("iobase", Some(value)) => iobase = Some(port(name, value)?),
                ("iosize", Some(value)) if kind == "isa-debug-exit" => iosize = Some(port(name, value)?),
                ("id" | "chardev", Some(_)) => {}
                _ => return Err(format!("'{name}' is no option of {kind}: there are iobase= and iosize=")),
            }
        }
        match kind {
            "isa-debug-exit" => {
                let (base, size) = (iobase.unwrap_or(0x501), iosize.unwrap_or(2));
                if size == 0 || base.checked_add(size - 1).is_none() {
                    return Err(format!("iosize={size}: there is no room for them from {base:#x} on"));
                }
                Ok(Self::DebugExit(DebugExit { base, size }))
            }
            "isa-debugcon" => Ok(Self::DebugConsole(iobase.unwrap_or(0xE9))),
            _ => Err(format!(
                "there is no device '{kind}' to add: there are isa-debug-exit and isa-debugcon; disks are \
                 added with --drive, network cards with --nic"
            )),
        }
    }
}

/// `--rtc`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Rtc {
    /// What the clock shows at the start.
    pub(crate) base: RtcBase,
    /// It goes with the machine's time.
    pub(crate) with_machine: bool,
}

/// What the real-time clock shows when the machine starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum RtcBase {
    #[default]
    Utc,
    LocalTime,
    /// Seconds since 1970.
    At(i64),
}

impl FromStr for Rtc {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut rtc = Self::default();
        for (name, value) in words(text) {
            match (name, value) {
                ("base", Some("utc")) => rtc.base = RtcBase::Utc,
                ("base", Some("localtime")) => rtc.base = RtcBase::LocalTime,
                ("base", Some(date)) => {
                    let time = jiff::civil::DateTime::from_str(date)
                        .ok()
                        .filter(|time| (1970..=2200).contains(&time.year()))
                        .and_then(|time| time.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok())
                        .ok_or_else(|| {
                            format!("base={date}: give utc, localtime or a date such as 2006-06-17T16:01:21")
                        })?;
                    rtc.base = RtcBase::At(time.timestamp().as_second());
                }
                ("clock", Some("host" | "rt")) => rtc.with_machine = false,
                ("clock", Some("vm")) => rtc.with_machine = true,
                ("clock", Some(other)) => return Err(format!("clock={other}: give host or vm")),
                ("driftfix", Some("none" | "slew")) => {}
                _ => return Err(format!("'{name}' is not known: there are base= and clock=")),
            }
        }
        Ok(rtc)
    }
}

/// `--icount`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Clock {
    pub(crate) mode: ClockMode,
    /// The machine is held back when it gets ahead of the host's time.
    pub(crate) sleep: bool,
}

impl FromStr for Clock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut clock = Self { mode: ClockMode::Virtual { picoseconds: 8_000 }, sleep: true };
        for (name, value) in words(text) {
            match (name, value) {
                ("auto", None) | ("shift", Some("auto")) => {}
                ("shift", Some(value)) | (value, None) => {
                    let shift = number(value).filter(|n| *n <= 10).ok_or("shift: give auto or 0 to 10")?;
                    clock.mode = ClockMode::Virtual { picoseconds: 1000 << shift };
                }
                ("align", Some(_)) => {}
                ("sleep", Some(value)) => clock.sleep = switch(name, value)?,
                _ => return Err(format!("'{name}' is not known: there are shift= and sleep=")),
            }
        }
        Ok(clock)
    }
}

/// Sixteen bytes in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Uuid(pub(crate) [u8; 16]);

impl FromStr for Uuid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let value = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32);
        value
            .map(|value| Self(value.to_be_bytes()))
            .ok_or_else(|| "give one such as 12345678-1234-1234-1234-123456789abc".to_owned())
    }
}

/// Boot order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BootOrder(pub(crate) Vec<BootDevice>);

impl FromStr for BootOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut order = Vec::new();
        for (name, value) in words(text) {
            let letters = match (name, value) {
                ("order" | "once", Some(letters)) | (letters, None) => letters,
                // SeaBIOS shows its menu when it is asked; it has no other say in the order.
                ("menu" | "strict" | "splash" | "splash-time" | "reboot-timeout", Some(_)) => continue,
                _ => return Err(format!("'{name}' is not known: give letters of a, c, d and n")),
            };
            for letter in letters.chars() {
                let device = match letter {
                    'a' | 'b' => BootDevice::Floppy,
                    'c' => BootDevice::Disk,
                    'd' => BootDevice::Cdrom,
                    'n'..='p' => BootDevice::Network,
                    _ => {
                        return Err(format!(
                            "'{letter}' is no boot device: a is the floppy, c the disk, d the CD-ROM, n the network"
                        ));
                    }
                };
                if !order.contains(&device) {
                    order.push(device);
                }
            }
        }
        if order.is_empty() { Err("give letters of a, c, d and n".to_owned()) } else { Ok(Self(order)) }
    }
}

/// How graphics are shown in a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Graphics {
    /// The best that the terminal says it has.
    #[default]
    Auto,
    Blocks,
    Kitty,
    Sixel,
}

/// Where the screen is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DisplaySpec {
    None,
    Terminal(Graphics),
    Window,
}

impl FromStr for DisplaySpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, options) = text.split_once(',').unwrap_or((text, ""));
        let mut graphics = Graphics::Auto;
        for (name, value) in words(options) {
            graphics = match (name, value) {
                ("graphics", Some("auto")) => Graphics::Auto,
                ("graphics", Some("blocks")) => Graphics::Blocks,
                ("graphics", Some("kitty")) => Graphics::Kitty,
                ("graphics", Some("sixel")) => Graphics::Sixel,
                ("graphics", _) => return Err("graphics= is auto, blocks, kitty or sixel".to_owned()),
                // Options of other emulators' windows.
                ("gl" | "grab-mod" | "show-cursor" | "window-close" | "charset", _) => continue,
                _ => return Err(format!("'{name}' is not known: there is graphics=")),
            };
        }
        match kind {
            "none" => Ok(Self::None),
            "term" | "curses" | "terminal" => Ok(Self::Terminal(graphics)),
            "sdl" | "gtk" => Ok(Self::Window),
            _ => Err("give term, sdl or none".to_owned()),
        }
    }
}

/// The far end of a serial line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SerialSpec {
    None,
    Stdio,
    File(PathBuf),
    Tcp { address: String, server: bool },
    Unix { path: PathBuf, server: bool },
}

impl FromStr for SerialSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let (place, options) = rest.split_once(',').unwrap_or((rest, ""));
        let mut server = false;
        for (name, value) in words(options).filter(|_| matches!(kind, "tcp" | "telnet" | "unix")) {
            match (name, value) {
                ("server", None | Some("on")) => server = true,
                ("nowait" | "nodelay", None) | ("server" | "wait" | "nodelay", Some("off" | "on")) => {}
                _ => return Err(format!("'{name}' is not known: there is server")),
            }
        }
        match (kind, rest) {
            ("none" | "null", "") => Ok(Self::None),
            ("stdio", "") | ("mon", "stdio") => Ok(Self::Stdio),
            ("file", path) if !path.is_empty() => Ok(Self::File(path.into())),
            ("tcp", _) if place.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => {
                let address =
                    if place.starts_with(':') { format!("127.0.0.1{place}") } else { place.to_owned() };
                Ok(Self::Tcp { address, server })
            }
            ("unix", _) if !place.is_empty() => Ok(Self::Unix { path: place.into(), server }),
            _ => Err("give stdio, none, file:PATH, tcp:HOST:PORT[,server] or unix:PATH[,server]".to_owned()),
        }
    }
}

/// A log of what is written to a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PostLog {
    pub(crate) port: u16,
    pub(crate) file: PathBuf,
}

impl FromStr for PostLog {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (at, file) = text
            .split_once(',')
            .filter(|(_, file)| !file.is_empty())
            .ok_or_else(|| "give a port and a file, such as 0x80,post.log".to_owned())?;
        Ok(Self { port: port("port", at)?, file: file.into() })
    }
}

/// Physical memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) len: usize,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |(start, len)| {
            let len = number(len).filter(|len| (1..=64 << 20).contains(len))?;
            let start = number(start).filter(|start| *start <= 0xFFFF_FFFF)?;
            Some(Self { start, len: len as usize })
        };
        text.split_once(':')
            .and_then(parse)
            .ok_or_else(|| "give START:LENGTH, such as 0x7c00:512; up to 64 MiB under 4 GiB".to_owned())
    }
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
