//! The monitor: commands for the machine, behind Ctrl-A c or at the far end of `--monitor`.
//!
//! The names are those that QEMU's users know.

use std::path::PathBuf;

/// What the user wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    Help,
    /// Save the state, to this file or the one of `--save`.
    Save(Option<PathBuf>),
    Info(Topic),
    Quit,
    Reset,
    PowerDown,
    Stop,
    Continue,
    /// Write the screen to a file.
    Screendump(PathBuf),
    /// Put another medium into a drive.
    Change(Drive, PathBuf),
    /// Take the medium out of a drive.
    Eject(Drive),
    /// Press keys.
    SendKeys(String),
}

/// What `info` tells about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Topic {
    Status,
    Network,
    Registers,
}

/// A drive whose medium can be exchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Drive {
    /// The first CD-ROM drive.
    Cdrom,
    /// A: or B:.
    Floppy(usize),
}

/// Every command: its name, what follows it, what it does.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("help", "", "this list"),
    ("savevm", "[FILE]", "save the machine's state"),
    ("info", "status|network|registers", "tell about the machine"),
    ("stop", "", "hold the machine"),
    ("cont", "", "let it go on"),
    ("system_reset", "", "press the reset button"),
    ("system_powerdown", "", "press the power button"),
    ("screendump", "FILE.png", "write the screen to a file"),
    ("change", "cd|a|b FILE", "put another medium into a drive"),
    ("eject", "cd|a|b", "take a drive's medium out"),
    ("sendkey", "KEYS", "press keys, such as ctrl-alt-delete"),
    ("quit", "", "end the machine"),
];

/// The text of `help`.
pub(crate) fn help() -> String {
    let rows =
        COMMANDS.iter().map(|(name, follows, does)| format!("{:<38}{does}\n", format!("{name} {follows}")));
    rows.collect()
}

fn drive(name: &str) -> Result<Drive, String> {
    match name {
        "cd" | "cdrom" | "ide1-cd0" => Ok(Drive::Cdrom),
        "a" | "a:" | "fda" | "floppy0" => Ok(Drive::Floppy(0)),
        "b" | "b:" | "fdb" | "floppy1" => Ok(Drive::Floppy(1)),
        _ => Err(format!("there is no drive '{}': give cd, a or b", name.escape_default())),
    }
}

/// Reads a line; `None` is an empty one.
pub(crate) fn parse(line: &str) -> Result<Option<Command>, String> {
    let line = line.trim();
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let needs = |what: &str| format!("{name} needs {what}");
    let file = |text: &str| if text.is_empty() { Err(needs("a file")) } else { Ok(PathBuf::from(text)) };
    let command = match name {
        "" => return Ok(None),
        "help" | "?" => Command::Help,
        "savevm" => Command::Save((!rest.is_empty()).then(|| rest.into())),
        "info" | "i" => Command::Info(match rest {
            "" | "status" | "version" => Topic::Status,
            "network" => Topic::Network,
            "registers" => Topic::Registers,
            _ => return Err("info tells about status, network and registers".into()),
        }),
        "quit" | "q" => Command::Quit,
        "system_reset" => Command::Reset,
        "system_powerdown" => Command::PowerDown,
        "stop" | "s" => Command::Stop,
        "cont" | "c" => Command::Continue,
        "screendump" => Command::Screendump(file(rest)?),
        "change" => {
            let (name, path) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            Command::Change(drive(name)?, file(path.trim())?)
        }
        "eject" => Command::Eject(drive(rest.strip_prefix("-f ").unwrap_or(rest).trim())?),
        "sendkey" if rest.is_empty() => return Err(needs("keys")),
        "sendkey" => Command::SendKeys(rest.into()),
        _ => return Err(format!("unknown command '{}': help lists them", name.escape_default())),
    };
    Ok(Some(command))
}

/// Longest line.
const LONGEST: usize = 4096;
const PROMPT: &str = "(nomad86) ";

/// A line being typed.
#[derive(Default)]
pub(crate) struct Prompt {
    line: Vec<u8>,
    /// The far end is a terminal in raw mode, which shows nothing by itself.
    echo: bool,
}

impl Prompt {
    pub(crate) const fn new(echo: bool) -> Self {
        Self { line: Vec::new(), echo }
    }

    /// What stands before a line.
    pub(crate) const fn text() -> &'static str {
        PROMPT
    }

    /// Takes a byte; the line when it is whole. What is to be shown goes to `out`.
    pub(crate) fn take(&mut self, byte: u8, out: &mut String) -> Option<String> {
        match byte {
            b'\r' | b'\n' => {
                if self.echo {
                    out.push('\n');
                }
                return Some(String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned());
            }
            0x08 | 0x7F => {
                // The rest of a character goes with its first byte.
                while self.line.pop().is_some_and(|byte| byte & 0xC0 == 0x80) {}
                self.show_again(out);
            }
            // Ctrl-U.
            0x15 => {
                self.line.clear();
                self.show_again(out);
            }
            b' '.. if self.line.len() < LONGEST => {
                self.line.push(byte);
                if self.echo {
                    self.show_again(out);
                }
            }
            _ => {}
        }
        None
    }

    fn show_again(&self, out: &mut String) {
        if self.echo {
            out.push_str("\r\x1B[K");
            out.push_str(PROMPT);
            out.push_str(&String::from_utf8_lossy(&self.line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_by_the_names_that_are_known() {
        let read = |line: &str| parse(line).unwrap();
        assert_eq!(read(""), None);
        assert_eq!(read("savevm"), Some(Command::Save(None)));
        assert_eq!(read("  savevm my file "), Some(Command::Save(Some("my file".into()))));
        assert_eq!(read("info"), Some(Command::Info(Topic::Status)));
        assert_eq!(read("q"), Some(Command::Quit));
        assert_eq!(read("change cd a b.iso"), Some(Command::Change(Drive::Cdrom, "a b.iso".into())));
        assert_eq!(read("eject -f floppy0"), Some(Command::Eject(Drive::Floppy(0))));
        for (line, says) in [
            ("fly", "unknown command 'fly'"),
            ("screendump", "screendump needs a file"),
            ("change z x", "no drive 'z'"),
            ("change cd", "change needs a file"),
            ("info weather", "status, network and registers"),
            ("sendkey", "needs keys"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(says) && !error.contains('\n'), "{line}: {error}");
        }
        for (name, follows, _) in COMMANDS {
            let line = format!("{name} {}", follows.replace("cd|a|b", "cd").split('|').next().unwrap());
            assert!(parse(&line).is_ok(), "help lists what is there: {line}");
        }
    }

    #[test]
    fn lines_are_edited_in_place() {
        let mut prompt = Prompt::new(true);
        let (mut out, mut lines) = (String::new(), Vec::new());
        for byte in "quix\u{7F}tü\u{7F}\nhelp\u{15}stop\r".bytes() {
            lines.extend(prompt.take(byte, &mut out));
        }
        assert_eq!(lines, ["quit", "stop"]);
        assert!(out.contains("(nomad86) quit"));
    }
}
