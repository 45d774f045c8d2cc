use super::*;
use crate::board::Board;
use crate::devices::testing;
use crate::host::Host;
use crate::memory::Target;
use alloc::vec;

struct Rig {
    dma: Dma,
    board: Board,
    host: Host,
}

impl Rig {
    fn new() -> Self {
        let config = Config { video_memory: 1 << 20, ..Config::default() };
        let mut rig = Self { dma: Dma::new(&config), board: testing::board(&config), host: Host::null() };
        rig.dma.reset(&mut Bus { board: &mut rig.board, host: &mut rig.host });
        rig
    }

    fn out(&mut self, port: u16, value: u8) {
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        self.dma.write(port, Width::Byte, value.into(), bus);
    }

    fn inb(&mut self, port: u16) -> u8 {
        let bus = &mut Bus { board: &mut self.board, host: &mut self.host };
        self.dma.read(port, Width::Byte, bus) as u8
    }

    fn word(&mut self, port: u16, value: u16) {
        self.out(port, value as u8);
        self.out(port, (value >> 8) as u8);
    }

    fn read_word(&mut self, port: u16) -> u16 {
        u16::from(self.inb(port)) | u16::from(self.inb(port)) << 8
    }

    /// Channel 2 as a floppy driver programs it.
    fn floppy(&mut self, mode: u8, page: u8, address: u16, count: u16) {
        self.out(0x0A, 6);
        self.out(0x0C, 0);
        self.out(0x0B, mode | 2);
        self.word(0x04, address);
        self.word(0x05, count);
        self.out(0x81, page);
        self.out(0x0A, 2);
    }

    fn give(&mut self, channel: u8, data: &[u8]) -> Moved {
        self.board.dma.to_memory(&mut self.board.memory, channel, data)
    }

    fn take(&mut self, channel: u8, len: usize) -> (Moved, Vec<u8>) {
        let mut data = vec![0; len];
        let moved = self.board.dma.from_memory(&self.board.memory, channel, &mut data);
        (moved, data)
    }

    fn memory(&self, at: u64, len: usize) -> Vec<u8> {
        let mut data = vec![0; len];
        assert!(self.board.memory.read(at, &mut data));
        data
    }
}
use alloc::vec::Vec;

#[test]
fn a_floppy_sector_goes_to_memory_and_ends_with_the_terminal_count() {
    let mut rig = Rig::new();
    rig.floppy(0x44, 1, 0x2000, 511);
    let sector: Vec<u8> = (0..512_u32).map(|n| n as u8 ^ 0x5A).collect();
    assert_eq!(rig.board.dma.remaining(2), 512);
    assert_eq!(rig.give(2, &sector[..200]), Moved { bytes: 200, terminal: false });
    assert_eq!(rig.inb(0x08), 0);
    rig.out(0x0C, 0);
    assert_eq!((rig.read_word(0x04), rig.read_word(0x05)), (0x20C8, 311));
    assert_eq!(rig.give(2, &sector[200..]), Moved { bytes: 312, terminal: true });
    assert_eq!(rig.memory(0x1_2000, 512), sector);
    assert_eq!(rig.inb(0x08), 0x04);
    assert_eq!(rig.inb(0x08), 0, "reading clears TC");
    assert_eq!(rig.read_word(0x05), 0xFFFF);
    assert!(!rig.board.dma.ready(2), "masked at the end");
    assert_eq!(rig.give(2, &sector), Moved::default());
}

#[test]
fn memory_goes_to_the_device_and_no_further_than_the_count() {
    let mut rig = Rig::new();
    rig.board.memory.write(0x1_2000, b"to the disk");
    rig.floppy(0x48, 1, 0x2000, 10);
    let (moved, data) = rig.take(2, 512);
    assert_eq!(moved, Moved { bytes: 11, terminal: true });
    assert_eq!(&data[..11], b"to the disk");
}

#[test]
fn a_sound_card_plays_a_ring_with_autoinit() {
    let mut rig = Rig::new();
    for (port, value) in [(0xD4, 5), (0xD8, 0), (0xD6, 0x59)] {
        rig.out(port, value);
    }
    // Words 8000h–8003h of page 3: only bits 17 up of the page count.
    rig.word(0xC4, 0x8000);
    rig.word(0xC6, 3);
    rig.out(0x8B, 3);
    rig.out(0xD4, 1);
    rig.board.memory.write(0x3_0000, &[0, 1, 2, 3, 4, 5, 6, 7]);
    assert!(rig.board.dma.ready(5));
    assert_eq!(rig.board.dma.remaining(5), 8);
    for _ in 0..3 {
        let (moved, data) = rig.take(5, 6);
        assert_eq!((moved, &data[..]), (Moved { bytes: 6, terminal: false }, &[0, 1, 2, 3, 4, 5][..]));
        let (moved, data) = rig.take(5, 6);
        assert_eq!((moved, &data[..2]), (Moved { bytes: 2, terminal: true }, &[6, 7][..]));
    }
    assert_eq!(rig.inb(0xD0), 0x02);
}

#[test]
fn addresses_can_count_down() {
    let mut rig = Rig::new();
    rig.floppy(0x64, 1, 0x0002, 3);
    assert_eq!(rig.give(2, &[1, 2, 3, 4]), Moved { bytes: 4, terminal: true });
    assert_eq!(rig.memory(0x1_0000, 3), [3, 2, 1]);
    assert_eq!(rig.memory(0x1_FFFF, 1), [4]);
}

