//! Memory without devices for a processor on its own.

use nomad86::board::Width;
use nomad86::cpu::Io;
use nomad86::memory::{GuestMemory, Memory, PhysAddr};

/// RAM from address 0 on and nothing else: ports and what is not RAM read as all ones.
pub struct Flat {
    pub(crate) memory: Memory,
}

impl Flat {
    /// `bytes` of RAM. The part that is video memory on a PC (A0000h–BFFFFh) is RAM as well.
    ///
    /// # Panics
    /// When the host has not that much memory.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let block = GuestMemory::allocate(bytes).expect("the host has some megabytes");
        let mut memory = Memory::new(block, bytes, 0, 0).expect("the block is as large as asked");
        for page in 0xA0..0xC0 {
            let to = nomad86::memory::Target::Memory(page << 12);
            memory.map_low(page, to, to);
        }
        Self { memory }
    }
}

impl Io for Flat {
    fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }
    fn mmio_read(&mut self, _at: PhysAddr, width: Width, _count: u64) -> u32 {
        width.ones()
    }
    fn mmio_write(&mut self, _at: PhysAddr, _width: Width, _value: u32, _count: u64) {}
    fn port_in(&mut self, _port: u16, width: Width, _count: u64) -> u32 {
        width.ones()
    }
    fn port_out(&mut self, _port: u16, _width: Width, _value: u32, _count: u64) {}
    fn nanoseconds(&mut self, count: u64) -> u64 {
        count
    }
    fn apic_base(&mut self, _value: Option<u64>) -> u64 {
        0xFEE0_0900
    }
    fn ferr(&mut self, _level: bool) {}
    fn random(&mut self) -> u64 {
        4
    }
    fn events(&self) -> u32 {
        (u32::from(self.memory.code_written()) * nomad86::cpu::event::CODE)
            | (u32::from(self.memory.map_changed()) * nomad86::cpu::event::MAP)
    }
}
