//! Media are exchanged while a machine runs.

use nomad86::config::{Config, IdeSlot};
use nomad86::host::{Disk, DiskError, Host};
use nomad86::machine::{Machine, Refusal, Removable};
use nomad86::memory::GuestMemory;
use std::task::Poll;

struct Blank(u64);

impl Disk for Blank {
    fn sectors(&self) -> u64 {
        self.0
    }
    fn read(&mut self, _lba: u64, buffer: &mut [u8]) -> Poll<Result<(), DiskError>> {
        buffer.fill(0);
        Poll::Ready(Ok(()))
    }
    fn write(&mut self, _lba: u64, _data: &[u8]) -> Poll<Result<(), DiskError>> {
        Poll::Ready(Err(DiskError::ReadOnly))
    }
}

fn machine() -> Machine {
    let config = Config {
        memory: 1 << 20,
        video_memory: 1 << 20,
        bios: vec![0xF4; 0x1_0000],
        ide: [IdeSlot::Disk, IdeSlot::Empty, IdeSlot::Cdrom, IdeSlot::Empty],
        floppies: 1,
        ..Config::default()
    };
    let memory = GuestMemory::allocate(config.memory_needed()).unwrap();
    Machine::new(config, memory).unwrap()
}

#[test]
fn a_medium_goes_in_and_the_one_before_comes_out() {
    let (mut machine, mut host) = (machine(), Host::null());
    for drive in [Removable::Cdrom(2), Removable::Floppy(0)] {
        let none = machine.exchange(drive, Some(Box::new(Blank(2880))), &mut host).ok();
        assert!(none.is_some_and(|old| old.is_none()));
        let first = machine.exchange(drive, Some(Box::new(Blank(1440))), &mut host).ok().flatten();
        assert_eq!(first.map(|disk| disk.sectors()), Some(2880));
        let second = machine.exchange(drive, None, &mut host).ok().flatten();
        assert_eq!(second.map(|disk| disk.sectors()), Some(1440));
    }
    assert!(host.drives.ide.iter().all(Option::is_none) && host.drives.floppy.iter().all(Option::is_none));
}

#[test]
fn drives_that_take_no_medium_give_it_back() {
    let (mut machine, mut host) = (machine(), Host::null());
    for drive in [
        Removable::Cdrom(0),
        Removable::Cdrom(1),
        Removable::Cdrom(4),
        Removable::Floppy(1),
        Removable::Floppy(usize::MAX),
    ] {
        let error = machine.exchange(drive, Some(Box::new(Blank(7))), &mut host).err();
        let error = error.unwrap_or_else(|| panic!("{drive:?} took it"));
        assert_eq!(error.why, Refusal::NoDrive);
        assert_eq!(error.medium.map(|disk| disk.sectors()), Some(7));
    }
}
