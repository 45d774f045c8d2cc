//! The PC's devices, one folder or file a chip, and the list of them all.
//!
//! A device calls the board and the host, never another device. Adding one is a file and a line in the
//! `devices!` list below.

pub mod acpi;
pub mod apic;
pub mod audio;
pub mod debug;
pub mod dma;
pub mod floppy;
pub mod fw_cfg;
pub mod ide;
pub mod ne2k;
pub mod pci;
pub mod pic;
pub mod pit;
pub mod port92;
pub mod ps2;
pub mod rtc;
pub mod sb16;
pub mod speaker;
pub mod uart;
pub mod vga;

use crate::archive::Archive;
use crate::board::{Board, Width};
use crate::config::Config;
use crate::host::Host;
use crate::memory::PhysAddr;
use crate::time::Timer;
use alloc::vec::Vec;

/// What a device may call: built for each access.
pub struct Bus<'m> {
    /// The main board.
    pub board: &'m mut Board,
    /// The world.
    pub host: &'m mut Host,
}

/// The shape of a device (never used as `dyn`).
pub trait Device: Sized {
    /// Name of its section in state images.
    const TAG: [u8; 4];
    /// Version of its section.
    const VERSION: u16 = 1;
    /// The widest access it takes; wider ones are split into accesses of this width.
    const WIDEST: Width = Width::Byte;

