//! State images of whole machines: saved from a running machine, restored into a new one, on any host.
//!
//! | file | what |
//! |---|---|
//! | [`format`] | header, sections, checksums |
//! | [`stream`] | where bytes go and come from |
//! | `pages` | memory: compressed, without pages of zeros |
//! | `describe` | the configuration, and the files that the machine was built from |
//! | `error` | why an image cannot be used |
//!
//! An image holds what the guest can tell from anything else, and nothing that follows from it: the TLB,
//! decoded and translated code, the maps of ports and memory and what the display has shown are built anew.
//! [`Machine::save`] drops the TLB as well, so that the machine that goes on and the one that is restored
//! execute the same.
//!
//! Restoring builds a new machine. Nothing in an image is believed: lengths are limits of what is read, not
//! of what is allocated; devices mask what they use as an index; sections that are not known are passed over
//! and reported, devices without a section stay as they are after a reset.
//!
//! ```
//! # use nomad86::{config::{Card, CardModel, Config}, machine::Machine, memory::GuestMemory};
//! use nomad86::net::{MacAddress, MacPolicy};
//! use nomad86::snapshot::{self, RestoreOptions};
//!
//! # let mut bios = vec![0xFF; 64 << 10];
//! # bios[0xFFF0..0xFFF2].copy_from_slice(&[0xEB, 0xFE]);
//! # let card = Card { model: CardModel::Ne2kPci, mac: MacAddress([0x52, 0x54, 0, 0, 0, 1]) };
//! # let config = Config { memory: 1 << 20, bios, cards: vec![card], ..Config::default() };
//! # let memory = GuestMemory::allocate(config.memory_needed())?;
//! # let mut machine = Machine::new(config, memory)?;
//! let mut image = Vec::new();
//! machine.save(&mut image).map_err(|_| "memory is full")?;
//! println!("{} sections", snapshot::inspect(&mut &image[..])?.sections.len());
//!
//! // Two clones, that share a network with each other and with the original.
//! let config = snapshot::config(&mut &image[..])?;
//! let clone = |seed| {
//!     let memory = GuestMemory::allocate(config.memory_needed()).expect("there is memory");
//!     let options = RestoreOptions { mac: MacPolicy::Translate, seed };
//!     Machine::restore(config.clone(), memory, &mut &image[..], options)
//! };
//! let (one, other) = (clone(1)?.machine, clone(2)?.machine);
//! let wire = |machine: &Machine| machine.devices.ne2k.macs(0).map(|macs| macs.wire);
//! assert_ne!(wire(&one), wire(&other));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod describe;
mod error;
pub mod format;
mod pages;
pub mod stream;

use crate::archive::Archive;
use crate::config::{ClockMode, Config, ConfigError};
use crate::host::Host;
use crate::machine::Machine;
use crate::memory::GuestMemory;
use crate::net::{MacAddress, MacPolicy};
use alloc::vec::Vec;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

pub use error::SnapshotError;
pub use format::{FORMAT, Reader, Section, Tag, Writer};
pub use stream::{Broken, Sink, Source};

const RAM: Tag = Tag(*b"RAM ");
const VRAM: Tag = Tag(*b"VRAM");
const ROM: Tag = Tag(*b"ROM ");

/// What is to be different in a restored machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RestoreOptions {
    /// What becomes of the network cards' addresses.
    pub mac: MacPolicy,
    /// Where new addresses and, under the host's clock, the guest's random numbers come from: give each
    /// clone another one.
    pub seed: u64,
}

/// A section of the host's own that an image holds beside the machine's. Tags of the machine's sections
/// have no lower-case letters; the host's begin with one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostSection {
    /// Its name.
    pub tag: Tag,
    /// Its version.
    pub version: u16,
    /// What it holds, up to [`format::MOST`] bytes.
    pub contents: Vec<u8>,
}

/// A restored machine and what there is to say about it.
pub struct Restored {
    /// The machine, at the point at which it was saved.
    pub machine: Machine,
    /// Sections that this program does not know.
    pub unknown: Vec<Tag>,
    /// Parts of the machine that the image says nothing of: they are as after a reset.
    pub missing: Vec<Tag>,
}

