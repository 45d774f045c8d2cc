//! Standard VGA with the Bochs VBE extensions, as QEMU's `-vga std`.
//!
//! | file | what |
//! |---|---|
//! | `reg` | registers by name |
//! | `planes` | the CPU's ways into the four planes: write modes, latches, chain 4 |
//! | `vbe` | DISPI registers |
//! | `dac` | the palette |
//! | `timing` | where the beam is |
//! | `picture` | what the registers make of the screen |
//! | `draw` | lines of pixels from video RAM |
//! | `present` | at each retrace, what changed goes to the host |
//! | `screen` | the text on the screen |
//! | `start`, `font` | mode 3 for machines without a video BIOS |
//! | `edid` | the monitor's description |
//!
//! Spec: IBM VGA/XGA Technical Reference (1992), section 2; Bochs VBE display API (`vbe_display_api.txt`);
//! QEMU `docs/specs/standard-vga` for the PCI side.
//! Not emulated: changes within a frame (the picture is that of the registers at retrace), the vertical
//! interrupt, border, interlace, the counters' count-by-two and count-by-four and shift-load bits (shown as
//! if clear), blinking in graphics modes, cursor and display skew, light pen, feature connector.

mod dac;
mod draw;
mod edid;
mod font;
mod picture;
mod planes;
mod present;
mod reg;
mod screen;
mod start;
#[cfg(test)]
mod tests;
mod timing;
mod vbe;

pub use screen::{TextScreen, character};

use self::dac::Dac;
use self::draw::Pen;
use self::planes::Blocks;
use self::present::Shown;
use self::reg::{crtc, misc};
use self::vbe::{Effect, Vbe};
use super::pci::{Bar, BarTarget, Identity, ROM_BAR, Rom, Slot};
use super::{Bus, Device, DeviceId, MmioDevice, bytes_read, bytes_write};
use crate::archive::Archive;
use crate::board::Width;
use crate::config::Config;
use crate::host;
use crate::memory::{Memory, PAGE, PhysAddr, Target};
use crate::time::{Instant, Timer};
use alloc::vec::Vec;

/// First page of the window at A0000, and how many a bank has.
const WINDOW: usize = 0xA0;
const BANK_PAGES: usize = 16;
/// BAR 2.
const MMIO_SIZE: u32 = 0x1000;

/// The registers of the VGA proper.
struct Registers {
    misc: u8,
    feature: u8,
    enable: u8,
    seq_index: u8,
    gfx_index: u8,
    crtc_index: u8,
    attr_index: u8,
    /// The next write to 3C0 is data.
    attr_data: bool,
    seq: [u8; 8],
    gfx: [u8; 16],
    crtc: [u8; 32],
    attr: [u8; 32],
}
archive_fields!(Registers {
    misc,
    feature,
    enable,
    seq_index,
    gfx_index,
    crtc_index,
    attr_index,
    attr_data,
    seq,
    gfx,
    crtc,
    attr
});

impl Registers {
    const fn new() -> Self {
        Self {
            misc: misc::COLOR,
            feature: 0,
            enable: 1,
            seq_index: 0,
            gfx_index: 0,
            crtc_index: 0,
            attr_index: 0,
            attr_data: false,
            seq: [0; 8],
            gfx: [0; 16],
            crtc: [0; 32],
            attr: [0; 32],
        }
    }
}

/// The display adapter.
pub struct Vga {
    regs: Registers,
    dac: Dac,
    vbe: Vbe,
    /// The four latches, plane *n* in byte *n*.
    latch: u32,
    rom: Vec<u8>,
    /// There is no firmware that would set a mode.
    alone: bool,
    /// Plane offsets that VBE's planar modes wrap at.
    plane_mask: u32,
    /// Plane offsets written since the last retrace.
    blocks: Blocks,
    /// Planes 2 and 3, where fonts lie, were written since the last retrace.
    fonts_changed: bool,
    shown: Shown,
}

impl Vga {
    /// The present mode.
    #[must_use]
    pub fn mode(&self) -> host::Mode {
        self.picture().mode()
    }

    /// Draws the whole screen, blinking things visible, into rows that are `stride` pixels apart. Rows that
    /// `pixels` has no room for are left out.
    pub fn render(&self, memory: &Memory, pixels: &mut [u32], stride: usize) {
        let picture = self.picture();
        let colors = self.colors();
        let cursor = self.cursor(Instant::ZERO);
        let pen = Pen { picture: &picture, vram: memory.vram(), colors: &colors, cursor, blink_on: true };
        for (y, row) in (0..picture.height).zip(pixels.chunks_mut(stride.max(1))) {
            if let Some(out) = row.get_mut(..picture.width as usize) {
                pen.line(y, out);
            }
        }
    }

