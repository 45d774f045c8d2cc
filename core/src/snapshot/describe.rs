//! The configuration in an image: section `CONF`, and the files that the machine was built from.

use super::SnapshotError;
use super::format::Tag;
use crate::archive::Archive;
use crate::bytes::Bytes;
use crate::config::{BootDevice, Card, CardModel, ClockMode, Config, CpuModel, DebugExit, IdeSlot, Kernel};
use crate::net::MacAddress;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Deref;

pub(super) const TAG: Tag = Tag(*b"CONF");
pub(super) const VERSION: u16 = 2;
/// Bytes of files that an image holds at most; what is more is left out, and a reset cannot boot again.
const MOST_FILES: usize = 24 << 20;
/// Modules that an image holds at most.
const MOST_MODULES: usize = 100;
/// Longest command line.
const MOST_TEXT: usize = 64 << 10;

/// Saves or loads one of `all` by its place in the list; a number outside it leaves the value.
fn choice<T: Copy + PartialEq>(a: &mut Archive<'_>, value: &mut T, all: &[T]) {
    let mut n = all.iter().position(|one| one == value).unwrap_or(0) as u8;
    a.field(&mut n);
    if let Some(one) = all.get(usize::from(n)) {
        *value = *one;
    }
}

fn size(a: &mut Archive<'_>, value: &mut usize) {
    let mut n = *value as u64;
    a.field(&mut n);
    *value = usize::try_from(n).unwrap_or(usize::MAX);
}

/// A list: its length, at most `most`, and its items; `blank` is one to be loaded into.
fn list<T: Clone>(
    a: &mut Archive<'_>,
    items: &mut Vec<T>,
    most: usize,
    blank: T,
    mut item: impl FnMut(&mut Archive<'_>, &mut T),
) {
    let mut count = items.len().min(most) as u32;
    a.field(&mut count);
    let count = (count as usize).min(most);
    if a.is_loading() {
        *items = vec![blank; count];
    }
    for value in items.iter_mut().take(count) {
        item(a, value);
    }
}

fn text(a: &mut Archive<'_>, text: &mut String) {
    let mut bytes = core::mem::take(text).into_bytes();
    list(a, &mut bytes, MOST_TEXT, 0, |a, byte| a.field(byte));
    *text = String::from_utf8_lossy(&bytes).into_owned();
}

/// Room for files that is left in an image.
struct Room(usize);

impl Room {
    /// What of a file of `len` bytes is in the image: all or nothing.
    fn take(&mut self, len: usize) -> usize {
        let taken = if len <= self.0 { len } else { 0 };
        self.0 -= taken;
        taken
    }
}

/// The length of a file, whose contents follow in sections of their own; 0 when it is left out.
fn file<F: Deref<Target = [u8]> + From<Vec<u8>>>(a: &mut Archive<'_>, file: &mut F, room: &mut Room) {
    let mut len = if a.is_loading() { 0 } else { room.take(file.len()) };
    size(a, &mut len);
    if a.is_loading() {
        *file = vec![0; room.take(len)].into();
    }
}

/// A file of a configuration.
pub(super) enum File<'c> {
    Own(&'c mut Vec<u8>),
    Shared(&'c mut Bytes),
}

impl File<'_> {
    /// Its contents.
    pub(super) fn contents(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }

    /// Its contents to be loaded.
    pub(super) fn contents_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes.make_mut(),
        }
    }
}

/// The files of a configuration as they lie in an image.
pub(super) fn files(config: &mut Config) -> Vec<(Tag, File<'_>)> {
    all_files(config).into_iter().filter(|(.., kept)| *kept).map(|(tag, file, _)| (tag, file)).collect()
}

