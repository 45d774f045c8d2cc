//! A machine on a microcontroller: no operating system, no display, the guest's memory a static array in
//! external RAM, its decoded code and devices in a heap of 3 MiB, instructions interpreted.
//!
//! Built for `thumbv7em-none-eabihf` by `core/examples/microcontroller/test`, which runs it in QEMU's
//! `mps2-an386` where that is installed.
#![no_std]
#![no_main]
extern crate alloc;

use alloc::boxed::Box;
use core::mem::MaybeUninit;
use cortex_m_semihosting::{debug, hprint, hprintln};
use embedded_alloc::LlffHeap;
use nomad86::config::{ClockMode, Config, Kernel};
use nomad86::host::{Console, Host};
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
use nomad86::time::Duration;

const GUEST: usize = 4 << 20;
const VIDEO: usize = 1 << 20;
const HEAP: usize = 3 << 20;

#[global_allocator]
static ALLOCATOR: LlffHeap = LlffHeap::empty();
static mut ARENA: [MaybeUninit<u8>; HEAP] = [MaybeUninit::uninit(); HEAP];
/// RAM, video RAM and ROM of the guest, and what aligns them to a page.
#[unsafe(link_section = ".external")]
static mut MEMORY: [u8; GUEST + VIDEO + nomad86::config::ROM_SIZE + 4096] =
    [0; GUEST + VIDEO + nomad86::config::ROM_SIZE + 4096];

/// What the guest writes to its debug port goes to the debugger.
struct Debugger;

impl Console for Debugger {
    fn write(&mut self, byte: u8) {
        hprint!("{}", char::from(byte));
    }

    fn read(&mut self) -> Option<u8> {
        None
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    // SAFETY: called once, before anything is allocated; nobody else uses the array.
    unsafe { ALLOCATOR.init(&raw mut ARENA as usize, HEAP) };
    // SAFETY: taken once; `main` is not entered again.
    let memory = GuestMemory::from_static(unsafe { &mut *(&raw mut MEMORY) });
    let config = Config {
        memory: GUEST,
        video_memory: VIDEO,
        // No clock is at hand: time passes with instructions.
        clock: ClockMode::Virtual { picoseconds: 100_000 },
        kernel: Some(Kernel { image: guest::image().into(), ..Kernel::default() }),
        ..Config::default()
    };
    let mut machine = match Machine::new(config, memory) {
        Ok(machine) => machine,
        Err(error) => panic!("{error}"),
    };
    let mut host = Host::null();
    host.debug = Box::new(Debugger);
    loop {
        match machine.run(&mut host, Duration::from_millis(10)) {
            Exit::Halted => break,
            Exit::TripleFault => panic!("triple fault"),
            _ => {}
        }
    }
    hprintln!("{} instructions, {} bytes of heap", machine.cpu.count, ALLOCATOR.used());
    debug::exit(debug::EXIT_SUCCESS);
    panic!("the debugger did not end it")
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    debug::exit(debug::EXIT_FAILURE);
    loop {
        cortex_m::asm::wfi();
    }
}

/// The guest: a multiboot kernel that adds the numbers up to 1,000 and says the sum.
mod guest {
    use alloc::vec::Vec;

    const LOAD: u32 = 0x10_0000;
    const MAGIC: u32 = 0x1BAD_B002;
    /// The header says where everything goes.
    const FLAGS: u32 = 1 << 16;

    pub(crate) fn image() -> Vec<u8> {
        let header =
            [MAGIC, FLAGS, 0u32.wrapping_sub(MAGIC).wrapping_sub(FLAGS), LOAD, LOAD, 0, 0, LOAD + 32];
        let mut image: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        image.extend(CODE);
        image.extend(b"1 + 2 + ... + 1000 = \0");
        image
    }

    const CODE: [u8; 67] = [
        0xBC, 0x00, 0x80, 0x10, 0x00, // mov esp, 108000h
        0x31, 0xC0, // xor eax, eax
        0xB9, 0xE8, 0x03, 0x00, 0x00, // mov ecx, 1000
        0x01, 0xC8, // sum: add eax, ecx
        0xE2, 0xFC, // loop sum
        0x89, 0xC3, // mov ebx, eax
        0xBE, 0x63, 0x00, 0x10, 0x00, // mov esi, text
        0xAC, // print: lodsb
        0x84, 0xC0, // test al, al
        0x74, 0x04, // jz digits
        0xE6, 0xE9, // out E9h, al
        0xEB, 0xF7, // jmp print
        0x89, 0xD8, // digits: mov eax, ebx
        0xB9, 0x0A, 0x00, 0x00, 0x00, // mov ecx, 10
        0x6A, 0x00, // push 0
        0x31, 0xD2, // divide: xor edx, edx
        0xF7, 0xF1, // div ecx
        0x80, 0xC2, 0x30, // add dl, '0'
        0x52, // push edx
        0x85, 0xC0, // test eax, eax
        0x75, 0xF4, // jnz divide
        0x58, // pop: pop eax
        0x84, 0xC0, // test al, al
        0x74, 0x04, // jz end
        0xE6, 0xE9, // out E9h, al
        0xEB, 0xF7, // jmp pop
        0xB0, 0x0A, // end: mov al, 10
        0xE6, 0xE9, // out E9h, al
        0xF4, // hlt (interrupts are off)
    ];
}
