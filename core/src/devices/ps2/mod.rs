//! The 8042 keyboard controller with its keyboard and mouse.
//!
//! Bytes of the devices reach the output buffer one at a time, each some time after the one before was read,
//! so that every byte has its own interrupt edge.
//!
//! Spec: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller",
//! "Keyboard (101- and 102-Key)" and "Mouse"; Intel UPI-41/42; Microsoft IntelliMouse packets.
//! Not emulated: passwords (none is installed), serial timing and its errors, fake shifts around the grey
//! keys while Num Lock is on, the mouse's resolution (kept and reported; counts are the host's), repetition
//! (hosts repeat; rates are kept).

mod codes;
mod keyboard;
pub mod keys;
mod mouse;
mod queue;
#[cfg(test)]
mod tests;
pub mod typing;

use self::keyboard::Keyboard;
use self::mouse::Mouse;
use super::{Bus, Device};
use crate::archive::Archive;
use crate::board::{A20Switch, Request, Source, Width};
use crate::config::Config;
use crate::host::InputEvent;
use crate::time::{Instant, Timer};

const DATA: u16 = 0x60;

/// Status register.
mod status {
    pub(super) const OUTPUT_FULL: u8 = 1 << 0;
    pub(super) const SYSTEM: u8 = 1 << 2;
    /// The last write was a command.
    pub(super) const COMMAND: u8 = 1 << 3;
    /// The keyboard is not locked.
    pub(super) const UNLOCKED: u8 = 1 << 4;
    /// What is in the output buffer is the mouse's.
    pub(super) const AUX: u8 = 1 << 5;
}

/// Command byte, the first byte of the controller's RAM.
mod control {
    pub(super) const KEYBOARD_IRQ: u8 = 1 << 0;
    pub(super) const MOUSE_IRQ: u8 = 1 << 1;
    pub(super) const SYSTEM: u8 = 1 << 2;
    pub(super) const KEYBOARD_OFF: u8 = 1 << 4;
    pub(super) const MOUSE_OFF: u8 = 1 << 5;
    pub(super) const TRANSLATE: u8 = 1 << 6;
}

/// Output port.
mod output {
    /// Low: the CPU is held in reset.
    pub(super) const NO_RESET: u8 = 1 << 0;
    pub(super) const A20: u8 = 1 << 1;
    pub(super) const KEYBOARD_FULL: u8 = 1 << 4;
    pub(super) const MOUSE_FULL: u8 = 1 << 5;
}

/// Between two bytes of a device: eleven bits at some 15 kHz take longer, but drivers' patience varies.
const GAP: u64 = 200_000;

/// Where a byte in the output buffer comes from.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Origin {
    #[default]
    Keyboard,
    Mouse,
}

/// The controller with both its devices.
pub struct Ps2 {
    keyboard: Keyboard,
    mouse: Mouse,
    /// The controller's RAM; byte 0 is the command byte.
    ram: [u8; 32],
    output_port: u8,
    /// Output buffer, and whose byte it holds.
    data: u8,
    full: bool,
    from_mouse: bool,
    /// A byte of the controller's own that waits for the output buffer, and whether it poses as the mouse's.
    own: Option<u8>,
    own_as_mouse: bool,
    /// Command whose argument comes next; 0 for none.
    command: u8,
    last_was_command: bool,
    /// F0 came from the keyboard: the next code is a break code.
    break_next: bool,
    /// No byte of a device before this.
    next_byte: Instant,
}

impl Ps2 {
    /// Whether [`Self::input`] can take another event without losing it.
    #[must_use]
    pub const fn room(&self) -> bool {
        // A mouse that is switched off must not keep keys back.
        self.keyboard.room() && (self.control() & control::MOUSE_OFF != 0 || self.mouse.room())
    }

    /// Lights on the keyboard: Scroll, Num and Caps Lock in bits 0, 1 and 2.
    #[must_use]
    pub const fn leds(&self) -> u8 {
        self.keyboard.leds()
    }

    /// What the user did; the power button is not ours.
    pub fn input(&mut self, event: InputEvent, bus: &mut Bus<'_>) {
        match event {
            InputEvent::Key { key, pressed } => self.keyboard.key(key, pressed),
            InputEvent::Mouse { dx, dy, wheel } => self.mouse.moved(dx, dy, wheel),
            InputEvent::Buttons(buttons) => self.mouse.set_buttons(buttons),
            InputEvent::Power => {}
        }
        self.settle(bus);
    }