    /// Maps A0000 as memory while nothing stands between it and the CPU, and as a device otherwise.
    fn settle_window(&self, memory: &mut Memory) {
        let vram = memory.vram_range();
        if matches!(memory.target((WINDOW * PAGE) as PhysAddr, false), Target::Memory(at) if at < vram.start)
        {
            // The chipset shows RAM there (SMRAM).
            return;
        }
        let base = match self.vbe.linear_window() {
            Some(base) => Some(base),
            None if self.vbe.enabled() => None,
            None => self.regs.is_plain_chain_4().then_some(0),
        };
        let first = base.map_or(Target::Io, |base| Target::Memory(vram.start + base));
        if memory.target((WINDOW * PAGE) as PhysAddr, true) == first {
            return;
        }
        for n in 0..BANK_PAGES {
            let to = match base {
                Some(base) if base + n * PAGE < vram.len() => Target::Memory(vram.start + base + n * PAGE),
                _ => Target::Io,
            };
            memory.map_low(WINDOW + n, to, to);
        }
    }

    /// Brings the memory map in line with the registers, after a state image was loaded.
    pub(crate) fn reload(&self, memory: &mut Memory) {
        self.settle_window(memory);
    }

    fn write_vbe(&mut self, index: u16, value: u16, bus: &mut Bus<'_>) {
        match self.vbe.write(index, value) {
            Effect::None => return,
            Effect::Bank => {}
            Effect::Mode { clear } => {
                self.dac.wide = self.vbe.dac_8bit();
                if clear {
                    self.clear(&mut bus.board.memory);
                }
            }
        }
        self.settle_window(&mut bus.board.memory);
    }

    /// Clears what a new VBE mode shows.
    fn clear(&mut self, memory: &mut Memory) {
        let Some(linear) = self.vbe.linear() else { return };
        let len = linear.pitch.saturating_mul(linear.height as usize).min(memory.vram().len());
        let start = memory.vram_range().start;
        if linear.bpp == 4 {
            // Rows of the planes are not contiguous; whole banks are.
            let len = len.next_multiple_of(0x4_0000).min(memory.vram().len());
            memory.vram_mut()[..len].fill(0);
            memory.touched(start, len);
        } else {
            memory.vram_mut()[..len].fill(0);
            memory.touched(start, len);
        }
    }

    fn attribute_write(&mut self, value: u8) {
        if self.regs.attr_data {
            let index = usize::from(self.regs.attr_index & 0x1F);
            self.regs.attr[index] = if index < 16 { value & 0x3F } else { value };
        } else {
            self.regs.attr_index = value & 0x3F;
        }
        self.regs.attr_data = !self.regs.attr_data;
    }

    fn crtc_read(&self) -> u8 {
        match usize::from(self.regs.crtc_index) {
            n @ 0..=0x18 => self.regs.crtc[n],
            crtc::LATCH => (self.latch >> (8 * (self.regs.gfx[reg::gfx::READ_MAP] & 3))) as u8,
            crtc::FLIP_FLOP => u8::from(self.regs.attr_data) << 7,
            crtc::ATTRIBUTE_INDEX => self.regs.attr_index,
            _ => 0xFF,
        }
    }

    fn crtc_write(&mut self, value: u8) {
        let n = usize::from(self.regs.crtc_index);
        let protected = self.regs.crtc[crtc::V_RETRACE_END] & crtc::PROTECT != 0;
        match n {
            crtc::OVERFLOW if protected => {
                // Line compare bit 8 stays writable.
                self.regs.crtc[n] = self.regs.crtc[n] & !0x10 | value & 0x10;
            }
            0..=7 if protected => {}
            0..=0x18 => self.regs.crtc[n] = value,
            _ => {}
        }
    }

    /// Whether the CRTC's ports are at 3Dx (else at 3Bx) and `port` is one of them.
    const fn is_crtc_port(&self, port: u16) -> bool {
        (port & 0x3F0 == 0x3D0) == (self.regs.misc & misc::COLOR != 0)
    }

