//! The CD-ROM drive.

use super::*;

const S: u16 = 0x170;

impl Pc {
    /// Sends a packet by PIO with a byte count limit; true when the drive took it.
    pub(super) fn packet(&mut self, limit: u16, dma: bool, packet: &[u8]) {
        let [low, high] = limit.to_le_bytes();
        self.outb(S + 6, 0xA0);
        self.outb(S + 1, u8::from(dma));
        self.outb(S + 4, low);
        self.outb(S + 5, high);
        self.outb(S + 7, 0xA0);
        assert_eq!(self.ready(S) & 0x09, 0x08, "waits for the packet");
        assert!(!self.irq(S), "asks for it without an interrupt");
        assert_eq!(self.inb(S + 2) & 3, 1);
        let mut whole = [0; 12];
        whole[..packet.len()].copy_from_slice(packet);
        self.write_block(S, &whole);
    }

    /// Runs a packet by PIO and returns the data; an error gives the error register.
    pub(super) fn scsi(&mut self, packet: &[u8]) -> Result<Vec<u8>, u8> {
        self.packet(0xFFFE, false, packet);
        let mut data = Vec::new();
        loop {
            let status = self.interrupt(S);
            let reason = self.inb(S + 2) & 3;
            if status & 1 != 0 {
                assert_eq!(reason, 3);
                return Err(self.inb(S + 1));
            }
            if status & 8 == 0 {
                assert_eq!(reason, 3);
                return Ok(data);
            }
            assert_eq!(reason, 2);
            let len = usize::from(u16::from_le_bytes([self.inb(S + 4), self.inb(S + 5)]));
            assert!(len > 0);
            let mut block = self.block(S, (len + 1) & !1);
            block.truncate(len);
            data.extend(block);
        }
    }

    /// Key, code and qualifier of REQUEST SENSE.
    pub(super) fn sense(&mut self) -> [u8; 3] {
        let data = self.scsi(&[3, 0, 0, 0, 18]).unwrap();
        assert_eq!(data.len(), 18);
        [data[2], data[12], data[13]]
    }
}

fn loaded(sectors: usize) -> (Pc, Shared) {
    let medium = Shared::new(sectors);
    (Pc::cdrom(Some(medium.clone())), medium)
}

#[test]
fn the_drive_shows_its_signature_and_identifies_as_a_packet_device() {
    let (mut pc, _) = loaded(4000);
    pc.outb(S + 6, 0xA0);
    assert_eq!([2, 3, 4, 5].map(|n| pc.inb(S + n)), [1, 1, 0x14, 0xEB]);
    assert_eq!(pc.inb(S + 7), 0);
    // IDENTIFY DEVICE aborts with the signature.
    pc.command(S, 0xA0, 0, 0, 0xEC);
    assert_eq!(pc.interrupt(S) & 1, 1);
    assert_eq!((pc.inb(S + 1), pc.inb(S + 4), pc.inb(S + 5)), (4, 0x14, 0xEB));
    pc.command(S, 0xA0, 0, 0, 0xA1);
    assert_eq!(pc.interrupt(S), 0x58);
    assert_eq!(pc.block(S, 512)[..2], [0xC0, 0x85]);
    // DEVICE RESET: at once and silent.
    pc.command(S, 0xA0, 0, 0, 0x08);
    assert_eq!(pc.inb(S + 7), 0);
    assert_eq!([2, 3, 4, 5].map(|n| pc.inb(S + n)), [1, 1, 0x14, 0xEB]);
}

#[test]
fn seabios_finds_a_medium_and_reads_its_boot_record() {
    let (mut pc, medium) = loaded(4000);
    assert_eq!(pc.scsi(&[0]), Ok(vec![]));
    assert_eq!(pc.scsi(&[0x25]), Ok(vec![0, 0, 3, 0xE7, 0, 0, 8, 0]));
    let block = pc.scsi(&[0x28, 0, 0, 0, 0, 17, 0, 0, 1]).unwrap();
    assert_eq!(block, medium.0.borrow().data[17 * 2048..18 * 2048]);
    let inquiry = pc.scsi(&[0x12, 0, 0, 0, 36]).unwrap();
    assert_eq!((inquiry[0], inquiry[1], inquiry.len()), (5, 0x80, 36));
    assert_eq!(pc.scsi(&[0x12, 0, 0, 0, 5]).unwrap().len(), 5, "no more than asked for");
}