    const fn control(&self) -> u8 {
        self.ram[0]
    }

    const fn status(&self) -> u8 {
        let mut status = status::UNLOCKED;
        if self.full {
            status |= status::OUTPUT_FULL;
            if self.from_mouse {
                status |= status::AUX;
            }
        }
        if self.control() & control::SYSTEM != 0 {
            status |= status::SYSTEM;
        }
        if self.last_was_command {
            status |= status::COMMAND;
        }
        status
    }

    /// Fills the output buffer when it is empty and there is something, then sets lines and deadline.
    fn settle(&mut self, bus: &mut Bus<'_>) {
        let now = bus.board.now;
        let mut wake = None;
        if !self.full {
            if let Some(byte) = self.own.take() {
                let origin = if self.own_as_mouse { Origin::Mouse } else { Origin::Keyboard };
                self.fill(byte, origin);
            } else {
                wake = self.fill_from_devices(now);
            }
        }
        let interrupts = |enable| self.full && self.control() & enable != 0;
        let keyboard = interrupts(control::KEYBOARD_IRQ) && !self.from_mouse;
        let mouse = interrupts(control::MOUSE_IRQ) && self.from_mouse;
        bus.board.irq.set(1, Source::Keyboard, keyboard);
        bus.board.irq.set(12, Source::Mouse, mouse);
        match wake {
            Some(at) => bus.board.timers.set(Timer::Ps2, at),
            None => bus.board.timers.clear(Timer::Ps2),
        }
    }

    /// Takes a byte of one of the devices, or says when there may be one.
    fn fill_from_devices(&mut self, now: Instant) -> Option<Instant> {
        let keyboard = self.control() & control::KEYBOARD_OFF == 0 && self.keyboard.has_byte();
        let mouse = if self.control() & control::MOUSE_OFF == 0 { self.mouse.ready(now) } else { None };
        let ready = if keyboard { Some(now) } else { mouse };
        let at = ready?.max(self.next_byte);
        if at > now {
            return Some(at);
        }
        if keyboard {
            while let Some(byte) = self.keyboard.take() {
                if let Some(byte) = self.translate(byte) {
                    self.fill(byte, Origin::Keyboard);
                    break;
                }
            }
        } else if let Some(byte) = self.mouse.take(now) {
            self.fill(byte, Origin::Mouse);
        }
        // A prefix alone fills nothing: look again.
        (!self.full).then(|| now + GAP)
    }

    fn fill(&mut self, byte: u8, origin: Origin) {
        self.data = byte;
        self.full = true;
        self.from_mouse = origin == Origin::Mouse;
    }

    /// Set 2 into set 1 as the command byte asks; `None` for the prefix of break codes.
    fn translate(&mut self, byte: u8) -> Option<u8> {
        if self.control() & control::TRANSLATE == 0 {
            self.break_next = false;
            return Some(byte);
        }
        if byte == 0xF0 {
            self.break_next = true;
            return None;
        }
        let released = core::mem::take(&mut self.break_next);
        Some(codes::translate(byte) | u8::from(released) << 7)
    }

    fn read_data(&mut self, bus: &mut Bus<'_>) -> u8 {
        if self.full {
            self.full = false;
            self.next_byte = bus.board.now + GAP;
            self.settle(bus);
        }
        self.data
    }

    /// A byte of the controller's own.
    fn answer(&mut self, byte: u8) {
        self.own = Some(byte);
        self.own_as_mouse = false;
    }

    const fn output_port(&self) -> u8 {
        let mut port = self.output_port;
        if self.full {
            port |= if self.from_mouse { output::MOUSE_FULL } else { output::KEYBOARD_FULL };
        }
        port
    }

    fn set_output_port(&mut self, value: u8, bus: &mut Bus<'_>) {
        self.output_port = value & !(output::KEYBOARD_FULL | output::MOUSE_FULL);
        bus.board.set_a20(A20Switch::Keyboard, value & output::A20 != 0);
        if value & output::NO_RESET == 0 {
            bus.board.ask(Request::ResetCpu);
            self.output_port |= output::NO_RESET;
        }
    }