    fn port_read(&mut self, port: u16, now: Instant) -> u8 {
        match port {
            0x3C0 => self.regs.attr_index,
            0x3C1 => self.regs.attr[usize::from(self.regs.attr_index & 0x1F)],
            // The switch sense line says that a monitor is there.
            0x3C2 => 0x10,
            0x3C3 => self.regs.enable,
            0x3C4 => self.regs.seq_index,
            0x3C5 => self.regs.seq[usize::from(self.regs.seq_index & 7)],
            0x3C6 => self.dac.mask,
            0x3C7 => self.dac.state(),
            0x3C8 => self.dac.index(),
            0x3C9 => self.dac.read(),
            0x3CA => self.regs.feature,
            0x3CC => self.regs.misc,
            0x3CE => self.regs.gfx_index,
            0x3CF => self.regs.gfx[usize::from(self.regs.gfx_index & 15)],
            0x3B4 | 0x3D4 if self.is_crtc_port(port) => self.regs.crtc_index,
            0x3B5 | 0x3D5 if self.is_crtc_port(port) => self.crtc_read(),
            0x3BA | 0x3DA if self.is_crtc_port(port) => {
                self.regs.attr_data = false;
                self.timing().status(now)
            }
            _ => 0xFF,
        }
    }

    fn port_write(&mut self, port: u16, value: u8, memory: &mut Memory) {
        match port {
            0x3C0 => self.attribute_write(value),
            0x3C2 => {
                self.regs.misc = value;
                self.settle_window(memory);
            }
            0x3C3 => self.regs.enable = value & 1,
            0x3C4 => self.regs.seq_index = value & 7,
            0x3C5 => {
                self.regs.seq[usize::from(self.regs.seq_index & 7)] = value;
                self.settle_window(memory);
            }
            0x3C6 => self.dac.mask = value,
            0x3C7 => self.dac.start_read(value),
            0x3C8 => self.dac.start_write(value),
            0x3C9 => self.dac.write(value),
            0x3CE => self.regs.gfx_index = value & 15,
            0x3CF => {
                self.regs.gfx[usize::from(self.regs.gfx_index & 15)] = value;
                self.settle_window(memory);
            }
            0x3B4 | 0x3D4 if self.is_crtc_port(port) => self.regs.crtc_index = value & 0x3F,
            0x3B5 | 0x3D5 if self.is_crtc_port(port) => self.crtc_write(value),
            0x3BA | 0x3DA if self.is_crtc_port(port) => self.regs.feature = value & 3,
            _ => {}
        }
    }

    /// A read in BAR 2.
    fn bar2_read(&mut self, offset: u32, width: Width, now: Instant) -> u32 {
        match offset {
            0..=0x7F => {
                bytes_read(width, |n| edid::EDID.get(offset as usize + usize::from(n)).copied().unwrap_or(0))
            }
            0x80..=0x3FF => 0,
            0x400..=0x41F => bytes_read(width, |n| {
                let offset = offset as u16 + n;
                if offset < 0x420 { self.port_read(0x3C0 + (offset - 0x400), now) } else { 0xFF }
            }),
            0x500..=0x515 => {
                let index = (offset - 0x500) as u16 / 2;
                let low = u32::from(self.vbe.read(index)) >> (8 * (offset & 1));
                if width == Width::Dword { low | u32::from(self.vbe.read(index + 1)) << 16 } else { low }
            }
            // Size of this block, and the byte order of pixels: little-endian.
            0x600..=0x603 => 8,
            0x604..=0x607 => 0x1E1E_1E1E,
            _ => width.ones(),
        }
    }

    fn bar2_write(&mut self, offset: u32, width: Width, value: u32, bus: &mut Bus<'_>) {
        match offset {
            0x400..=0x41F => bytes_write(width, value, |n, byte| {
                let offset = offset as u16 + n;
                if offset < 0x420 {
                    self.port_write(0x3C0 + (offset - 0x400), byte, &mut bus.board.memory);
                }
            }),
            0x500..=0x515 if width >= Width::Word => {
                let index = (offset - 0x500) as u16 / 2;
                self.write_vbe(index, value as u16, bus);
                if width == Width::Dword {
                    self.write_vbe(index + 1, (value >> 16) as u16, bus);
                }
            }
            _ => {}
        }
    }
}

impl Device for Vga {
    const TAG: [u8; 4] = *b"VGA ";
    const WIDEST: Width = Width::Word;

    fn new(config: &Config) -> Self {
        Self {
            regs: Registers::new(),
            dac: Dac::new(),
            vbe: Vbe::new(config.video_memory),
            latch: 0,
            rom: config.vga_bios.clone(),
            alone: config.bios.is_empty() && config.kernel.is_some(),
            plane_mask: (config.video_memory / 4).max(1) as u32 - 1,
            blocks: Blocks::new(),
            fonts_changed: true,
            shown: Shown::new(config.video_memory),
        }
    }