#[test]
fn long_reads_come_in_blocks_of_the_byte_count_limit() {
    let (mut pc, medium) = loaded(4000);
    let expected = medium.0.borrow().data[10 * 2048..110 * 2048].to_vec();
    assert!(pc.scsi(&[0xA8, 0, 0, 0, 0, 10, 0, 0, 0, 100]).unwrap() == expected);
    // A driver that asks for 2048 bytes at a time.
    pc.packet(2048, false, &[0x28, 0, 0, 0, 0, 10, 0, 0, 3]);
    for n in 10..13 {
        assert_eq!(pc.interrupt(S) & 0x08, 0x08);
        assert_eq!((pc.inb(S + 4), pc.inb(S + 5)), (0, 8));
        assert!(pc.block(S, 2048) == medium.0.borrow().data[n * 2048..(n + 1) * 2048]);
    }
    assert_eq!(pc.interrupt(S), 0x50);
}

#[test]
fn packets_go_by_the_bus_master_too() {
    let (mut pc, medium) = loaded(4000);
    pc.board.memory.write(0x8000, &[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0x80]);
    pc.output(MASTER + 12, Width::Dword, 0x8000);
    pc.outb(MASTER + 8, 8);
    pc.packet(0, true, &[0x28, 0, 0, 0, 0, 100, 0, 0, 64]);
    pc.outb(MASTER + 8, 9);
    assert_eq!(pc.interrupt(S), 0x50);
    assert_eq!(pc.inb(S + 2) & 3, 3);
    assert_eq!(pc.inb(MASTER + 10) & 7, 4);
    let mut got = vec![0; 0x2_0000];
    assert!(pc.board.memory.read(0x1_0000, &mut got));
    assert!(got == medium.0.borrow().data[100 * 2048..164 * 2048]);
}

#[test]
fn an_empty_drive_says_so_and_a_new_medium_is_announced_once() {
    let mut pc = Pc::cdrom(None);
    assert_eq!(pc.scsi(&[0]), Err(0x20));
    assert_eq!(pc.sense(), [2, 0x3A, 1]);
    assert_eq!(pc.sense(), [0, 0, 0], "told once");
    pc.host.drives.ide[2] = Some(Box::new(Shared::new(400)));
    pc.ide.media_changed(2, &mut Bus { board: &mut pc.board, host: &mut pc.host });
    // The event is told besides the unit attention, which INQUIRY leaves alone.
    assert_eq!(pc.scsi(&[0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8]), Ok(vec![0, 6, 4, 16, 2, 2, 0, 0]));
    assert_eq!(pc.scsi(&[0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8]), Ok(vec![0, 6, 4, 16, 0, 2, 0, 0]));
    assert!(pc.scsi(&[0x12, 0, 0, 0, 36]).is_ok());
    assert_eq!(pc.scsi(&[0]), Err(0x60));
    assert_eq!(pc.sense(), [6, 0x28, 0]);
    assert_eq!(pc.scsi(&[0]), Ok(vec![]));
    assert_eq!(pc.scsi(&[0x25]).unwrap()[3], 99);
}

#[test]
fn a_medium_that_the_host_swapped_without_a_word_is_noticed() {
    let (mut pc, _) = loaded(4000);
    pc.scsi(&[0]).unwrap();
    pc.host.drives.ide[2] = Some(Box::new(Shared::new(400)));
    assert_eq!(pc.scsi(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1]), Err(0x60));
    pc.host.drives.ide[2] = None;
    assert_eq!(pc.scsi(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1]), Err(0x20));
}

