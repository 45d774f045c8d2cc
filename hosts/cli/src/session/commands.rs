//! What is said at the monitor, and done.

use super::Session;
use crate::monitor::{self, Prompt};
use crate::outcome::Outcome;
use nomad86::host::{Console, InputEvent};
use nomad86_host::input::chord_named;
use nomad86_host::screenshot::Picture;
use std::path::Path;

impl Session {
    /// What has come to the far end of `--monitor`.
    pub(super) fn hear_remote(&mut self) -> Option<Outcome> {
        let (number, mut prompt) = self.remote.take()?;
        let mut line = self.ends.get(number)?.line.clone();
        let mut outcome = None;
        while outcome.is_none()
            && let Some(byte) = line.read()
        {
            if let Some(command) = prompt.take(byte, &mut String::new()) {
                let said;
                (said, outcome) = self.command(&command);
                said.bytes().chain(Prompt::text().bytes()).for_each(|byte| line.write(byte));
            }
        }
        self.remote = Some((number, prompt));
        outcome
    }

    /// Does what a line at the monitor says; what there is to say of it, and whether that is the end.
    pub(super) fn command(&mut self, line: &str) -> (String, Option<Outcome>) {
        let command = match monitor::parse(line) {
            Ok(Some(command)) => command,
            Ok(None) => return (String::new(), None),
            Err(why) => return (format!("{why}\n"), None),
        };
        let said = match command {
            monitor::Command::Quit => return (String::new(), Some(Outcome::Quit)),
            monitor::Command::Help => return (monitor::help(), None),
            monitor::Command::Info(topic) => return (self.info(topic), None),
            monitor::Command::Save(path) => {
                let (Ok(said) | Err(said)) =
                    self.saver.save(&mut self.machine, &mut self.host, path.as_deref());
                said
            }
            monitor::Command::Reset => {
                self.machine.reset(&mut self.host);
                String::new()
            }
            monitor::Command::PowerDown => {
                self.input.push(InputEvent::Power);
                String::new()
            }
            monitor::Command::Stop | monitor::Command::Continue => {
                self.paused = command == monitor::Command::Stop;
                String::new()
            }
            monitor::Command::Screendump(path) => match Picture::of(&self.machine).save(&path) {
                Ok(()) => String::new(),
                Err(error) => format!("{}: {}", path.display(), crate::files::reason(&error)),
            },
            monitor::Command::Change(drive, path) => self.change(drive, Some(&path)),
            monitor::Command::Eject(drive) => self.change(drive, None),
            monitor::Command::SendKeys(keys) => match chord_named(&keys) {
                Some(chord) => {
                    self.input.chord(&chord);
                    String::new()
                }
                None => "name keys as in ctrl-alt-delete".to_owned(),
            },
        };
        (if said.is_empty() { said } else { format!("{said}\n") }, None)
    }

    /// The answer to `info`.
    fn info(&self, topic: monitor::Topic) -> String {
        use std::fmt::Write;
        let mut text = String::new();
        let cpu = &self.machine.cpu;
        let _ = match topic {
            monitor::Topic::Status => {
                let state = if self.paused { "paused" } else { "running" };
                writeln!(text, "{state}, {} instructions in {:?}", cpu.count, self.machine.now())
            }
            monitor::Topic::Network => (0..self.machine.config().cards.len()).try_for_each(|card| {
                let (Some(macs), Some(frames)) =
                    (self.machine.devices.ne2k.macs(card), self.machine.devices.ne2k.counters(card))
                else {
                    return Ok(());
                };
                writeln!(
                    text,
                    "card {card}: {} in the guest, {} on the wire; {} frames out, {} in",
                    macs.guest, macs.wire, frames.outbound, frames.inbound
                )
            }),
            monitor::Topic::Registers => {
                let names = ["EAX", "ECX", "EDX", "EBX", "ESP", "EBP", "ESI", "EDI"];
                let values = names.iter().zip(&cpu.regs).map(|(name, value)| format!("{name}={value:08x}"));
                let values: Vec<String> = values.collect();
                writeln!(text, "{}\n{}", values[..4].join(" "), values[4..].join(" ")).and_then(|()| {
                    writeln!(
                        text,
                        "EIP={:08x} EFL={:08x} CPL={} CR0={:08x} CR2={:08x} CR3={:08x} CR4={:08x}",
                        cpu.eip,
                        cpu.flags.image(),
                        cpu.cpl,
                        cpu.cr0,
                        cpu.cr2,
                        cpu.cr3,
                        cpu.cr4
                    )
                })
            }
        };
        text
    }

    /// Exchanges a drive's medium.
    fn change(&mut self, drive: monitor::Drive, path: Option<&Path>) -> String {
        match crate::disk::exchange(&mut self.machine, &mut self.host, drive, path) {
            Ok((place, spec)) => {
                self.saver.exchanged(place, spec);
                String::new()
            }
            Err(why) => why,
        }
    }
}