    /// Builds the device as the configuration asks. Ports that depend on the configuration are claimed in
    /// [`Device::reset`].
    fn new(config: &Config) -> Self;
    /// Power-on or reset line.
    fn reset(&mut self, bus: &mut Bus<'_>);
    /// A read of one of its ports.
    fn read(&mut self, port: u16, width: Width, bus: &mut Bus<'_>) -> u32;
    /// A write to one of its ports.
    fn write(&mut self, port: u16, width: Width, value: u32, bus: &mut Bus<'_>);
    /// A deadline that it set has come.
    fn expire(&mut self, timer: Timer, bus: &mut Bus<'_>);
    /// Saves or loads its registers.
    fn archive(&mut self, a: &mut Archive<'_>);
}

/// A device that answers physical addresses as well.
pub trait MmioDevice {
    /// A read of `width` at `at`.
    fn mmio_read(&mut self, at: PhysAddr, width: Width, bus: &mut Bus<'_>) -> u32;
    /// A write of `width` at `at`.
    fn mmio_write(&mut self, at: PhysAddr, width: Width, value: u32, bus: &mut Bus<'_>);
}

/// A device with ports that move data in blocks: many accesses to one port, as INS and OUTS repeat them, done
/// at once. It must leave the device as the single accesses would have.
pub trait BlockDevice {
    /// Does as many reads of `width` at `port` as fill the front of `bytes`; how many bytes that were. What is
    /// left is read one by one.
    fn read_block(&mut self, port: u16, width: Width, bytes: &mut [u8], bus: &mut Bus<'_>) -> usize;
    /// Does as many writes of `width` at `port` as take the front of `bytes`; how many bytes that were.
    fn write_block(&mut self, port: u16, width: Width, bytes: &[u8], bus: &mut Bus<'_>) -> usize;
}

macro_rules! devices {
    ($($(#[$doc:meta])* $name:ident: $Type:ty, $Id:ident, ports [$($ports:expr),*], timers [$($timer:ident),*] $(, $extra:ident)*;)*) => {
        /// Every device of the machine.
        pub struct Devices {
            $($(#[$doc])* pub $name: $Type,)*
        }

        /// Names a device.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        #[allow(missing_docs)]
        pub enum DeviceId { $($Id,)* }

        impl DeviceId {
            /// All devices in reset and state-image order.
            pub const ALL: &'static [DeviceId] = &[$(DeviceId::$Id,)*];
        }

        impl Devices {
            /// Builds them all and claims their fixed ports.
            #[must_use]
            pub fn new(config: &Config, board: &mut Board) -> Self {
                $($(board.io.claim($ports, DeviceId::$Id);)*)*
                let _ = &board;
                Self { $($name: <$Type as Device>::new(config),)* }
            }

            /// Resets them all.
            pub fn reset(&mut self, bus: &mut Bus<'_>) {
                $(self.$name.reset(bus);)*
            }

            /// A read of one port by its owner.
            pub fn read(&mut self, id: DeviceId, port: u16, width: Width, bus: &mut Bus<'_>) -> u32 {
                match id { $(DeviceId::$Id => self.$name.read(port, width, bus),)* }
            }

            /// A write to one port by its owner.
            pub fn write(&mut self, id: DeviceId, port: u16, width: Width, value: u32, bus: &mut Bus<'_>) {
                match id { $(DeviceId::$Id => self.$name.write(port, width, value, bus),)* }
            }

            /// A memory-mapped read.
            #[allow(unused_variables)]
            pub fn mmio_read(&mut self, id: DeviceId, at: PhysAddr, width: Width, bus: &mut Bus<'_>) -> u32 {
                $($(devices!(@mmio $extra if id == DeviceId::$Id { return self.$name.mmio_read(at, width, bus); });)*)*
                width.ones()
            }

            /// A memory-mapped write.
            #[allow(unused_variables)]
            pub fn mmio_write(&mut self, id: DeviceId, at: PhysAddr, width: Width, value: u32, bus: &mut Bus<'_>) {
                $($(devices!(@mmio $extra if id == DeviceId::$Id { return self.$name.mmio_write(at, width, value, bus); });)*)*
            }

            /// Whether a device moves blocks.
            #[must_use]
            pub fn moves_blocks(id: DeviceId) -> bool {
                $($(devices!(@block $extra if id == DeviceId::$Id { return true; });)*)*
                false
            }

            /// A block read from one port by its owner.
            #[allow(unused_variables)]
            pub fn read_block(&mut self, id: DeviceId, port: u16, width: Width, bytes: &mut [u8], bus: &mut Bus<'_>) -> usize {
                $($(devices!(@block $extra if id == DeviceId::$Id { return self.$name.read_block(port, width, bytes, bus); });)*)*
                0
            }

            /// A block written to one port by its owner.
            #[allow(unused_variables)]
            pub fn write_block(&mut self, id: DeviceId, port: u16, width: Width, bytes: &[u8], bus: &mut Bus<'_>) -> usize {
                $($(devices!(@block $extra if id == DeviceId::$Id { return self.$name.write_block(port, width, bytes, bus); });)*)*
                0
            }

            /// The widest access that a device takes.
            #[must_use]
            pub const fn widest(id: DeviceId) -> Width {
                match id { $(DeviceId::$Id => <$Type as Device>::WIDEST,)* }
            }

            /// A deadline has come.
            #[allow(unused_variables)]
            pub fn expire(&mut self, timer: Timer, bus: &mut Bus<'_>) {
                match timer {
                    $($(Timer::$timer => self.$name.expire(timer, bus),)*)*
                    #[allow(unreachable_patterns)]
                    _ => {}
                }
            }

            /// Calls `visit` with tag, version and archive function of each device in order.
            pub fn sections(&mut self, mut visit: impl FnMut([u8; 4], u16, &mut dyn FnMut(&mut Archive<'_>))) {
                $(visit(<$Type as Device>::TAG, <$Type as Device>::VERSION, &mut |a| self.$name.archive(a));)*
            }
        }

        #[cfg(test)]
        mod what_is_saved_is_loaded_and_saved_the_same {
            use super::*;
            $(#[test]
            fn $name() {
                check::<$Type>();
            })*
        }
    };
    (@mmio mmio $($then:tt)*) => { $($then)* };
    (@block block $($then:tt)*) => { $($then)* };
    (@$other:ident $extra:ident $($then:tt)*) => {};
}

devices! {
    /// isa-debug-exit, debug console and POST port.
    debug: debug::Debug, Debug, ports [], timers [];
    /// The 8259A pair.
    pic: pic::Pic, Pic, ports [0x20..=0x21, 0xA0..=0xA1, 0x4D0..=0x4D1], timers [];
    /// The 8254 and port 61.
    pit: pit::Pit, Pit, ports [0x40..=0x43, 0x61..=0x61], timers [Pit];
    /// The MC146818 and its CMOS RAM.
    rtc: rtc::Rtc, Rtc, ports [0x70..=0x71], timers [RtcPeriodic, RtcUpdate];
    /// Four 16550A.
    uart: uart::Uarts, Uart, ports [0x3F8..=0x3FF, 0x2F8..=0x2FF, 0x3E8..=0x3EF, 0x2E8..=0x2EF], timers [Uart0, Uart1, Uart2, Uart3];
    /// The 8237 pair's ports.
    dma: dma::Dma, Dma, ports [0x00..=0x0F, 0x80..=0x8F, 0xC0..=0xDF], timers [];
    /// Port 92.
    port92: port92::Port92, Port92, ports [0x92..=0x92], timers [];
    /// Sound output.
    audio: audio::Mixer, Audio, ports [], timers [Audio];
    /// 82077AA floppy controller.
    floppy: floppy::Floppy, Floppy, ports [0x3F0..=0x3F5, 0x3F7..=0x3F7], timers [Floppy];
    /// PIIX IDE.
    ide: ide::Ide, Ide, ports [0x1F0..=0x1F7, 0x3F6..=0x3F6, 0x170..=0x177, 0x376..=0x376], timers [Ide0, Ide1];
    /// PCI configuration mechanism 1.
    pci: pci::PciHost, Pci, ports [0xCF8..=0xCFF], timers [];
    /// Keyboard controller, keyboard and mouse.
    ps2: ps2::Ps2, Ps2, ports [0x60..=0x60, 0x64..=0x64], timers [Ps2];
    /// PIIX4 power management: ACPI registers, SMI command port, PCI hot plug.
    acpi: acpi::Acpi, Acpi, ports [0xB2..=0xB3, 0xAE00..=0xAE17, 0xAFE0..=0xAFE3], timers [AcpiPm];
    /// Firmware configuration interface.
    fw_cfg: fw_cfg::FwCfg, FwCfg, ports [], timers [];
    /// Local APIC and IOAPIC.
    apic: apic::Apic, Apic, ports [], timers [Apic], mmio;
    /// Sound Blaster 16.
    sb16: sb16::Sb16, Sb16, ports [0x220..=0x22F], timers [Sb16];
    /// NE2000 network cards.
    ne2k: ne2k::Ne2k, Ne2k, ports [], timers [Net0, Net1, Net2, Net3], mmio, block;
    /// Display adapter.
    vga: vga::Vga, Vga, ports [0x1CE..=0x1D1, 0x3B0..=0x3BB, 0x3C0..=0x3DF], timers [Retrace], mmio;
}

/// Reads through byte accesses: for chips with registers of 8 bits.
pub fn bytes_read(width: Width, mut byte: impl FnMut(u16) -> u8) -> u32 {
    (0..width as u16).fold(0, |value, n| value | u32::from(byte(n)) << (8 * n))
}

/// Writes through byte accesses.
pub fn bytes_write(width: Width, value: u32, mut byte: impl FnMut(u16, u8)) {
    for n in 0..width as u16 {
        byte(n, (value >> (8 * n)) as u8);
    }
}

/// Saves a device.
pub fn save_section<D: Device>(device: &mut D) -> Vec<u8> {
    let mut image = Vec::new();
    device.archive(&mut Archive::save(&mut image, D::VERSION));
    image
}

#[cfg(test)]
fn check<D: Device>() {
    let config = Config { cards: alloc::vec::Vec::new(), ..Config::default() };
    let mut board = testing::board(&config);
    let mut host = Host::null();
    let mut device = D::new(&config);
    device.reset(&mut Bus { board: &mut board, host: &mut host });
    let image = save_section(&mut device);
    // A pattern in every field, then the saved state again: nothing may be left over.
    let noise: Vec<u8> = (0..image.len()).map(|n| (n * 37 + 11) as u8).collect();
    let mut a = Archive::load(&noise, D::VERSION);
    device.archive(&mut a);
    assert!(a.finish());
    let mut a = Archive::load(&image, D::VERSION);
    device.archive(&mut a);
    assert!(a.finish(), "a device loads as many bytes as it saves");
    assert_eq!(save_section(&mut device), image);
}

#[cfg(test)]
pub(crate) mod testing;