#[test]
fn the_tray_opens_closes_and_is_locked() {
    let (mut pc, _) = loaded(4000);
    assert_eq!(pc.scsi(&[0x1E, 0, 0, 0, 1]), Ok(vec![]));
    assert!(pc.ide.is_locked(2));
    assert_eq!(pc.scsi(&[0x1B, 0, 0, 0, 2]), Err(0x54));
    assert_eq!(pc.sense(), [5, 0x53, 2]);
    // The button only asks.
    pc.ide.eject_pressed(2);
    assert_eq!(pc.scsi(&[0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8]).unwrap()[4..6], [1, 2]);
    assert_eq!(pc.scsi(&[0x1E, 0, 0, 0, 0]), Ok(vec![]));
    assert_eq!(pc.scsi(&[0x1B, 0, 0, 0, 2]), Ok(vec![]));
    assert!(pc.ide.is_ejected(2));
    assert_eq!(pc.scsi(&[0x25]), Err(0x20));
    assert_eq!(pc.sense(), [2, 0x3A, 2]);
    assert_eq!(pc.scsi(&[0xBD, 0, 0, 0, 0, 0, 0, 0, 0, 8]).unwrap()[1], 0x10);
    assert_eq!(pc.scsi(&[0x1B, 0, 0, 0, 3]), Ok(vec![]));
    assert_eq!(pc.scsi(&[0]), Err(0x60));
    assert_eq!(pc.scsi(&[0]), Ok(vec![]));
}

#[test]
fn the_table_of_contents_comes_in_its_three_forms() {
    let (mut pc, _) = loaded(4000);
    let toc = pc.scsi(&[0x43, 0, 0, 0, 0, 0, 1, 0, 255]).unwrap();
    assert_eq!(toc, [0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xAA, 0, 0, 0, 3, 0xE8]);
    let msf = pc.scsi(&[0x43, 2, 0, 0, 0, 0, 0xAA, 0, 255]).unwrap();
    assert_eq!(msf, [0, 10, 1, 1, 0, 0x14, 0xAA, 0, 0, 0, 15, 25]);
    assert_eq!(pc.scsi(&[0x43, 0, 0, 0, 0, 0, 2, 0, 255]), Err(0x54));
    let sessions = pc.scsi(&[0x43, 0, 1, 0, 0, 0, 0, 0, 255]).unwrap();
    assert_eq!(sessions, [0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0]);
    // The old way to ask for sessions, and room for the header only.
    assert_eq!(pc.scsi(&[0x43, 0, 0, 0, 0, 0, 0, 0, 4, 0x40]), Ok(vec![0, 10, 1, 1]));
    let full = pc.scsi(&[0x43, 2, 2, 0, 0, 0, 0, 1, 0]).unwrap();
    assert_eq!((full.len(), full[1], full[4 + 22 + 3]), (48, 46, 0xA2));
    assert_eq!(full[4 + 22 + 8..4 + 33], [0, 15, 25]);
}

#[test]
fn raw_sectors_have_header_and_codes() {
    let (mut pc, medium) = loaded(4000);
    let raw = pc.scsi(&[0xBE, 0, 0, 0, 0, 16, 0, 0, 60, 0xF8, 0]).unwrap();
    assert_eq!(raw.len(), 60 * 2352);
    for (n, sector) in raw.chunks_exact(2352).enumerate() {
        assert_eq!(sector[15], 1);
        assert!(sector[16..2064] == medium.0.borrow().data[(16 + n) * 2048..(17 + n) * 2048], "sector {n}");
    }
    let data = pc.scsi(&[0xBE, 0, 0, 0, 0, 16, 0, 0, 2, 0x10, 0]).unwrap();
    assert!(data == medium.0.borrow().data[16 * 2048..18 * 2048]);
    // By time, with a Q channel: block 16 is at 00:02:16.
    let q = pc.scsi(&[0xB9, 0, 0, 0, 2, 16, 0, 2, 17, 0x00, 2]).unwrap();
    assert_eq!(q, [0x41, 1, 1, 0, 0, 0x16, 0, 0, 2, 0x16, q[10], q[11], 0, 0, 0, 0]);
    // Audio there is none.
    assert_eq!(pc.scsi(&[0xBE, 4, 0, 0, 0, 16, 0, 0, 1, 0xF8, 0]), Err(0x54));
    assert_eq!(pc.sense(), [5, 0x64, 0]);
    assert_eq!(pc.scsi(&[0x45, 0, 0, 0, 0, 0, 0, 0, 9]), Err(0x54));
}

