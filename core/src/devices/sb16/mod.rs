//! Sound Blaster 16 (CT1740) at 220h.
//!
//! | file | what |
//! |---|---|
//! | `dsp` | the digital sound processor's commands |
//! | `stream` | what it plays or records: formats, blocks, DMA |
//! | `adpcm` | Creative's packed formats |
//! | `mixer` | the CT1745: volumes, interrupt and DMA selection |
//!
//! Spec: Creative Technology, "Sound Blaster Series Hardware Programming Guide" (1996).
//! Not emulated: the FM synthesiser (its ports, 388h too, read as absent, so that programs look for other
//! music), MPU-401 and MIDI (absent; MIDI bytes to the DSP are swallowed), recording (silence), the
//! joystick, tone controls, gains and sources other than voice and master, high-speed mode's deafness to
//! commands, the ASP. Volumes start at full instead of −14 dB, as Creative's drivers leave them.

mod adpcm;
mod dsp;
mod mixer;
mod stream;
#[cfg(test)]
mod tests;

use self::dsp::Dsp;
use self::mixer::Mixer;
use super::audio::Voice;
use super::{Bus, Device};
use crate::archive::Archive;
use crate::board::{Board, Source, Width};
use crate::config::Config;
use crate::time::Timer;

/// Offsets from the base address.
mod port {
    pub(super) const MIXER_INDEX: u16 = 0x4;
    pub(super) const MIXER_DATA: u16 = 0x5;
    pub(super) const RESET: u16 = 0x6;
    pub(super) const READ_DATA: u16 = 0xA;
    /// Write: command or data; read: bit 7 while the DSP is busy.
    pub(super) const WRITE: u16 = 0xC;
    /// Bit 7 while there is something to read; reading acknowledges 8-bit interrupts.
    pub(super) const READ_STATUS: u16 = 0xE;
    /// Reading acknowledges 16-bit interrupts.
    pub(super) const ACKNOWLEDGE_16: u16 = 0xF;
}

/// The card.
pub struct Sb16 {
    dsp: Dsp,
    mixer: Mixer,
    /// Line that it holds up; 0 for none.
    held_line: u8,
}

impl Sb16 {
    /// Brings interrupt line, volume and deadline in step with the state.
    fn settle(&mut self, board: &mut Board) {
        let line = if self.mixer.pending == 0 { 0 } else { self.mixer.line() };
        if line != self.held_line {
            if self.held_line != 0 {
                board.irq.set(self.held_line, Source::Sb16, false);
            }
            if line != 0 {
                board.irq.set(line, Source::Sb16, true);
            }
            self.held_line = line;
        }
        match self.dsp.deadline(board.now) {
            Some(at) => board.timers.set(Timer::Sb16, at),
            None => board.timers.clear(Timer::Sb16),
        }
    }
}

impl Device for Sb16 {
    const TAG: [u8; 4] = *b"SB16";

    fn new(_config: &Config) -> Self {
        Self { dsp: Dsp::new(), mixer: Mixer::new(), held_line: 0 }
    }

    fn reset(&mut self, bus: &mut Bus<'_>) {
        if self.held_line != 0 {
            bus.board.irq.set(self.held_line, Source::Sb16, false);
        }
        *self = Self { dsp: Dsp::new(), mixer: Mixer::new(), held_line: 0 };
        bus.board.audio.voice(Voice::Dac).clear();
        bus.board.audio.voice(Voice::Dac).set_volume(self.mixer.volume());
        self.settle(bus.board);
    }

    fn read(&mut self, port: u16, _width: Width, bus: &mut Bus<'_>) -> u32 {
        let value = match port & 0xF {
            port::MIXER_INDEX => self.mixer.index,
            port::MIXER_DATA => self.mixer.read(),
            port::READ_DATA => self.dsp.read(),
            port::WRITE => 0x7F,
            port::READ_STATUS => {
                self.mixer.pending &= !mixer::PENDING_8;
                if self.dsp.has_data() { 0xFF } else { 0x7F }
            }
            port::ACKNOWLEDGE_16 => {
                self.mixer.pending &= !mixer::PENDING_16;
                0xFF
            }
            _ => 0xFF,
        };
        self.settle(bus.board);
        value.into()
    }

    fn write(&mut self, port: u16, _width: Width, value: u32, bus: &mut Bus<'_>) {
        let value = value as u8;
        match port & 0xF {
            port::MIXER_INDEX => self.mixer.index = value,
            port::MIXER_DATA => {
                self.mixer.write(value);
                bus.board.audio.voice(Voice::Dac).set_volume(self.mixer.volume());
            }
            port::RESET if self.dsp.reset_line(value & 1 != 0) => self.mixer.pending = 0,
            port::WRITE => self.dsp.write(value, &mut self.mixer, bus.board),
            _ => {}
        }
        self.settle(bus.board);
    }

    fn expire(&mut self, _timer: Timer, bus: &mut Bus<'_>) {
        self.dsp.advance(&mut self.mixer, bus.board);
        self.settle(bus.board);
    }

    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.dsp);
        a.field(&mut self.mixer);
        a.field(&mut self.held_line);
        if a.is_loading() {
            self.held_line &= 15;
        }
    }
}