/// The files of a configuration in the order of [`archive`], and whether an image has room for them.
fn all_files(config: &mut Config) -> Vec<(Tag, File<'_>, bool)> {
    let mut files =
        vec![(Tag(*b"BIOS"), File::Own(&mut config.bios)), (Tag(*b"VBIO"), File::Own(&mut config.vga_bios))];
    if let Some(kernel) = &mut config.kernel {
        files.push((Tag(*b"KERN"), File::Shared(&mut kernel.image)));
        files.extend(kernel.initrd.as_mut().map(|initrd| (Tag(*b"INRD"), File::Shared(initrd))));
        for (n, (contents, _)) in kernel.modules.iter_mut().take(MOST_MODULES).enumerate() {
            files.push((Tag([b'M', b'O', b'0' + n as u8 / 10, b'0' + n as u8 % 10]), File::Shared(contents)));
        }
    }
    files.push((Tag(*b"NROM"), File::Own(&mut config.network_rom)));
    let mut room = Room(MOST_FILES);
    let files = files.into_iter().map(|(tag, file)| {
        let len = file.contents().len();
        (tag, file, room.take(len) == len)
    });
    files.collect()
}

/// Tags of the files that an image does not hold, as they are more than [`MOST_FILES`] together.
pub(super) fn left_out(config: &mut Config) -> Vec<Tag> {
    all_files(config).into_iter().filter(|(.., kept)| !kept).map(|(tag, ..)| tag).collect()
}

fn card(a: &mut Archive<'_>, card: &mut Card) {
    let (mut kind, mut base, mut irq) = match card.model {
        CardModel::Ne2kPci => (0, 0, 0),
        CardModel::Ne2kIsa { base, irq } => (1, base, irq),
    };
    a.field(&mut kind);
    a.field(&mut base);
    a.field(&mut irq);
    a.field(&mut card.mac.0);
    card.model = if kind == 1 { CardModel::Ne2kIsa { base, irq } } else { CardModel::Ne2kPci };
}

/// Saves or loads a configuration; of files only the lengths.
pub(super) fn archive(config: &mut Config, a: &mut Archive<'_>) {
    // All of them, so that none is forgotten.
    let Config {
        memory,
        video_memory,
        cpu,
        clock,
        bios,
        firmware_tables,
        vga_bios,
        kernel,
        boot,
        ide,
        floppies,
        cards,
        network_rom,
        debug_exit,
        debug_port,
        post_port,
        rtc_offset,
        uuid,
    } = config;
    size(a, memory);
    size(a, video_memory);
    choice(a, cpu, &[CpuModel::I486, CpuModel::Pentium, CpuModel::P6, CpuModel::Pentium4, CpuModel::Max]);
    let mut picoseconds = match *clock {
        ClockMode::Host => None,
        ClockMode::Virtual { picoseconds } => Some(picoseconds),
    };
    a.field(&mut picoseconds);
    *clock = picoseconds.map_or(ClockMode::Host, |picoseconds| ClockMode::Virtual { picoseconds });
    a.field(firmware_tables);
    list(a, boot, 16, BootDevice::Floppy, |a, device| {
        choice(a, device, &[BootDevice::Floppy, BootDevice::Disk, BootDevice::Cdrom, BootDevice::Network]);
    });
    for slot in ide {
        choice(a, slot, &[IdeSlot::Empty, IdeSlot::Disk, IdeSlot::Cdrom]);
    }
    a.field(floppies);
    let blank = Card { model: CardModel::default(), mac: MacAddress::default() };
    list(a, cards, 8, blank, card);
    let mut exit = debug_exit.map(|exit| [exit.base, exit.size]);
    a.field(&mut exit);
    *debug_exit = exit.map(|[base, size]| DebugExit { base, size });
    a.field(debug_port);
    a.field(post_port);
    a.field(rtc_offset);
    a.field(uuid);
    let mut room = Room(MOST_FILES);
    file(a, bios, &mut room);
    file(a, vga_bios, &mut room);
    let mut has_kernel = kernel.is_some();
    a.field(&mut has_kernel);
    if has_kernel {
        let Kernel { image, initrd, modules, command_line } = kernel.get_or_insert_default();
        file(a, image, &mut room);
        let mut has_initrd = initrd.is_some();
        a.field(&mut has_initrd);
        if has_initrd {
            file(a, initrd.get_or_insert_default(), &mut room);
        }
        text(a, command_line);
        list(a, modules, MOST_MODULES, (Bytes::default(), String::new()), |a, (contents, line)| {
            file(a, contents, &mut room);
            text(a, line);
        });
    }
    if a.version() >= 2 {
        file(a, network_rom, &mut room);
    }
}