    fn write_command(&mut self, command: u8, bus: &mut Bus<'_>) {
        self.command = 0;
        match command {
            0x00..=0x3F => self.answer(self.ram[usize::from(command & 0x1F)]),
            0x40..=0x7F | 0xA5 | 0xD1..=0xD4 => self.command = command,
            // No password is installed.
            0xA4 => self.answer(0xF1),
            0xA7 => self.ram[0] |= control::MOUSE_OFF,
            0xA8 => self.ram[0] &= !control::MOUSE_OFF,
            // Both lines work.
            0xA9 | 0xAB => self.answer(0x00),
            0xAA => {
                self.ram[0] |= control::SYSTEM;
                self.answer(0x55);
            }
            0xAD => self.ram[0] |= control::KEYBOARD_OFF,
            0xAE => self.ram[0] &= !control::KEYBOARD_OFF,
            // Input port: not locked, colour display, no manufacturing jumper, no RAM jumper.
            0xC0 => self.answer(0xB0),
            // Both poll the input port into the upper half of the status register, which keeps its meaning.
            0xC1 | 0xC2 => {}
            0xD0 => self.answer(self.output_port()),
            0xDD => self.set_output_port(self.output_port & !output::A20, bus),
            0xDF => self.set_output_port(self.output_port | output::A20, bus),
            // Test inputs: clock lines of both devices, low while they are switched off.
            0xE0 => {
                let off = self.control();
                let lines =
                    u8::from(off & control::KEYBOARD_OFF == 0) | u8::from(off & control::MOUSE_OFF == 0) << 1;
                self.answer(lines);
            }
            // Bits that are 0 are pulsed low: bit 0 is the CPU's reset.
            0xF0..=0xFF if command & output::NO_RESET == 0 => bus.board.ask(Request::ResetCpu),
            _ => {}
        }
    }

    fn write_data(&mut self, value: u8, bus: &mut Bus<'_>) {
        match core::mem::take(&mut self.command) {
            command @ 0x40..=0x7F => self.ram[usize::from(command & 0x1F)] = value,
            0xA5 => {
                // A password ends with a zero.
                if value != 0 {
                    self.command = 0xA5;
                }
            }
            0xD1 => self.set_output_port(value, bus),
            0xD2 => self.answer(value),
            0xD3 => {
                self.own = Some(value);
                self.own_as_mouse = true;
            }
            0xD4 => {
                self.ram[0] &= !control::MOUSE_OFF;
                self.mouse.write(value);
                self.next_byte = bus.board.now + GAP;
            }
            _ => {
                self.ram[0] &= !control::KEYBOARD_OFF;
                self.keyboard.write(value);
                self.break_next = false;
                self.next_byte = bus.board.now + GAP;
            }
        }
    }
}

impl Device for Ps2 {
    const TAG: [u8; 4] = *b"PS2 ";

    fn new(_config: &Config) -> Self {
        let mut ram = [0; 32];
        // As firmware leaves it, for kernels that start without any; the system flag is for firmware to see
        // that this is not a warm start.
        ram[0] = control::KEYBOARD_IRQ | control::TRANSLATE;
        Self {
            keyboard: Keyboard::new(),
            mouse: Mouse::new(),
            ram,
            output_port: 0xC0 | output::NO_RESET | output::A20,
            data: 0,
            full: false,
            from_mouse: false,
            own: None,
            own_as_mouse: false,
            command: 0,
            last_was_command: false,
            break_next: false,
            next_byte: Instant::ZERO,
        }
    }

    fn reset(&mut self, bus: &mut Bus<'_>) {
        *self = Self::new(&Config::default());
        bus.board.set_a20(A20Switch::Keyboard, true);
        self.settle(bus);
    }

    fn read(&mut self, port: u16, _width: Width, bus: &mut Bus<'_>) -> u32 {
        u32::from(if port == DATA { self.read_data(bus) } else { self.status() })
    }

    fn write(&mut self, port: u16, _width: Width, value: u32, bus: &mut Bus<'_>) {
        self.last_was_command = port != DATA;
        if port == DATA {
            self.write_data(value as u8, bus);
        } else {
            self.write_command(value as u8, bus);
        }
        self.settle(bus);
    }

    fn expire(&mut self, _timer: Timer, bus: &mut Bus<'_>) {
        self.settle(bus);
    }

    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.keyboard);
        a.field(&mut self.mouse);
        a.field(&mut self.ram);
        a.field(&mut self.output_port);
        a.field(&mut self.data);
        a.field(&mut self.full);
        a.field(&mut self.from_mouse);
        a.field(&mut self.own);
        a.field(&mut self.own_as_mouse);
        a.field(&mut self.command);
        a.field(&mut self.last_was_command);
        a.field(&mut self.break_next);
        a.field(&mut self.next_byte);
    }
}