impl core::fmt::Debug for Restored {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Restored").field("unknown", &self.unknown).field("missing", &self.missing).finish()
    }
}

/// What is in an image, found without building its machine.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The image's format.
    pub format: u32,
    /// The machine's configuration, with the files that it was built from.
    pub config: Config,
    /// Names, versions and lengths of all sections in order; the many sections of memory each by itself.
    pub sections: Vec<(Tag, u16, usize)>,
    /// Sections of the host's own, 16 MiB of them at most.
    pub host: Vec<HostSection>,
}

/// Reads the beginning of an image: the configuration of its machine, with the files that it was built from.
///
/// # Errors
/// Says why the image cannot be used.
pub fn config(image: &mut impl Source) -> Result<Config, SnapshotError> {
    let mut reader = Reader::new(image)?;
    let mut opening = Opening::new();
    while let Some(section) = reader.next_section()? {
        if !opening.take(section)? {
            break;
        }
    }
    opening.finish()
}

/// Reads all of an image, checks it, and says what is in it.
///
/// # Errors
/// Says why the image cannot be used.
pub fn inspect(image: &mut impl Source) -> Result<Contents, SnapshotError> {
    let mut reader = Reader::new(image)?;
    let format = reader.format();
    let mut opening = Opening::new();
    let (mut sections, mut host, mut opened) = (Vec::new(), Vec::new(), false);
    let mut room = MOST_HOST;
    while let Some(section) = reader.next_section()? {
        let Section { tag, version, contents } = section;
        if sections.len() < MOST_SECTIONS {
            sections.push((tag, version, contents.len()));
        }
        if tag.0[0].is_ascii_lowercase() {
            // Those that are too long for this are read by whoever made them.
            let Some(left) = room.checked_sub(contents.len()) else { continue };
            room = left;
            host.push(HostSection { tag, version, contents: contents.to_vec() });
        } else if !opened {
            opened = !opening.take(section)?;
        }
    }
    Ok(Contents { format, config: opening.finish()?, sections, host })
}

/// Bytes that [`inspect`] takes of the host's sections.
const MOST_HOST: usize = 16 << 20;
/// Sections that [`inspect`] lists.
const MOST_SECTIONS: usize = 1 << 16;

/// The beginning of an image being read: configuration and files.
struct Opening {
    config: Option<Config>,
    /// Which of the configuration's files is being loaded.
    file: usize,
    loader: pages::Loader,
    scratch: pages::Scratch,
}

impl Opening {
    fn new() -> Self {
        Self { config: None, file: 0, loader: pages::Loader::new(), scratch: pages::Scratch::new() }
    }

    /// Takes a section; false when it is one of the machine's.
    fn take(&mut self, section: Section<'_>) -> Result<bool, SnapshotError> {
        let tag = section.tag;
        let Some(config) = &mut self.config else {
            if tag != describe::TAG {
                return Err(SnapshotError::Malformed { tag, why: "the configuration comes first" });
            }
            let mut config = Config::default();
            load(section, describe::VERSION, &mut |a| describe::archive(&mut config, a))?;
            config.validate()?;
            self.config = Some(config);
            return Ok(true);
        };
        let mut files = describe::files(config);
        let from = self.file;
        let Some(at) = files.iter().skip(from).position(|file| file.0 == tag) else {
            return Ok(false);
        };
        if at > 0 {
            self.file += at;
            self.loader = pages::Loader::new();
        }
        self.loader.load(section, files[self.file].1.contents_mut(), &mut self.scratch)?;
        Ok(true)
    }

    fn finish(self) -> Result<Config, SnapshotError> {
        let mut config = self.config.ok_or(SnapshotError::Cut)?;
        // A kernel that was too long for the image is not there.
        config.kernel.take_if(|kernel| kernel.image.is_empty());
        crate::boot::check(&config)?;
        Ok(config)
    }
}

