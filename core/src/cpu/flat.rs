//! A processor with nothing around it but RAM: for tests, fuzzing and instruction-set experiments.

use super::block::{BlockCache, CacheSize};
use super::segment::{Descriptor, Segment, seg};
use super::{Cpu, Io, Stop, cr0, event};
use crate::board::Width;
use crate::config::CpuModel;
use crate::jit::Jit;
use crate::memory::{GuestMemory, Memory, OutOfMemory, PAGE, PhysAddr, Target};

/// RAM and silent ports.
pub struct FlatIo {
    /// RAM, all of it readable and writable (no video hole).
    pub memory: Memory,
    /// What every port reads as.
    pub port_value: u32,
    /// The last write to a port: port, width in bytes, value.
    pub last_out: Option<(u16, u8, u32)>,
    /// FERR# as last driven.
    pub ferr: bool,
    random: u64,
}

impl Io for FlatIo {
    fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }
    fn mmio_read(&mut self, _at: PhysAddr, width: Width, _count: u64) -> u32 {
        width.ones()
    }
    fn mmio_write(&mut self, _at: PhysAddr, _width: Width, _value: u32, _count: u64) {}
    fn port_in(&mut self, _port: u16, width: Width, _count: u64) -> u32 {
        self.port_value & width.ones()
    }
    fn port_out(&mut self, port: u16, width: Width, value: u32, _count: u64) {
        self.last_out = Some((port, width as u8, value));
    }
    fn nanoseconds(&mut self, count: u64) -> u64 {
        count
    }
    fn apic_base(&mut self, _value: Option<u64>) -> u64 {
        0xFEE0_0900
    }
    fn ferr(&mut self, level: bool) {
        self.ferr = level;
    }
    fn random(&mut self) -> u64 {
        // xorshift64: a fixed sequence is what tests want.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
    fn events(&self) -> u32 {
        (u32::from(self.memory.code_written()) * event::CODE)
            | (u32::from(self.memory.map_changed()) * event::MAP)
    }
}

/// A processor and RAM.
pub struct FlatMachine {
    /// The processor.
    pub cpu: Cpu,
    /// RAM and ports.
    pub io: FlatIo,
    /// Decoded blocks.
    pub cache: BlockCache,
    /// The recompiler, if one is to be used.
    pub jit: Option<Jit>,
}

impl FlatMachine {
    /// A processor of `model` with `ram` bytes (a multiple of a page).
    ///
    /// # Errors
    /// When the host has no memory.
    pub fn new(model: CpuModel, ram: usize) -> Result<Self, OutOfMemory> {
        let mut memory = Memory::new(GuestMemory::allocate(ram)?, ram, 0, 0)?;
        for page in 0..256.min(ram / PAGE) {
            let to = Target::Memory(page * PAGE);
            memory.map_low(page, to, to);
        }
        let cache = BlockCache::new(ram / PAGE, CacheSize { instructions: 64 << 10, blocks: 16 << 10 });
        Ok(Self {
            cpu: Cpu::new(model),
            io: FlatIo { memory, port_value: 0xFFFF_FFFF, last_out: None, ferr: false, random: 0x9E37_79B9 },
            cache,
            jit: None,
        })
    }

    /// Puts the processor into flat protected mode without paging: base 0, limit 4 GiB, at privilege `cpl`,
    /// with 32- or 16-bit code.
    pub fn enter_flat(&mut self, cpl: u8, code32: bool) {
        self.cpu.cr0 |= cr0::PE | cr0::NE;
        self.cpu.cr4 |= super::cr4::OSFXSR | super::cr4::OSXMMEXCPT;
        let big = if code32 { 0x0040_0000 } else { 0 };
        let high = |kind: u32| 0x008F_9000 | big | kind << 8 | u32::from(cpl) << 13;
        let code = Segment::loaded(8 | u16::from(cpl), Descriptor { low: 0xFFFF, high: high(0xB) });
        // The stack stays 32-bit when the code is 16-bit, unless a test sets it up otherwise.
        let data =
            Segment::loaded(16 | u16::from(cpl), Descriptor { low: 0xFFFF, high: high(0x3) | 0x0040_0000 });
        for n in 0..6 {
            self.cpu.set_segment(n, if n == seg::CS { code } else { data });
        }
        self.cpu.set_cpl(cpl);
        self.cpu.flush_tlb(true);
    }

    /// Runs until `instructions` have been executed or the processor halts or shuts down.
    pub fn run(&mut self, instructions: u64) -> Stop {
        let limit = self.cpu.count + instructions;
        loop {
            let stop = self.cpu.run(&mut self.cache, self.jit.as_mut(), limit, &mut self.io);
            if stop != Stop::Boundary || self.cpu.count >= limit {
                return stop;
            }
        }
    }

    /// Executes exactly one instruction as [`Cpu::step`] does.
    ///
    /// # Errors
    /// Halt or shutdown.
    pub fn step(&mut self) -> Result<(), Stop> {
        let result = self.cpu.step(&mut self.cache, &mut self.io);
        self.cache.drop_overwritten(&mut self.io.memory, self.jit.as_mut());
        result
    }

    /// Writes RAM (decoded code on it is dropped).
    pub fn write(&mut self, at: u32, bytes: &[u8]) {
        let _ = self.io.memory.write(u64::from(at), bytes);
        self.cache.drop_overwritten(&mut self.io.memory, self.jit.as_mut());
    }

    /// Reads RAM.
    pub fn read(&mut self, at: u32, bytes: &mut [u8]) {
        let _ = self.io.memory.read(u64::from(at), bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_adds_up_and_halts() {
        let mut m = FlatMachine::new(CpuModel::Pentium4, 1 << 20).unwrap();
        m.enter_flat(0, true);
        // xor eax,eax; mov ecx,10; l: add eax,ecx; loop l; hlt
        m.write(0x1000, &[0x31, 0xC0, 0xB9, 10, 0, 0, 0, 0x01, 0xC8, 0xE2, 0xFC, 0xF4]);
        m.cpu.eip = 0x1000;
        assert_eq!(m.run(1000), Stop::Halt);
        assert_eq!(m.cpu.regs[0], 55);
        assert_eq!(m.cpu.count, 2 + 20 + 1);
    }

    #[test]
    fn code_that_overwrites_its_own_block_runs_what_it_wrote() {
        let mut m = FlatMachine::new(CpuModel::Pentium4, 1 << 20).unwrap();
        m.enter_flat(0, true);
        // mov byte [0x1007], 0x43 (inc ebx); nop → inc ebx; hlt
        m.write(0x1000, &[0xC6, 0x05, 0x07, 0x10, 0, 0, 0x43, 0x90, 0xF4]);
        m.cpu.eip = 0x1000;
        assert_eq!(m.run(10), Stop::Halt);
        assert_eq!(m.cpu.regs[3], 1);
        assert_eq!(m.cpu.eip, 0x1009);
    }
}
