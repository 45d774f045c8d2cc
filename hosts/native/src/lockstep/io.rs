//! What the two processors of a lockstep run have outside themselves: memory with holes, a device that
//! remembers every access, DMA.

use crate::lockstep::layout::{CODE, CODE_PAGES, PAGE, RAM, ROM};
use nomad86::board::Width;
use nomad86::cpu::{Io, event};
use nomad86::jit::Windows;
use nomad86::memory::{Memory, PhysAddr, Target};
use nomad86_host::window;

/// A port whose writes raise an interrupt.
pub(super) const PORT_INTERRUPT: u16 = 0x21;
/// A port whose writes make the loop be left.
pub(super) const PORT_LEAVE: u16 = 0x22;
/// A port whose writes overwrite a byte of code, as a device that masters the bus would.
pub(super) const PORT_DMA: u16 = 0x23;
/// A port whose writes say that the physical map changed.
pub(super) const PORT_MAP: u16 = 0x24;

/// RAM, ROM and one device that answers everywhere else that something answers.
pub struct World {
    /// Memory.
    pub memory: Memory,
    /// Accesses that the device saw.
    pub accesses: u64,
    /// All of them, mixed: address, width, value, instruction count, in order.
    pub trace: u64,
    /// INTR is high.
    pub interrupt: bool,
    /// The loop is to be left.
    pub leave: bool,
    /// Windows that show the memory, until they are given to a processor.
    pub windows: Option<Box<dyn Windows>>,
}

impl World {
    /// RAM of zeroes.
    ///
    /// # Panics
    /// When the host has not a megabyte.
    #[must_use]
    pub fn new() -> Self {
        let rom = PAGE as usize;
        let (block, windows) = window::allocate(RAM as usize + rom).expect("the host has a megabyte");
        let mut memory = Memory::new(block, RAM as usize, 0, rom).expect("the block is as large as asked");
        let place = memory.rom_range().start;
        memory.map(PhysAddr::from(ROM), u64::from(PAGE), Target::Rom(place));
        Self { memory, accesses: 0, trace: 0, interrupt: false, leave: false, windows }
    }

    /// As it was when it was built, but for the contents of memory.
    pub fn reset(&mut self) {
        (self.accesses, self.trace) = (0, 0);
        (self.interrupt, self.leave) = (false, false);
        self.memory.set_a20(true);
        self.memory.take_map_change();
    }

    fn note(&mut self, kind: u64, at: u64, value: u64, count: u64) -> u64 {
        self.accesses += 1;
        for word in [kind, at, value, count] {
            self.trace = (self.trace ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        }
        self.trace
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Io for World {
    fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    fn mmio_read(&mut self, at: PhysAddr, width: Width, count: u64) -> u32 {
        let value = self.note(1 + width as u64, at, 0, count) as u32 & width.ones();
        // Some reads are answered with an interrupt.
        self.interrupt |= at & 0xFC0 == 0x40;
        value
    }

    fn mmio_write(&mut self, at: PhysAddr, width: Width, value: u32, count: u64) {
        self.note(8 + width as u64, at, u64::from(value), count);
        self.interrupt |= at & 0xF80 == 0x80;
        self.leave |= at & 0xF80 == 0x100;
    }

    fn port_in(&mut self, port: u16, width: Width, count: u64) -> u32 {
        self.note(16 + width as u64, u64::from(port), 0, count) as u32 & width.ones()
    }

    fn port_out(&mut self, port: u16, width: Width, value: u32, count: u64) {
        self.note(24 + width as u64, u64::from(port), u64::from(value), count);
        match port {
            PORT_INTERRUPT => self.interrupt = true,
            PORT_LEAVE => self.leave = true,
            PORT_DMA => {
                let at = CODE + value % (CODE_PAGES * PAGE);
                self.memory.write(u64::from(at), &[0x90]);
            }
            PORT_MAP => self.memory.changed(),
            _ => {}
        }
    }

    fn nanoseconds(&mut self, count: u64) -> u64 {
        count * 3
    }

    fn apic_base(&mut self, _value: Option<u64>) -> u64 {
        0xFEE0_0900
    }

    fn ferr(&mut self, level: bool) {
        self.note(40, u64::from(level), 0, 0);
    }

    fn random(&mut self) -> u64 {
        self.note(41, 0, 0, 0)
    }

    fn events(&self) -> u32 {
        (u32::from(self.memory.code_written()) * event::CODE)
            | (u32::from(self.memory.map_changed()) * event::MAP)
            | (u32::from(self.interrupt) * event::INTERRUPT)
            | (u32::from(self.leave) * event::LEAVE)
    }
}