/// Loads a section that has no more and no less than the fields that `archive` takes.
fn load(
    section: Section<'_>,
    known: u16,
    archive: &mut dyn FnMut(&mut Archive<'_>),
) -> Result<(), SnapshotError> {
    let Section { tag, version, contents } = section;
    if version == 0 || version > known {
        return Err(SnapshotError::SectionVersion { tag, found: version, known });
    }
    let mut a = Archive::load(contents, version);
    archive(&mut a);
    if a.left() > 0 {
        return Err(SnapshotError::Malformed { tag, why: "it is too long" });
    }
    if a.finish() { Ok(()) } else { Err(SnapshotError::Malformed { tag, why: "it is too short" }) }
}

impl Machine {
    /// Writes a state image. The machine can go on afterwards, and will do exactly what one does that is
    /// restored from the image.
    ///
    /// # Errors
    /// When `out` takes no more.
    pub fn save(&mut self, out: &mut impl Sink) -> Result<(), Broken> {
        self.save_with(out, &[])
    }

    /// The machine's files (BIOS, kernel, initial RAM disk, modules, as sections of an image are named) that images do
    /// not hold, since they are more than 24 MiB together. What is restored goes on, but finds no kernel to boot
    /// again when the guest resets it.
    pub fn left_out_of_images(&mut self) -> Vec<Tag> {
        describe::left_out(self.config_mut())
    }

    /// Writes a state image that has sections of the host's own in it.
    ///
    /// # Errors
    /// When `out` takes no more.
    pub fn save_with(&mut self, out: &mut impl Sink, host: &[HostSection]) -> Result<(), Broken> {
        self.forget_derived();
        let mut writer = Writer::new(out)?;
        let mut scratch = pages::Scratch::new();
        let mut section = Vec::new();
        describe::archive(self.config_mut(), &mut Archive::save(&mut section, describe::VERSION));
        writer.section(describe::TAG, describe::VERSION, &section)?;
        for (tag, file) in describe::files(self.config_mut()) {
            pages::save(&mut writer, tag, file.contents(), &mut scratch)?;
        }
        for one in host {
            writer.section(one.tag, one.version, &one.contents)?;
        }
        let mut result = Ok(());
        self.sections(|tag, version, archive| {
            section.clear();
            archive(&mut Archive::save(&mut section, version));
            if result.is_ok() {
                result = writer.section(Tag(tag), version, &section);
            }
        });
        result?;
        let (ram, vram) = (self.board.memory.ram_size(), self.board.memory.vram_range());
        let memory = self.board.memory.backing();
        if self.config().bios.is_empty() {
            pages::save(&mut writer, ROM, &memory[self.board.memory.rom_range()], &mut scratch)?;
        }
        pages::save(&mut writer, VRAM, &memory[vram], &mut scratch)?;
        pages::save(&mut writer, RAM, &memory[..ram], &mut scratch)?;
        writer.finish()
    }

    /// Builds a machine from a state image, in host memory as long as [`Config::memory_needed`] says. The
    /// configuration is the image's own ([`config`]), or one that agrees with it; files that it lacks come
    /// from the image.
    ///
    /// # Errors
    /// Says why the image cannot be used.
    pub fn restore(
        config: Config,
        memory: GuestMemory,
        image: &mut impl Source,
        options: RestoreOptions,
    ) -> Result<Restored, SnapshotError> {
        let mut reader = Reader::new(image)?;
        let mut opening = Opening::new();
        let mut memory = Some((config, memory));
        let mut loading = None;
        while let Some(section) = reader.next_section()? {
            if section.tag.0[0].is_ascii_lowercase() {
                continue;
            }
            if loading.is_none() {
                if opening.take(section)? {
                    continue;
                }
                let of_image = core::mem::replace(&mut opening, Opening::new()).finish()?;
                if let Some((config, memory)) = memory.take() {
                    loading = Some(Loading::begin(config, of_image, memory)?);
                }
            }
            if let Some(loading) = &mut loading {
                loading.take(section)?;
            }
        }
        match loading {
            Some(loading) => Ok(loading.finish(options)),
            None => Err(SnapshotError::Cut),
        }
    }
}

/// A machine being loaded.
struct Loading {
    machine: Machine,
    scratch: pages::Scratch,
    ram: pages::Loader,
    vram: pages::Loader,
    rom: pages::Loader,
    seen: Vec<Tag>,
    unknown: Vec<Tag>,
}

impl Loading {
    fn begin(wanted: Config, image: Config, memory: GuestMemory) -> Result<Self, SnapshotError> {
        describe::compare(&wanted, &image)?;
        let needed = image.memory_needed();
        if memory.len() < needed {
            return Err(ConfigError::HostMemory { needed, given: memory.len() }.into());
        }
        // What the image does not fix is the caller's, such as a kernel that was too long for the image.
        let config = Config {
            kernel: image.kernel.or(wanted.kernel),
            bios: image.bios,
            vga_bios: image.vga_bios,
            network_rom: image.network_rom,
            cards: image.cards,
            boot: image.boot,
            uuid: image.uuid,
            ..wanted
        };
        Ok(Self {
            machine: Machine::blank(config, memory)?,
            scratch: pages::Scratch::new(),
            ram: pages::Loader::new(),
            vram: pages::Loader::new(),
            rom: pages::Loader::new(),
            seen: Vec::new(),
            unknown: Vec::new(),
        })
    }

    fn take(&mut self, section: Section<'_>) -> Result<(), SnapshotError> {
        let tag = section.tag;
        let memory = &mut self.machine.board.memory;
        let range = match tag {
            RAM => 0..memory.ram_size(),
            VRAM => memory.vram_range(),
            ROM => memory.rom_range(),
            _ => return self.take_part(section),
        };
        if tag == ROM && !self.seen.contains(&ROM) {
            memory.rom_mut().fill(0);
        }
        self.note(tag);
        let loader = match tag {
            RAM => &mut self.ram,
            VRAM => &mut self.vram,
            _ => &mut self.rom,
        };
        loader.load(section, &mut self.machine.board.memory.backing_mut()[range], &mut self.scratch)
    }

    fn note(&mut self, tag: Tag) {
        if !self.seen.contains(&tag) {
            self.seen.push(tag);
        }
    }

    /// Loads a section of the processor, the board or a device.
    fn take_part(&mut self, section: Section<'_>) -> Result<(), SnapshotError> {
        let tag = section.tag;
        if self.seen.contains(&tag) {
            return Err(SnapshotError::Malformed { tag, why: "it is there twice" });
        }
        let mut result = None;
        self.machine.sections(|known, version, archive| {
            if Tag(known) == tag {
                result = Some(load(section, version, archive));
            }
        });
        match result {
            Some(result) => {
                self.note(tag);
                result
            }
            None => {
                if !self.unknown.contains(&tag) && self.unknown.len() < 64 {
                    self.unknown.push(tag);
                }
                Ok(())
            }
        }
    }

    fn finish(mut self, options: RestoreOptions) -> Restored {
        let mut missing = Vec::new();
        let seen = self.seen;
        self.machine.sections(|tag, _, _| {
            if !seen.contains(&Tag(tag)) {
                missing.push(Tag(tag));
            }
        });
        self.machine.settle_restored();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(options.seed);
        if self.machine.config().clock == ClockMode::Host {
            self.machine.seed_random(random.next_u64());
        }
        for card in 0..self.machine.config().cards.len() {
            let fresh = MacAddress::random(&mut random);
            self.machine.devices.ne2k.restored(card, options.mac, fresh);
        }
        Restored { machine: self.machine, unknown: self.unknown, missing }
    }
}

impl Machine {
    /// A machine as after a reset whose memory holds nothing, to be loaded.
    fn blank(config: Config, memory: GuestMemory) -> Result<Self, ConfigError> {
        let mut machine = Self::assemble(config, memory)?;
        machine.reset_hardware(&mut Host::null());
        // What devices put there when they were reset; pages that the image leaves out are zero.
        pages::clear(machine.board.memory.vram_mut());
        Ok(machine)
    }
}