/// Compares what a machine is with what an image's machine was; what a caller leaves empty is the image's.
///
/// # Errors
/// Names the first difference.
pub(super) fn compare(wanted: &Config, image: &Config) -> Result<(), SnapshotError> {
    fn same<T: PartialEq>(
        what: &'static str,
        wanted: &T,
        image: &T,
        show: impl Fn(&T) -> String,
    ) -> Result<(), SnapshotError> {
        if wanted == image {
            return Ok(());
        }
        Err(SnapshotError::Differs { what, image: show(image), machine: show(wanted) })
    }
    let mib = |n: &usize| format!("of {} MiB", n >> 20);
    same("RAM", &wanted.memory, &image.memory, mib)?;
    same("video RAM", &wanted.video_memory, &image.video_memory, mib)?;
    same("the processor", &wanted.cpu, &image.cpu, |cpu| format!("{cpu:?}"))?;
    same("the clock", &wanted.clock, &image.clock, |clock| format!("{clock:?}"))?;
    same("firmware tables:", &wanted.firmware_tables, &image.firmware_tables, |on| format!("{on}"))?;
    same("the IDE drives", &wanted.ide, &image.ide, |ide| format!("{ide:?}"))?;
    same("floppy drives:", &wanted.floppies, &image.floppies, |n| format!("{n}"))?;
    let models = |c: &Config| c.cards.iter().map(|card| card.model).collect::<Vec<_>>();
    same("the network cards", &models(wanted), &models(image), |models| format!("{models:?}"))?;
    same("the debug-exit port", &wanted.debug_exit, &image.debug_exit, |exit| format!("{exit:?}"))?;
    same("the debug console", &wanted.debug_port, &image.debug_port, |port| format!("{port:?}"))?;
    same("the POST port", &wanted.post_port, &image.post_port, |port| format!("{port:?}"))?;
    for (what, wanted, image) in
        [("a BIOS", &wanted.bios, &image.bios), ("a video BIOS", &wanted.vga_bios, &image.vga_bios)]
    {
        if !wanted.is_empty() && wanted != image {
            let show =
                |file: &Vec<u8>| format!("of {} bytes with CRC {:08x}", file.len(), crc32fast::hash(file));
            return Err(SnapshotError::Differs { what, image: show(image), machine: show(wanted) });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_an_image_has_no_room_for_are_named_and_the_others_are_in_it() {
        let kernel = Kernel {
            image: vec![1; 8 << 20].into(),
            initrd: Some(vec![2; 17 << 20].into()),
            ..Kernel::default()
        };
        let mut config = Config { bios: vec![3; 128 << 10], kernel: Some(kernel), ..Config::default() };
        assert_eq!(left_out(&mut config), [Tag(*b"INRD")]);
        let held: Vec<Tag> = files(&mut config).into_iter().map(|(tag, _)| tag).collect();
        assert!(
            held.contains(&Tag(*b"BIOS")) && held.contains(&Tag(*b"KERN")) && !held.contains(&Tag(*b"INRD"))
        );
        let mut image = Vec::new();
        archive(&mut config, &mut Archive::save(&mut image, VERSION));
        let mut loaded = Config::default();
        archive(&mut loaded, &mut Archive::load(&image, VERSION));
        let kernel = loaded.kernel.unwrap();
        assert_eq!((kernel.image.len(), kernel.initrd.unwrap().len()), (8 << 20, 0));
        config.kernel = None;
        assert_eq!(left_out(&mut config), []);
    }
}
