//! Random programs: a few basic blocks of random instructions with branches, loops and calls among them, and
//! the processor and pages that they start with. Everything follows from one seed.

use super::encode::Encoder;
use super::layout::{ALIAS, CODE, CODE_PAGES, DATA, DATA_PAGES, DEVICE, NOTHING, PAGE, ROM, selector};
use crate::random::{FxKind, Lanes, Rng, fx_image};
use nomad86::isa::Row;

/// How addresses come about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Addresses {
    /// Protected mode, flat 32-bit segments.
    Flat,
    /// Protected mode, 32-bit segments with base and limit.
    Based,
    /// Protected mode, 16-bit segments.
    Narrow,
    /// Real mode.
    Real,
    /// Virtual-8086 mode.
    V86,
}

/// What exception handlers do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handlers {
    /// HLT.
    Halt,
    /// Return to one of these offsets.
    Resume {
        /// Offsets in the code segment.
        targets: Vec<u32>,
    },
}

/// One instruction of a program, by its place (physical, in the code pages).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Physical address of its first byte.
    pub at: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A random program.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it was made from.
    pub seed: u64,
    /// Segments.
    pub addresses: Addresses,
    /// CPL 3 (in protected mode).
    pub user: bool,
    /// Page tables are used.
    pub paged: bool,
    /// Exceptions.
    pub handlers: Handlers,
    /// Flags are compared wherever the run stops, and handlers may go anywhere.
    pub precise: bool,
    /// Instructions.
    pub code: Vec<Placed>,
    /// Offsets of blocks in the code segment.
    pub starts: Vec<u32>,
    /// Where it begins.
    pub entry: u32,
    /// EAX ECX EDX EBX ESP EBP ESI EDI.
    pub registers: [u32; 8],
    /// Flags.
    pub eflags: u32,
    /// IOPL.
    pub iopl: u8,
    /// Additional bits of CR0.
    pub cr0: u32,
    /// Selectors of FS and GS.
    pub fs_gs: [u16; 2],
    /// x87 and SSE state.
    pub fx: Option<Box<[u8; 512]>>,
    /// Page-table entries below 4 MiB: linear address, entry.
    pub pages: Vec<(u32, u32)>,
    /// Instructions to be executed in all.
    pub length: u64,
    /// Ends at the first HLT instead of going on at another block.
    pub once: bool,
}

impl Program {
    /// A line that tells programs apart.
    #[must_use]
    pub fn summary(&self) -> String {
        format!(
            "seed {} {:?} CPL {} {} {} flags, handlers {}",
            self.seed,
            self.addresses,
            if self.user() { 3 } else { 0 },
            if self.paging() { "paged" } else { "unpaged" },
            if self.precise { "exact" } else { "live" },
            if matches!(self.handlers, Handlers::Halt) { "halt" } else { "resume" },
        )
    }

    /// Linear addresses at which its code can be reached.
    #[must_use]
    pub fn code_windows(&self) -> Vec<u32> {
        if self.paging() && self.addresses == Addresses::Flat { vec![CODE, ALIAS] } else { vec![CODE] }
    }

    /// A program that is written down: pieces of code by physical address, flat, without paging, at CPL 0. It
    /// begins with the first piece and ends at the first HLT.
    #[must_use]
    pub fn written(pieces: &[(u32, &[u8])]) -> Self {
        let code: Vec<Placed> =
            pieces.iter().map(|&(at, bytes)| Placed { at, bytes: bytes.to_vec() }).collect();
        let entry = code.first().map_or(CODE, |placed| placed.at);
        Self {
            seed: 1,
            addresses: Addresses::Flat,
            user: false,
            paged: false,
            handlers: Handlers::Halt,
            precise: true,
            starts: vec![entry],
            code,
            entry,
            registers: [0, 0, 0, 0, DATA + 3 * PAGE, DATA, DATA, DATA],
            eflags: 2,
            iopl: 0,
            cr0: 1 << 16,
            fs_gs: [selector::USER.1; 2],
            fx: None,
            pages: Vec::new(),
            length: 100_000,
            once: true,
        }
    }

    /// The same with paging: code and data present, writable, and mapped a second time at [`ALIAS`].
    #[must_use]
    pub fn with_paging(mut self) -> Self {
        self.paged = true;
        self.pages = (0..CODE_PAGES + DATA_PAGES)
            .flat_map(|page| {
                [
                    (CODE + page * PAGE, (CODE + page * PAGE) | 7),
                    (ALIAS + page * PAGE, (CODE + page * PAGE) | 7),
                ]
            })
            .collect();
        self
    }

    /// Whether page tables are used.
    #[must_use]
    pub fn paging(&self) -> bool {
        self.paged && self.addresses != Addresses::Real
    }

    /// Whether it runs at CPL 3.
    #[must_use]
    pub fn user(&self) -> bool {
        match self.addresses {
            Addresses::Real => false,
            Addresses::V86 => true,
            _ => self.user,
        }
    }

    /// Whether code has 32-bit defaults.
    #[must_use]
    pub fn code32(&self) -> bool {
        matches!(self.addresses, Addresses::Flat | Addresses::Based)
    }

    /// Base of the code segment.
    #[must_use]
    pub fn code_base(&self) -> u32 {
        match self.addresses {
            Addresses::Flat => 0,
            Addresses::Based => CODE - 0x1000,
            _ => CODE,
        }
    }

    /// Base of the data segments.
    #[must_use]
    pub fn data_base(&self) -> u32 {
        match self.addresses {
            Addresses::Flat => 0,
            Addresses::Based => DATA - 0x1000,
            _ => DATA,
        }
    }

