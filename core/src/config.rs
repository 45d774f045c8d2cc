//! What machine to build: typed, checked once by [`Config::validate`].

use crate::bytes::Bytes;
use crate::net::MacAddress;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The processor that CPUID and its feature set describe.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CpuModel {
    /// Intel 486DX: no CPUID features beyond the FPU.
    I486,
    /// Pentium with MMX.
    Pentium,
    /// Pentium II class.
    P6,
    /// Pentium 4 class with SSE2: the default, which every 32-bit system knows.
    #[default]
    Pentium4,
    /// Everything that the emulator has, up to SSE4.2, AES and RDRAND.
    Max,
}

/// How virtual time passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ClockMode {
    /// With the host's clock.
    #[default]
    Host,
    /// With executed instructions, `picoseconds` each: the same run every time.
    Virtual {
        /// Virtual picoseconds that an instruction takes.
        picoseconds: u32,
    },
}

/// A Linux kernel (bzImage) or multiboot kernel started without a boot disk.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    /// The kernel file.
    pub image: Bytes,
    /// The initial RAM disk.
    pub initrd: Option<Bytes>,
    /// Multiboot modules: contents and command line.
    pub modules: Vec<(Bytes, String)>,
    /// Kernel command line.
    pub command_line: String,
}

/// Which network card.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CardModel {
    /// RTL8029AS: an NE2000 on PCI.
    #[default]
    Ne2kPci,
    /// NE2000 on ISA.
    Ne2kIsa {
        /// First of its 32 ports.
        base: u16,
        /// Interrupt line.
        irq: u8,
    },
}

/// A network card.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Card {
    /// Model.
    pub model: CardModel,
    /// Address burnt into its PROM.
    pub mac: MacAddress,
}

/// What a slot of the IDE channels holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum IdeSlot {
    /// Nothing.
    #[default]
    Empty,
    /// A hard disk.
    Disk,
    /// A CD-ROM drive, whose medium may come and go.
    Cdrom,
}

/// A boot device, as firmware orders them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BootDevice {
    /// First floppy drive.
    Floppy,
    /// First hard disk.
    Disk,
    /// CD-ROM.
    Cdrom,
    /// Network card's option ROM.
    Network,
}

/// The port that ends the machine with a code (QEMU's isa-debug-exit).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DebugExit {
    /// First port.
    pub base: u16,
    /// Number of ports.
    pub size: u16,
}

/// What machine to build.
///
/// ```
/// use nomad86::config::{Config, ConfigError, CpuModel};
///
/// let config = Config { memory: 64 << 20, cpu: CpuModel::Pentium, ..Config::default() };
/// assert_eq!(config.validate(), Ok(()));
/// let odd = Config { memory: 1000, ..config };
/// assert_eq!(odd.validate(), Err(ConfigError::Memory(1000)));
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// RAM in bytes: a multiple of 1 MiB, up to 3 GiB.
    pub memory: usize,
    /// Video RAM in bytes: a power of two from 1 MiB on.
    pub video_memory: usize,
    /// Processor.
    pub cpu: CpuModel,
    /// Clock.
    pub clock: ClockMode,
    /// System BIOS image, placed under 1 MiB and under 4 GiB: 64, 128 or 256 KiB.
    pub bios: Vec<u8>,
    /// Whether the machine has its own firmware interface (fw_cfg, tables); off for a lone test BIOS.
    pub firmware_tables: bool,
    /// VGA BIOS, given to the firmware as the option ROM of the display adapter.
    pub vga_bios: Vec<u8>,
    /// Kernel to start directly.
    pub kernel: Option<Kernel>,
    /// Boot order.
    pub boot: Vec<BootDevice>,
    /// Drives on the IDE channels.
    pub ide: [IdeSlot; 4],
    /// Floppy drives present.
    pub floppies: u8,
    /// Network cards.
    pub cards: Vec<Card>,
    /// Boot ROM of the NE2000 PCI cards; empty for none.
    pub network_rom: Vec<u8>,
    /// isa-debug-exit.
    pub debug_exit: Option<DebugExit>,
    /// Debug console port (0xE9 by default).
    pub debug_port: Option<u16>,
    /// Port whose writes go to the host as POST codes.
    pub post_port: Option<u16>,
    /// RTC keeps local time offset from UTC, in seconds.
    pub rtc_offset: i64,
    /// Unique machine id given to the guest by firmware tables.
    pub uuid: [u8; 16],
}

