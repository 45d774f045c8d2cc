//! A machine that runs allocates nothing: not for instructions, blocks of code, ports, disks or pictures.
#![expect(unsafe_code, reason = "a global allocator that counts can only be written with unsafe functions")]

use nomad86::config::{ClockMode, Config, IdeSlot};
use nomad86::host::{Disk, DiskError, Display, Host, Mode, Rect, Surface};
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::task::Poll;
use std::time::Duration;

thread_local! {
    /// Of this thread only: the test harness's own threads allocate when they like.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed on unchanged to the system's allocator, whose contract is the same; the
// counter is a constant-initialised thread local without a destructor, so that counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Sectors;

impl Disk for Sectors {
    fn sectors(&self) -> u64 {
        1000
    }
    fn read(&mut self, _lba: u64, buffer: &mut [u8]) -> Poll<Result<(), DiskError>> {
        buffer.fill(0x41);
        Poll::Ready(Ok(()))
    }
    fn write(&mut self, _lba: u64, _data: &[u8]) -> Poll<Result<(), DiskError>> {
        Poll::Ready(Ok(()))
    }
}

/// A screen as large as any mode of the test.
struct Pixels(Vec<u32>);

impl Display for Pixels {
    fn surface(&mut self, mode: Mode) -> Option<Surface<'_>> {
        let stride = mode.width as usize;
        (stride * mode.height as usize <= self.0.len()).then_some(Surface { pixels: &mut self.0, stride })
    }
    fn present(&mut self, _mode: Mode, _dirty: Rect) {}
}

/// Fills the screen, reads a sector and prints it, writes code and calls it, and begins again.
#[rustfmt::skip]
const CODE: &[u8] = &[
    0xB8, 0x00, 0xB8, // again: mov ax, 0xB800
    0x8E, 0xC0, // mov es, ax
    0x31, 0xFF, // xor di, di
    0xB9, 0xD0, 0x07, // mov cx, 2000
    0x89, 0xD8, // mov ax, bx
    0xF3, 0xAB, // rep stosw
    0x43, // inc bx
    0xBA, 0xF6, 0x01, 0xB0, 0xE0, 0xEE, // device: master, LBA
    0xBA, 0xF2, 0x01, 0xB0, 0x01, 0xEE, // one sector
    0x42, 0x88, 0xD8, 0xEE, // its number
    0x42, 0xB0, 0x00, 0xEE,
    0x42, 0xB0, 0x00, 0xEE,
    0xBA, 0xF7, 0x01, 0xB0, 0x20, 0xEE, // READ SECTORS
    0xEC, // wait: in al, dx
    0xA8, 0x08, // test al, 8
    0x74, 0xFB, // jz wait
    0xBA, 0xF0, 0x01, // mov dx, 0x1F0
    0xB9, 0x00, 0x01, // mov cx, 256
    0x31, 0xFF, // xor di, di
    0xF3, 0x6D, // rep insw
    0x31, 0xC0, // xor ax, ax
    0x8E, 0xD8, // mov ds, ax
    0x8E, 0xD0, // mov ss, ax
    0xBC, 0x00, 0x70, // mov sp, 0x7000
    0x88, 0x1E, 0x01, 0x50, // mov [0x5001], bl
    0xC6, 0x06, 0x00, 0x50, 0xB0, // mov byte [0x5000], 0xB0 ; mov al, imm8
    0xC6, 0x06, 0x02, 0x50, 0xCB, // mov byte [0x5002], 0xCB ; retf
    0x9A, 0x00, 0x50, 0x00, 0x00, // call 0:0x5000
    0x38, 0xD8, // cmp al, bl
    0x75, 0xFE, // jne $
    0xFF, 0x06, 0x00, 0x60, // inc word [0x6000]
];

#[test]
fn a_guest_that_draws_reads_and_rewrites_its_code_allocates_nothing() {
    let mut bios = vec![0xF4; 0x1_0000];
    bios[..CODE.len()].copy_from_slice(CODE);
    let back = 0_u16.wrapping_sub(CODE.len() as u16 + 3).to_le_bytes();
    bios[CODE.len()..CODE.len() + 3].copy_from_slice(&[0xE9, back[0], back[1]]);
    bios[0xFFF0..0xFFF5].copy_from_slice(&[0xEA, 0x00, 0x00, 0x00, 0xF0]);
    let config = Config {
        memory: 2 << 20,
        video_memory: 1 << 20,
        clock: ClockMode::Virtual { picoseconds: 10_000 },
        bios,
        ide: [IdeSlot::Disk, IdeSlot::Empty, IdeSlot::Empty, IdeSlot::Empty],
        ..Config::default()
    };
    let memory = GuestMemory::allocate(config.memory_needed()).unwrap();
    let mut machine = Machine::new(config, memory).unwrap();
    let mut host = Host { display: Box::new(Pixels(vec![0; 1024 * 768])), ..Host::null() };
    host.drives.ide[0] = Some(Box::new(Sectors));
    machine.reset(&mut host);
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![1_u8; 10]));
    assert_eq!(ALLOCATIONS.get(), before + 1, "the counter counts");
    for slice in 0..25 {
        let before = ALLOCATIONS.get();
        let exit = machine.run(&mut host, Duration::from_millis(10));
        assert_eq!(ALLOCATIONS.get(), before, "slice {slice} allocated");
        assert_eq!(exit, Exit::Budget);
    }
    let mut rounds = [0; 2];
    machine.read_memory(0x6000, &mut rounds);
    let rounds = u16::from_le_bytes(rounds);
    assert!(rounds > 10, "the guest went round {rounds} times");
}