#[test]
fn mode_pages_are_read_and_set() {
    let (mut pc, _) = loaded(4000);
    let page = pc.scsi(&[0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 128]).unwrap();
    assert_eq!(page[..2], [0, 26]);
    assert_eq!((page[2], page[8], page[9], page.len()), (1, 0x2A, 18, 28));
    let all = pc.scsi(&[0x5A, 0, 0x3F, 0, 0, 0, 0, 1, 0]).unwrap();
    assert_eq!(usize::from(u16::from_be_bytes([all[0], all[1]])) + 2, all.len());
    assert_eq!(pc.scsi(&[0x5A, 0, 0xC1, 0, 0, 0, 0, 0, 128]), Err(0x54));
    assert_eq!(pc.sense(), [5, 0x39, 0]);
    // MODE SELECT: no retries.
    pc.packet(0xFFFE, false, &[0x55, 0x10, 0, 0, 0, 0, 0, 0, 20]);
    assert_eq!(pc.interrupt(S), 0x58);
    assert_eq!(pc.inb(S + 2) & 3, 0);
    assert_eq!((pc.inb(S + 4), pc.inb(S + 5)), (20, 0));
    pc.write_block(S, &[0, 0, 0, 0, 0, 0, 0, 0, 1, 10, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(pc.interrupt(S), 0x50);
    assert_eq!(pc.scsi(&[0x5A, 0, 0x01, 0, 0, 0, 0, 0, 128]).unwrap()[8..12], [1, 10, 0x20, 0]);
    assert_eq!(pc.scsi(&[0x5A, 0, 0x81, 0, 0, 0, 0, 0, 128]).unwrap()[8..12], [1, 10, 0, 5]);
}

#[test]
fn windows_and_linux_ask_for_features_disc_and_tracks() {
    let (mut pc, _) = loaded(4000);
    let features = pc.scsi(&[0x46, 0, 0, 0, 0, 0, 0, 1, 0]).unwrap();
    assert_eq!(features.len(), 4 + u32::from_be_bytes([0, 0, features[2], features[3]]) as usize);
    assert_eq!(features[6..8], [0, 8]);
    let one = pc.scsi(&[0x46, 2, 0, 0x1E, 0, 0, 0, 1, 0]).unwrap();
    assert_eq!(one[8..], [0, 0x1E, 9, 4, 0, 0, 0, 0]);
    let disc = pc.scsi(&[0x51, 0, 0, 0, 0, 0, 0, 0, 34]).unwrap();
    assert_eq!((disc.len(), disc[2]), (34, 0x0E));
    let track = pc.scsi(&[0x52, 1, 0, 0, 0, 1, 0, 0, 36]).unwrap();
    assert_eq!(track[24..28], [0, 0, 3, 0xE8]);
    assert_eq!(pc.scsi(&[0x42, 2, 0x40, 1, 0, 0, 0, 0, 16]).unwrap()[1], 0x15);
    assert_eq!(pc.scsi(&[0xAD, 0, 0, 0, 0, 0, 0, 0, 8, 0]), Err(0x20));
    assert_eq!(pc.sense(), [2, 0x30, 2]);
}

#[test]
fn the_last_block_of_an_odd_image_is_filled_with_zeros() {
    let (mut pc, medium) = loaded(4001);
    assert_eq!(pc.scsi(&[0x25]).unwrap()[2..4], [3, 0xE8]);
    let block = pc.scsi(&[0x28, 0, 0, 0, 3, 0xE7, 0, 0, 2]).unwrap();
    assert!(block[..2560] == medium.0.borrow().data[999 * 2048..]);
    assert!(block[2560..] == [0; 1536]);
}

#[test]
fn an_unreadable_block_is_a_medium_error_after_the_good_ones() {
    let (mut pc, medium) = loaded(4000);
    medium.0.borrow_mut().bad = Some(12 * 4);
    pc.packet(2048, false, &[0x28, 0, 0, 0, 0, 10, 0, 0, 4]);
    for n in 10..12u64 {
        assert_eq!(pc.interrupt(S), 0x58);
        assert_eq!(pc.block(S, 2048)[..8], (n * 4).to_le_bytes());
    }
    assert_eq!((pc.interrupt(S), pc.inb(S + 1)), (0x41, 0x30));
    assert_eq!(pc.sense(), [3, 0x11, 0]);
}