impl Default for Config {
    fn default() -> Self {
        Self {
            memory: 128 << 20,
            video_memory: 16 << 20,
            cpu: CpuModel::default(),
            clock: ClockMode::default(),
            bios: Vec::new(),
            firmware_tables: true,
            vga_bios: Vec::new(),
            kernel: None,
            boot: Vec::new(),
            ide: [IdeSlot::Empty; 4],
            floppies: 1,
            cards: Vec::new(),
            network_rom: Vec::new(),
            debug_exit: None,
            debug_port: Some(0xE9),
            post_port: None,
            rtc_offset: 0,
            uuid: [0; 16],
        }
    }
}

/// Bytes of ROM in every machine's backing.
pub const ROM_SIZE: usize = 256 << 10;

/// What is wrong with a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigError {
    /// RAM size, in bytes.
    Memory(usize),
    /// Video RAM size, in bytes.
    VideoMemory(usize),
    /// BIOS image size, in bytes.
    BiosSize(usize),
    /// VGA BIOS image size, in bytes.
    VgaBiosSize(usize),
    /// Boot ROM image size, in bytes.
    NetworkRomSize(usize),
    /// There is neither firmware nor a kernel.
    NothingToBoot,
    /// More cards than the machine has places for.
    TooManyCards(usize),
    /// The kernel is of no kind that can be started.
    Kernel(&'static str),
    /// The memory given is smaller than the configuration needs.
    HostMemory {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(n) => {
                write!(f, "RAM of {n} bytes: give a whole number of MiB from 1 to 3072")
            }
            Self::VideoMemory(n) => {
                write!(f, "video RAM of {n} bytes: give a power of two from 1 MiB to 256 MiB")
            }
            Self::BiosSize(n) => {
                write!(f, "BIOS image of {n} bytes: a BIOS has 64, 128 or 256 KiB")
            }
            Self::VgaBiosSize(n) => {
                write!(f, "VGA BIOS image of {n} bytes: an option ROM has 512 bytes to 64 KiB")
            }
            Self::NetworkRomSize(n) => {
                write!(f, "network boot ROM of {n} bytes: an option ROM has 512 bytes to 512 KiB")
            }
            Self::NothingToBoot => write!(f, "no BIOS and no kernel: give one of them"),
            Self::TooManyCards(n) => write!(f, "{n} network cards: the machine takes up to 4"),
            Self::Kernel(why) => write!(f, "the kernel cannot be started: {why}"),
            Self::HostMemory { needed, given } => {
                write!(f, "the machine needs {needed} bytes of host memory, {given} were given")
            }
        }
    }
}

impl core::error::Error for ConfigError {}

impl Config {
    /// Bytes of host memory for [`crate::memory::GuestMemory`].
    #[must_use]
    pub const fn memory_needed(&self) -> usize {
        self.memory + self.video_memory + ROM_SIZE
    }

    /// Checks sizes and combinations.
    ///
    /// # Errors
    /// Names the first thing that cannot be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.memory & 0xF_FFFF != 0 || !(1 << 20..=3072 << 20).contains(&self.memory) {
            return Err(ConfigError::Memory(self.memory));
        }
        if !self.video_memory.is_power_of_two() || !(1 << 20..=256 << 20).contains(&self.video_memory) {
            return Err(ConfigError::VideoMemory(self.video_memory));
        }
        if !matches!(self.bios.len(), 0 | 0x1_0000 | 0x2_0000 | 0x4_0000) {
            return Err(ConfigError::BiosSize(self.bios.len()));
        }
        if !self.vga_bios.is_empty() && !(512..=0x1_0000).contains(&self.vga_bios.len()) {
            return Err(ConfigError::VgaBiosSize(self.vga_bios.len()));
        }
        if !self.network_rom.is_empty() && !(512..=0x8_0000).contains(&self.network_rom.len()) {
            return Err(ConfigError::NetworkRomSize(self.network_rom.len()));
        }
        if self.cards.len() > 4 {
            return Err(ConfigError::TooManyCards(self.cards.len()));
        }
        Ok(())
    }
}