    fn reset(&mut self, bus: &mut Bus<'_>) {
        self.regs = Registers::new();
        self.dac = Dac::new();
        self.vbe.reset();
        self.latch = 0;
        self.shown.forget();
        let vram = bus.board.memory.vram_range();
        let bar = |size, prefetch, target| Some(Bar::Memory { size, prefetch, target });
        let rom_size = self.rom.len().next_power_of_two().max(0x800) as u32;
        let identity = Identity {
            vendor: 0x1234,
            device: 0x1111,
            revision: 2,
            class: 0x03_00_00,
            subsystem: (0x1AF4, 0x1100),
            bars: [
                bar(vram.len() as u32, true, BarTarget::Backing(vram.start)),
                None,
                bar(MMIO_SIZE, false, BarTarget::Device(DeviceId::Vga)),
                None,
                None,
                None,
            ],
            rom: (!self.rom.is_empty())
                .then_some(Rom { size: rom_size, target: BarTarget::Device(DeviceId::Vga) }),
            ..Identity::default()
        };
        bus.board.add_pci(Slot::VGA, &identity);
        if self.alone {
            self.start_text(&mut bus.board.memory);
        }
        bus.board.mmio.claim(0xA_0000, 0x2_0000, DeviceId::Vga);
        self.settle_window(&mut bus.board.memory);
        let retrace = self.timing().next_retrace(bus.board.now);
        bus.board.timers.set(Timer::Retrace, retrace);
    }

    fn read(&mut self, port: u16, width: Width, bus: &mut Bus<'_>) -> u32 {
        match (port, width) {
            (0x1CE, Width::Word) => u32::from(self.vbe.index()),
            (0x1CF | 0x1D0, Width::Word) => u32::from(self.vbe.read(self.vbe.index())),
            (0x1CE..=0x1D1, _) => width.ones(),
            _ => bytes_read(width, |n| self.port_read(port + n, bus.board.now)),
        }
    }

    fn write(&mut self, port: u16, width: Width, value: u32, bus: &mut Bus<'_>) {
        match (port, width) {
            (0x1CE, Width::Word) => self.vbe.set_index(value as u16),
            (0x1CF | 0x1D0, Width::Word) => self.write_vbe(self.vbe.index(), value as u16, bus),
            (0x1CE..=0x1D1, _) => {}
            _ => bytes_write(width, value, |n, byte| {
                self.port_write(port.wrapping_add(n), byte, &mut bus.board.memory);
            }),
        }
    }

    fn expire(&mut self, _timer: Timer, bus: &mut Bus<'_>) {
        self.retrace(bus);
    }

    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.regs);
        a.field(&mut self.dac);
        a.field(&mut self.vbe);
        a.field(&mut self.latch);
        if a.is_loading() {
            self.shown.forget();
            self.fonts_changed = true;
        }
    }
}

impl MmioDevice for Vga {
    fn mmio_read(&mut self, at: PhysAddr, width: Width, bus: &mut Bus<'_>) -> u32 {
        if at < 0x10_0000 {
            return bytes_read(width, |n| self.cpu_read(at as u32 + u32::from(n), &bus.board.memory));
        }
        if let Some(offset) = within(bus.board.pci.bar(Slot::VGA, 2), MMIO_SIZE, at) {
            return self.bar2_read(offset, width, bus.board.now);
        }
        if let Some(offset) = within(bus.board.pci.bar(Slot::VGA, ROM_BAR), 0x1_0000, at) {
            return bytes_read(width, |n| {
                self.rom.get(offset as usize + usize::from(n)).copied().unwrap_or(0xFF)
            });
        }
        width.ones()
    }

    fn mmio_write(&mut self, at: PhysAddr, width: Width, value: u32, bus: &mut Bus<'_>) {
        if at < 0x10_0000 {
            bytes_write(width, value, |n, byte| {
                self.cpu_write(at as u32 + u32::from(n), byte, &mut bus.board.memory);
            });
        } else if let Some(offset) = within(bus.board.pci.bar(Slot::VGA, 2), MMIO_SIZE, at) {
            self.bar2_write(offset, width, value, bus);
        }
    }
}

/// Offset of `at` in the BAR at `bar`.
fn within(bar: Option<u32>, size: u32, at: PhysAddr) -> Option<u32> {
    let offset = at.checked_sub(PhysAddr::from(bar?))?;
    (offset < PhysAddr::from(size)).then_some(offset as u32)
}