    /// The program of a seed. `rows` are those for live flags and those for exact ones.
    #[must_use]
    pub fn random(seed: u64, rows: &[Rows; 2]) -> Self {
        let mut rng = Rng::new(seed);
        let addresses = match rng.below(20) {
            0..8 => Addresses::Flat,
            8..11 => Addresses::Based,
            11..14 => Addresses::Narrow,
            14..17 => Addresses::Real,
            17..19 => Addresses::V86,
            _ => rng.pick(&[Addresses::Narrow, Addresses::Flat]),
        };
        let precise = rng.percent(60);
        let mut program = Self {
            seed,
            addresses,
            user: rng.percent(50),
            paged: rng.percent(60),
            handlers: Handlers::Halt,
            precise,
            code: Vec::new(),
            starts: Vec::new(),
            entry: 0,
            registers: [0; 8],
            eflags: rng.bits() as u32 & 0x8D5,
            iopl: if rng.percent(50) { 3 } else { 0 },
            cr0: 0,
            fs_gs: [
                rng.pick(&selector::ALL[1..]),
                rng.pick(&[selector::SMALL, 0x23, selector::BASED[1].1, 0]),
            ],
            fx: None,
            pages: Vec::new(),
            length: u64::from(rng.within(60..260)),
            once: false,
        };
        for (flag, percent) in [(0x400, 20), (0x200, 50), (0x100, 1), (0x4_0000, 4)] {
            if rng.percent(percent) {
                program.eflags |= flag;
            }
        }
        for (bit, percent) in [(1 << 3, 4), (1 << 2, 2), (1 << 16, 70), (1 << 18, 30)] {
            if rng.percent(percent) {
                program.cr0 |= bit;
            }
        }
        if program.paging() {
            program.pages = pages(&mut rng, program.user());
        }
        program.registers = std::array::from_fn(|_| rng.integer(32) as u32);
        for register in [3, 5, 6, 7] {
            program.registers[register] = program.pointer(&mut rng);
        }
        // Pushes go to data that is most likely there.
        let top = (DATA + 2 * PAGE + rng.within(0x200..0x1000)) & !3;
        program.registers[4] = top - program.data_base();
        if rng.percent(60) {
            let lanes = rng.pick(&[Lanes::F32, Lanes::F64, Lanes::Integer]);
            let kind = FxKind { lanes, mmx: rng.percent(30), unmasked: rng.percent(15) };
            program.fx = Some(Box::new(fx_image(&mut rng, kind)));
        }
        Encoder::new(&mut program, &rows[usize::from(precise)], &mut rng).build();
        // Where flags need not be right for handlers, handlers must not look.
        if precise && rng.percent(80) {
            let targets = (0..8).map(|_| rng.pick(&program.starts)).collect();
            program.handlers = Handlers::Resume { targets };
        }
        program.entry = rng.pick(&program.starts);
        program
    }

    /// An offset in the data segments of something to read or write, mostly.
    pub(super) fn pointer(&self, rng: &mut Rng) -> u32 {
        let page = rng.below(DATA_PAGES) * PAGE;
        let within = match rng.below(8) {
            0 => PAGE - 1 - rng.below(8),
            1 => rng.below(8),
            2..5 => rng.within(0x100..0xF00),
            _ => rng.within(0x100..0xF00) & !15,
        };
        let linear = match rng.below(40) {
            0 if !self.paging() => DEVICE + within,
            1 if !self.paging() => ROM + within,
            0..3 if self.paging() => ALIAS + CODE_PAGES * PAGE + page + within,
            3 => CODE + within,
            4 if self.paging() => ALIAS + within,
            5 => NOTHING + within,
            _ => DATA + page + within,
        };
        linear.wrapping_sub(self.data_base())
    }
}

/// Rows that programs are made of.
pub struct Rows {
    /// Integer instructions that do not end a block.
    pub(super) integer: Vec<&'static Row>,
    /// x87, MMX and SSE.
    pub(super) vector: Vec<&'static Row>,
    /// System instructions and others that end a block.
    pub(super) system: Vec<&'static Row>,
    /// String instructions.
    pub(super) string: Vec<&'static Row>,
}

/// Page-table entries for code, data and their aliases.
fn pages(rng: &mut Rng, user: bool) -> Vec<(u32, u32)> {
    const P: u32 = 1;
    const W: u32 = 2;
    const U: u32 = 4;
    const AD: u32 = 0x60;
    let mut pages = Vec::new();
    let u = if user { U } else { 0 };
    for page in 0..CODE_PAGES {
        let at = CODE + page * PAGE;
        let write = if rng.percent(70) { W } else { 0 };
        pages.push((at, at | P | write | u | rng.pick(&[0, AD, 0x20])));
        pages.push((ALIAS + page * PAGE, at | P | W | u | rng.pick(&[0, AD])));
    }
    for page in 0..DATA_PAGES {
        let at = DATA + page * PAGE;
        let usual = at | P | W | u;
        let entry = match rng.below(24) {
            // The stack's pages most likely work.
            _ if page == 2 && rng.percent(90) => usual,
            0 => 0,
            1 => at | P | u,
            2 => at | P | W,
            3 => (DEVICE + page * PAGE) | P | W | u,
            4 => ROM | P | W | u,
            5 => NOTHING | P | W | u,
            6 => (CODE + (page % CODE_PAGES) * PAGE) | P | W | u,
            _ => usual,
        };
        pages.push((at, entry | if entry == 0 { 0 } else { rng.pick(&[0, AD, 0x20]) }));
        let other = DATA + rng.below(DATA_PAGES) * PAGE;
        let rights = rng.pick(&[P | W | u, P | u, P | W, P | W | U]);
        pages.push((ALIAS + (CODE_PAGES + page) * PAGE, other | rights | rng.pick(&[0, AD])));
    }
    pages
}