#[test]
fn verifying_counts_and_writes_nothing() {
    let mut rig = Rig::new();
    rig.floppy(0x40, 1, 0x2000, 3);
    assert_eq!(rig.give(2, &[1, 2, 3, 4]), Moved { bytes: 4, terminal: true });
    assert_eq!(rig.memory(0x1_2000, 4), [0; 4]);
}

#[test]
fn masks_requests_and_the_disable_bit() {
    let mut rig = Rig::new();
    assert_eq!(rig.inb(0x0F), 0x0F);
    rig.out(0x0F, 0x0A);
    assert_eq!(rig.inb(0x0F), 0x0A);
    assert!(rig.board.dma.ready(2));
    rig.out(0x08, 0x04);
    assert!(!rig.board.dma.ready(2));
    rig.out(0x08, 0);
    rig.board.dma.request(2, true);
    rig.out(0x09, 0x07);
    assert_eq!(rig.inb(0x08), 0xC0);
    rig.out(0x0D, 0);
    assert_eq!((rig.inb(0x0F), rig.inb(0x08)), (0x0F, 0x40));
    rig.out(0x0E, 0);
    assert_eq!(rig.inb(0x0F), 0);
}

#[test]
fn every_page_register_keeps_its_byte() {
    let mut rig = Rig::new();
    for n in 0..16 {
        rig.out(0x80 + n, n as u8 * 3);
    }
    for n in 0..16 {
        assert_eq!(rig.inb(0x80 + n), n as u8 * 3);
    }
}

#[test]
fn case_20_the_longest_count_wraps_within_its_64_kib() {
    let mut rig = Rig::new();
    rig.floppy(0x44, 1, 0x8000, 0xFFFF);
    let data: Vec<u8> = (0..0x1_0000_u32).map(|n| (n >> 8) as u8).collect();
    assert_eq!(rig.give(2, &data), Moved { bytes: 0x1_0000, terminal: true });
    assert_eq!(rig.memory(0x1_8000, 1), [0]);
    assert_eq!(rig.memory(0x1_7FFF, 1), [0xFF]);
    assert_eq!(rig.memory(0x1_0000, 1), [0x80]);
    assert_eq!(rig.memory(0x2_0000, 1), [0]);
}

#[test]
fn case_20_words_wrap_within_their_128_kib() {
    let mut rig = Rig::new();
    for (port, value) in [(0xD8, 0), (0xD6, 0x45)] {
        rig.out(port, value);
    }
    rig.word(0xC4, 0xFFFF);
    rig.word(0xC6, 1);
    rig.out(0x8B, 4);
    rig.out(0xD4, 1);
    assert_eq!(rig.give(5, &[1, 2, 3, 4]), Moved { bytes: 4, terminal: true });
    assert_eq!(rig.memory(0x5_FFFE, 2), [1, 2]);
    assert_eq!(rig.memory(0x4_0000, 2), [3, 4]);
}

#[test]
fn case_20_the_end_of_16_mib_rom_and_nothing_take_no_bytes() {
    let mut rig = Rig::new();
    rig.floppy(0x44, 0xFF, 0xFFFC, 7);
    assert_eq!(rig.give(2, &[1; 8]), Moved { bytes: 8, terminal: true });
    let rom = rig.board.memory.rom_range().start;
    rig.board.memory.map_low(0xF0, Target::Rom(rom), Target::Rom(rom));
    rig.floppy(0x44, 0x0F, 0, 7);
    assert_eq!(rig.give(2, &[1; 8]), Moved { bytes: 8, terminal: true });
    assert_eq!(rig.memory(0xF_0000, 8), [0; 8]);
    rig.floppy(0x48, 0xFF, 0, 7);
    assert_eq!(rig.take(2, 8).1, [0xFF; 8]);
}

#[test]
fn case_20_cascade_mode_transfers_nothing() {
    let mut rig = Rig::new();
    rig.floppy(0xC4, 1, 0x2000, 7);
    assert_eq!(rig.give(2, &[1; 8]), Moved::default());
}

#[test]
fn case_21_devices_cannot_be_reached_through_dma() {
    let mut rig = Rig::new();
    // From the last RAM page below the video window into it, and on.
    rig.floppy(0x44, 0x0A, 0, 0x1FFF);
    assert_eq!(rig.give(2, &[1; 0x2000]), Moved { bytes: 0x2000, terminal: true });
    rig.floppy(0x48, 0x0A, 0, 7);
    assert_eq!(rig.take(2, 8).1, [0xFF; 8]);
}

#[test]
fn case_20_random_programs_leave_the_pair_usable() {
    let mut rig = Rig::new();
    let mut seed = 3_u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed >> 8
    };
    let data = [7; 700];
    for _ in 0..50_000 {
        let port = match next() % 3 {
            0 => next() % 16,
            1 => 0x80 + next() % 16,
            _ => 0xC0 + next() % 32,
        } as u16;
        rig.out(port, next() as u8);
        rig.inb(port);
        let channel = next() as u8;
        let moved = rig.give(channel, &data[..next() as usize % 700]);
        assert!(moved.bytes <= 700);
        rig.take(channel, next() as usize % 700);
    }
    rig.out(0x0D, 0);
    rig.floppy(0x44, 1, 0x2000, 1);
    assert_eq!(rig.give(2, &[1, 2]), Moved { bytes: 2, terminal: true });
    assert_eq!(rig.memory(0x1_2000, 2), [1, 2]);
}
