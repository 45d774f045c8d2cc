//! What a row of the instruction table says, the macro that writes rows, and the index made from them at
//! compile time.

use super::inst::Handler;

/// Sets of status flags, as rows list them.
pub mod flags {
    /// The carry flag.
    pub const C: u8 = 1 << 0;
    /// The parity flag.
    pub const P: u8 = 1 << 1;
    /// The adjust flag.
    pub const A: u8 = 1 << 2;
    /// The zero flag.
    pub const Z: u8 = 1 << 3;
    /// The sign flag.
    pub const S: u8 = 1 << 4;
    /// The overflow flag.
    pub const O: u8 = 1 << 5;
    /// The direction flag (read only by string instructions).
    pub const D: u8 = 1 << 6;
    /// None.
    pub const N: u8 = 0;
    /// All six status flags.
    pub const OSZAPC: u8 = O | S | Z | A | P | C;
    /// All but carry.
    pub const OSZAP: u8 = O | S | Z | A | P;
    /// All but overflow.
    pub const SZAPC: u8 = S | Z | A | P | C;
    /// Carry and overflow.
    pub const OC: u8 = O | C;
    /// Adjust and carry.
    pub const AC: u8 = A | C;
    /// Zero, parity and carry (as x87 and SSE compares write, with the others cleared).
    pub const ZPC: u8 = Z | P | C;
    /// Carry and zero.
    pub const CZ: u8 = C | Z;
    /// Sign and overflow.
    pub const SO: u8 = S | O;
    /// Zero, sign and overflow.
    pub const ZSO: u8 = Z | S | O;
    /// Carry and direction.
    pub const DOSZAPC: u8 = D | OSZAPC;
}

/// Status flags.
pub type Flags = u8;

/// How an operand is encoded and how wide it is. The letters follow the opcode map of the Intel SDM, volume 2,
/// appendix A.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Operand {
    None,
    // ModRM r/m: general register or memory.
    Eb,
    Ew,
    Ed,
    Ev,
    // ModRM reg: general register.
    Gb,
    Gw,
    Gd,
    Gv,
    // Low three bits of the opcode: general register.
    Zb,
    Zv,
    Zd,
    // Fixed registers.
    AL,
    AX,
    EAX,
    CL,
    DX,
    ES,
    CS,
    SS,
    DS,
    FS,
    GS,
    // Immediates; Ibs is a byte that is sign-extended to the operand size.
    Ib,
    Iw,
    Iz,
    Ibs,
    One,
    // Relative branch targets.
    Jb,
    Jz,
    // Direct far pointer.
    Ap,
    // Direct memory offset.
    Ob,
    Ov,
    // ModRM memory only: byte, word, dword, qword, ten bytes, sixteen bytes (aligned; Mu: or not), operand size,
    // far pointer, two operands (BOUND), descriptor-table register, x87 environment and state, any (LEA).
    Mb,
    Mw,
    Md,
    Mq,
    Mt,
    Mx,
    Mu,
    Mv,
    Mp,
    Ma,
    Ms,
    Menv,
    Msave,
    Mfx,
    M,
    // ModRM reg: segment, control, debug register.
    Sw,
    Cd,
    Dd,
    // ModRM r/m, always a register; Rn: which one means nothing.
    Rd,
    Rv,
    Rn,
    // String operands.
    Xb,
    Xv,
    Yb,
    Yv,
    // x87 stack registers.
    St0,
    Sti,
    // MMX: reg; r/m or 64 or 32 bits of memory; r/m register only.
    Pq,
    Qq,
    Qd,
    Nq,
    // XMM: reg; r/m or 128 (aligned; Wu: or not), 64, 32, 16 bits of memory; r/m register only; implied XMM0.
    Vx,
    Wx,
    Wu,
    Wq,
    Wd,
    Ww,
    Ux,
    Xmm0,
    // General register or narrower memory (PINSRB, PEXTRB, PEXTRW).
    RdMb,
    RdMw,
}

impl Operand {
    /// Whether it is the r/m operand of ModRM.
    #[must_use]
    pub const fn is_rm(self) -> bool {
        use Operand::*;
        matches!(
            self,
            Eb | Ew | Ed | Ev | Rd | Rv | Rn | Sti | Qq | Qd | Nq | Wx | Wu | Wq | Wd | Ww | Ux | RdMb | RdMw
        ) || self.is_memory_only()
    }

    /// Whether it cannot be a register.
    #[must_use]
    pub const fn is_memory_only(self) -> bool {
        use Operand::*;
        matches!(self, Mb | Mw | Md | Mq | Mt | Mx | Mu | Mv | Mp | Ma | Ms | Menv | Msave | Mfx | M)
    }

    /// Whether it is the reg operand of ModRM.
    #[must_use]
    pub const fn is_reg(self) -> bool {
        use Operand::*;
        matches!(self, Gb | Gw | Gd | Gv | Sw | Cd | Dd | Pq | Vx)
    }
}

/// Which mandatory prefix selects the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prefix {
    /// Any: 66 changes the operand size, F2 and F3 mean nothing or repeat.
    Any,
    /// None of 66, F2, F3.
    NP,
    /// 66.
    P66,
    /// F3.
    PF3,
    /// F2.
    PF2,
}

/// How an engine other than the interpreter treats the row: the emitter that knows it. An engine without that
/// emitter calls the interpreter's function, which always serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lowering {
    /// Call the interpreter's function.
    Call,
    /// Call the interpreter's function and end the block: it may change the mode, the interrupt flag, the
    /// address space or the world outside.
    End,
    /// The row's own encoding serves, with the memory operand replaced, which is read.
    Same,
    /// The row's own encoding serves, with the memory operand replaced, which is written.
    Store,
    /// The row's own encoding serves; it has no operands.
    Plain,
    /// Nothing is to be done.
    Nop,
    /// ADD OR ADC SBB AND SUB XOR CMP.
    Alu,
    /// TEST.
    Test,
    /// INC DEC NOT NEG.
    Unary,
    /// MUL, and IMUL with one operand.
    Multiply,
    /// IMUL with three operands.
    Imul3,
    /// DIV IDIV.
    Divide,
    /// Rotates and shifts of one operand.
    Shift,
    /// SHLD SHRD.
    DoubleShift,
    /// BT BTS BTR BTC.
    BitTest,
    /// Two-byte opcodes that read r/m into a register: MOVZX MOVSX CMOVcc IMUL BSF BSR.
    Load,
    /// SETcc.
    SetCc,
    /// MOV of general registers, memory and immediates.
    Mov,
    /// LEA.
    Lea,
    /// XCHG.
    Exchange,
    /// BSWAP.
    Swap,
    /// PUSH, but for segment registers.
    Push,
    /// POP of a register.
    Pop,
    /// MOV from a segment register.
    SegmentStore,
    /// MOV and POP to segment registers, LES and its like: ends a block, unless registers are loaded with paragraphs.
    SegmentLoad,
    /// LEAVE.
    Leave,
    /// PUSHA.
    PushAll,
    /// POPA.
    PopAll,
    /// PUSHF.
    PushFlags,
    /// ENTER.
    Enter,
    /// XADD CMPXCHG CMPXCHG8B.
    Atomic,
    /// XLAT.
    Translate,
    /// CLD STD.
    Direction,
    /// CLI.
    ClearInterrupts,
    /// MOVS CMPS STOS LODS SCAS.
    String,
    /// JMP to a fixed distance.
    Jump,
    /// JMP to what a register or memory holds.
    JumpIndirect,
    /// CALL to a fixed distance.
    CallNear,
    /// CALL to what a register or memory holds.
    CallIndirect,
    /// RET.
    Return,
    /// Jcc.
    JumpCc,
    /// JCXZ JECXZ.
    JumpCx,
    /// LOOP.
    Loop,
    /// LOOPE LOOPNE.
    LoopCc,
}

impl Lowering {
    /// A near branch: ends a block.
    #[must_use]
    pub const fn is_flow(self) -> bool {
        use Lowering::*;
        matches!(
            self,
            Jump | JumpIndirect | CallNear | CallIndirect | Return | JumpCc | JumpCx | Loop | LoopCc
        )
    }

    /// Ends a block.
    #[must_use]
    pub const fn ends_block(self) -> bool {
        self.is_flow() || matches!(self, Lowering::End | Lowering::SegmentLoad)
    }
}

/// Instruction-set extensions, as CPUID reports them; rows of an absent one do not exist for the guest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Feature {
    Base,
    I486,
    Pentium,
    Cmov,
    Mmx,
    Fxsr,
    Sep,
    Sse,
    Sse2,
    Sse3,
    Ssse3,
    Sse41,
    Sse42,
    Popcnt,
    Movbe,
    Aes,
    Pclmul,
    Rdrand,
    Monitor,
}

/// Register files beyond the general one.
pub mod state {
    use super::Operand;

    /// x87 and MMX.
    pub const X87: u8 = 1 << 0;
    /// XMM and MXCSR.
    pub const XMM: u8 = 1 << 1;

    /// Those that an instruction works on.
    pub(super) const fn of(opcode: u32, operands: &[Operand; 4]) -> u8 {
        use Operand::*;
        let mut files = match opcode {
            0xD8..=0xDF | 0x9B | 0x0F77 => X87,
            0x0FAE => X87 | XMM,
            _ => 0,
        };
        let mut n = 0;
        while n < 4 {
            files |= match operands[n] {
                Pq | Qq | Qd | Nq => X87,
                Vx | Wx | Wu | Wq | Wd | Ww | Ux | Xmm0 => XMM,
                _ => 0,
            };
            n += 1;
        }
        files
    }
}

/// One row of the instruction table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Opcode: 0x11, 0x0F11, 0x0F38F0, 0x0F3A0F.
    pub opcode: u32,
    /// Mandatory prefix.
    pub prefix: Prefix,
    /// ModRM reg digit that extends the opcode.
    pub digit: Option<u8>,
    /// The whole ModRM byte, where it belongs to the opcode.
    pub exact: Option<u8>,
    /// Name.
    pub mnemonic: &'static str,
    /// Operands in the manual's order.
    pub operands: [Operand; 4],
    /// Status flags read.
    pub reads: Flags,
    /// Status flags written.
    pub writes: Flags,
    /// See [`Lowering`].
    pub lowering: Lowering,
    /// Extension it belongs to.
    pub feature: Feature,
    /// Register files beyond the general one that it works on: bits of [`state`].
    pub state: u8,
    /// Semantics for 16- and 32-bit operands, in each [`form`].
    pub run: [Handler; 8],
}

/// Which of [`Row::run`]'s functions there is for an instruction.
pub mod form {
    /// Its operands are registers.
    pub const REGISTER: usize = 0;
    /// One is in memory.
    pub const MEMORY: usize = 1;
    /// One is in memory, in a segment that is known to be flat, at an address of 32 bits without an index register.
    pub const FLAT: usize = 2;
    /// The same with an index register.
    pub const FLAT_INDEX: usize = 3;

    /// Index in [`Row::run`](super::Row::run) for operands of 32 bits, or of 16.
    #[must_use]
    pub const fn index(wide: bool, form: usize) -> usize {
        wide as usize + 2 * form
    }
}

impl Row {
    /// Whether a ModRM byte follows the opcode.
    #[must_use]
    pub const fn has_modrm(&self) -> bool {
        if self.digit.is_some() || self.exact.is_some() {
            return true;
        }
        let mut n = 0;
        while n < 4 {
            if self.operands[n].is_rm() || self.operands[n].is_reg() {
                return true;
            }
            n += 1;
        }
        false
    }

    /// Whether the r/m operand may be a register (bit 0) or memory (bit 1).
    #[must_use]
    pub const fn forms(&self) -> u8 {
        use Operand::*;
        if self.exact.is_some() {
            return 1;
        }
        let mut n = 0;
        while n < 4 {
            let o = self.operands[n];
            if o.is_memory_only() {
                return 2;
            }
            if matches!(o, Sti | Nq | Ux | Rv | Rn) {
                return 1;
            }
            // MOV to and from control and debug registers ignores mod.
            if o.is_rm() {
                return 3;
            }
            n += 1;
        }
        3
    }

    /// Bytes of the memory operand, where the row alone says so, and whether it must lie at a multiple of them.
    #[must_use]
    pub const fn memory(&self) -> Option<(u8, bool)> {
        use Operand::*;
        let mut n = 0;
        while n < 4 {
            match self.operands[n] {
                Eb | Mb | RdMb => return Some((1, false)),
                Ew | Mw | RdMw | Ww => return Some((2, false)),
                Ed | Md | Qd | Wd => return Some((4, false)),
                Mq | Qq | Wq => return Some((8, false)),
                Mt => return Some((10, false)),
                Wu | Mu => return Some((16, false)),
                Wx | Mx => return Some((16, true)),
                _ => {}
            }
            n += 1;
        }
        Option::None
    }

    /// Whether it is one of the x87's transcendental functions, whose last bit (and C1 with it) each processor
    /// rounds as it likes (Intel SDM volume 1, 8.3.10).
    #[must_use]
    pub const fn is_transcendental(&self) -> bool {
        matches!(self.opcode, 0xD9) && matches!(self.exact, Some(0xF0..=0xF3 | 0xF9 | 0xFB | 0xFE | 0xFF))
    }

    /// Whether the low three bits of the opcode name a register.
    #[must_use]
    pub const fn has_opcode_register(&self) -> bool {
        let mut n = 0;
        while n < 4 {
            if matches!(self.operands[n], Operand::Zb | Operand::Zv | Operand::Zd) {
                return true;
            }
            n += 1;
        }
        false
    }

    /// Number of the opcode's list in the index: map × 256 + last byte.
    #[must_use]
    pub const fn slot(&self) -> usize {
        let map = match self.opcode >> 8 {
            0 => 0,
            0x0F => 1,
            0x0F38 => 2,
            0x0F3A => 3,
            _ => panic!("an opcode is in one of four maps"),
        };
        map * 256 + (self.opcode & 0xFF) as usize
    }

    const fn overlaps(&self, other: &Row) -> bool {
        let prefix = matches!(self.prefix, Prefix::Any)
            || matches!(other.prefix, Prefix::Any)
            || self.prefix as u8 == other.prefix as u8;
        let digit = match (self.digit, other.digit) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        let exact = match (self.exact, other.exact) {
            (Some(a), Some(b)) => a == b,
            (None, None) => true,
            // An exact row comes first and takes its encoding away from the general one.
            _ => false,
        };
        // A row with a mandatory prefix comes first and takes its encoding away from a general one.
        let special = matches!(self.prefix, Prefix::Any) != matches!(other.prefix, Prefix::Any);
        prefix && digit && exact && !special && self.forms() & other.forms() != 0
    }
}

/// End of a list in [`Index`].
pub const END: u16 = u16::MAX;

/// Rows by opcode: the first row of each opcode's list, and each row's successor.
#[derive(Debug)]
pub struct Index<const N: usize> {
    /// First row of each list, by [`Row::slot`].
    pub first: [u16; 1024],
    /// Next row in the same list.
    pub next: [u16; N],
}

impl<const N: usize> Index<N> {
    /// Builds the index; two rows for one encoding do not compile.
    #[must_use]
    pub const fn new(rows: &[Row; N]) -> Self {
        let mut index = Self { first: [END; 1024], next: [END; N] };
        let mut last = [END; 1024];
        let mut row = 0;
        while row < N {
            let slot = rows[row].slot();
            let count = if rows[row].has_opcode_register() { 8 } else { 1 };
            let mut n = 0;
            while n < count {
                let mut other = index.first[slot + n];
                while other != END {
                    assert!(!rows[row].overlaps(&rows[other as usize]), "two rows describe one encoding");
                    other = index.next[other as usize];
                }
                if last[slot + n] == END {
                    index.first[slot + n] = row as u16;
                } else {
                    // Its successor would be one in all eight lists that it stands in.
                    assert!(
                        !rows[last[slot + n] as usize].has_opcode_register(),
                        "a row with a register in its opcode comes last of those with that opcode"
                    );
                    index.next[last[slot + n] as usize] = row as u16;
                }
                last[slot + n] = row as u16;
                n += 1;
            }
            row += 1;
        }
        index
    }
}

/// Writes rows. Each reads:
///
/// `[prefix] opcode [/digit] [: modrm] mnemonic (operands) reads writes lowering feature size function;`
///
/// where `size` says how the function is made: `b`, `w`, `d` with that operand width, `v` with 16 and 32 bits,
/// each also with the types of its operands' places; `V` and `B` with the width alone; `o` with the places
/// alone; `q` and `x` with the value of an MMX or XMM register and the first two places; `n` as it stands.
macro_rules! isa {
    ($( $($prefix:ident)? $opcode:literal $(/ $digit:literal)? $(: $exact:literal)? $mnemonic:literal
        ($($o:ident),*) $reads:ident $writes:ident $lowering:ident $feature:ident $size:ident $function:ident; )*) => {
        &[$(
            $crate::isa::row::Row {
                opcode: $opcode,
                prefix: $crate::isa::row::isa!(@prefix $($prefix)?),
                digit: $crate::isa::row::isa!(@option $($digit)?),
                exact: $crate::isa::row::isa!(@option $($exact)?),
                mnemonic: $mnemonic,
                operands: $crate::isa::row::pad(&[$($crate::isa::row::Operand::$o),*]),
                reads: $crate::isa::row::flags::$reads,
                writes: $crate::isa::row::flags::$writes,
                lowering: $crate::isa::row::Lowering::$lowering,
                feature: $crate::isa::row::Feature::$feature,
                state: $crate::isa::row::state_of($opcode, &[$($crate::isa::row::Operand::$o),*]),
                run: $crate::isa::row::isa!(@run $size $function ($($o),*)),
            },
        )*]
    };
    (@prefix) => { $crate::isa::row::Prefix::Any };
    (@prefix $p:ident) => { $crate::isa::row::Prefix::$p };
    (@option) => { None };
    (@option $x:literal) => { Some($x) };

    (@run n $f:ident $o:tt) => { [$f as $crate::isa::inst::Handler; 8] };
    (@run V $f:ident $o:tt) => { [$f::<u16>, $f::<u32>, $f::<u16>, $f::<u32>, $f::<u16>, $f::<u32>, $f::<u16>, $f::<u32>] };
    (@run B $f:ident $o:tt) => { [$f::<u8> as $crate::isa::inst::Handler; 8] };
    (@run b $f:ident $o:tt) => { isa!(@each u8 u8 $f $o) };
    (@run w $f:ident $o:tt) => { isa!(@each u16 u16 $f $o) };
    (@run d $f:ident $o:tt) => { isa!(@each u32 u32 $f $o) };
    (@run v $f:ident $o:tt) => { isa!(@each u16 u32 $f $o) };
    (@each $v:ident $w:ident $f:ident $o:tt) => {
        [isa!(@one r $v $f $o), isa!(@one r $w $f $o), isa!(@one m $v $f $o), isa!(@one m $w $f $o),
         isa!(@one f $v $f $o), isa!(@one f $w $f $o), isa!(@one x $v $f $o), isa!(@one x $w $f $o)]
    };
    (@one $p:tt $w:ident $f:ident ($a:ident)) => { $f::<$w, isa!(@$p 0 $a)> };
    (@one $p:tt $w:ident $f:ident ($a:ident, $b:ident $(, $c:ident)?)) => {
        $f::<$w, isa!(@$p 0 $a), isa!(@$p 1 $b) $(, isa!(@$p 2 $c))?>
    };
    (@run o $f:ident ($a:ident)) => { isa!(@twice $f::<isa!(@r 0 $a)>, $f::<isa!(@m 0 $a)>) };
    (@run o $f:ident ($a:ident, $b:ident $(, $c:ident)?)) => {
        isa!(@twice $f::<isa!(@r 0 $a), isa!(@r 1 $b) $(, isa!(@r 2 $c))?>,
         $f::<isa!(@m 0 $a), isa!(@m 1 $b) $(, isa!(@m 2 $c))?>)
    };
    // Whatever the size of operands: with a register and with memory.
    (@twice $r:expr, $m:expr) => { [$r, $r, $m, $m, $m, $m, $m, $m] };

    (@run q $f:ident ($a:ident, $b:ident $(, $c:ident)?)) => { isa!(@vector u64 $f $a $b) };
    (@run x $f:ident ($a:ident, $b:ident $(, $c:ident)?)) => { isa!(@vector u128 $f $a $b) };
    (@vector $v:ident $f:ident $a:ident $b:ident) => {
        isa!(@twice $f::<$v, isa!(@r 0 $a), isa!(@r 1 $b)>, $f::<$v, isa!(@m 0 $a), isa!(@m 1 $b)>)
    };

    // The type of an operand's place in each form: @r register, @m memory, @f and @x memory in flat segments.
    (@r $n:tt $o:ident) => { isa!(@fixed r $n $o) };
    (@m $n:tt $o:ident) => { isa!(@fixed m $n $o) };
    (@f $n:tt $o:ident) => { isa!(@fixed f $n $o) };
    (@x $n:tt $o:ident) => { isa!(@fixed x $n $o) };
    (@memory f) => { $crate::exec::Flat<false> };
    (@memory x) => { $crate::exec::Flat<true> };
    (@memory $f:tt) => { $crate::exec::M };
    (@fixed $f:tt $n:tt Ib) => { $crate::exec::I }; (@fixed $f:tt $n:tt Iw) => { $crate::exec::I };
    (@fixed $f:tt $n:tt Iz) => { $crate::exec::I }; (@fixed $f:tt $n:tt Ibs) => { $crate::exec::I };
    (@fixed $f:tt $n:tt One) => { $crate::exec::I };
    (@fixed $f:tt $n:tt Jb) => { $crate::exec::I }; (@fixed $f:tt $n:tt Jz) => { $crate::exec::I };
    (@fixed $f:tt $n:tt Ob) => { isa!(@memory $f) }; (@fixed $f:tt $n:tt Ov) => { isa!(@memory $f) };
    (@fixed $f:tt $n:tt Mb) => { isa!(@memory $f) }; (@fixed $f:tt $n:tt Mw) => { isa!(@memory $f) };
    (@fixed $f:tt $n:tt Md) => { isa!(@memory $f) }; (@fixed $f:tt $n:tt Mq) => { isa!(@memory $f) };
    (@fixed $f:tt $n:tt Mx) => { isa!(@memory $f) }; (@fixed $f:tt $n:tt Mv) => { isa!(@memory $f) };
    (@fixed $f:tt $n:tt M) => { isa!(@memory $f) };
    (@fixed r $n:tt Eb) => { $crate::exec::R<$n> }; (@fixed $f:tt $n:tt Eb) => { isa!(@memory $f) };
    (@fixed r $n:tt Ew) => { $crate::exec::R<$n> }; (@fixed $f:tt $n:tt Ew) => { isa!(@memory $f) };
    (@fixed r $n:tt Ed) => { $crate::exec::R<$n> }; (@fixed $f:tt $n:tt Ed) => { isa!(@memory $f) };
    (@fixed r $n:tt Ev) => { $crate::exec::R<$n> }; (@fixed $f:tt $n:tt Ev) => { isa!(@memory $f) };
    (@fixed r $n:tt Qq) => { $crate::exec::R<$n> }; (@fixed $f:tt $n:tt Qq) => { $crate::exec::M };
    (@fixed r $n:tt Qd) => { $crate::exec::R<$n> }; (@fixed $f:tt $n:tt Qd) => { $crate::exec::Narrow<u32> };
    (@fixed r $n:tt Wx) => { $crate::exec::R<$n> }; (@fixed $f:tt $n:tt Wx) => { $crate::exec::M };
    (@fixed r $n:tt Wq) => { $crate::exec::R<$n> }; (@fixed $f:tt $n:tt Wq) => { $crate::exec::Narrow<u64> };
    (@fixed r $n:tt Wd) => { $crate::exec::R<$n> }; (@fixed $f:tt $n:tt Wd) => { $crate::exec::Narrow<u32> };
    (@fixed r $n:tt Ww) => { $crate::exec::R<$n> }; (@fixed $f:tt $n:tt Ww) => { $crate::exec::Narrow<u16> };
    (@fixed r $n:tt Wu) => { $crate::exec::R<$n> }; (@fixed $f:tt $n:tt Wu) => { $crate::exec::Loose };
    (@fixed r $n:tt RdMb) => { $crate::exec::R<$n> }; (@fixed $f:tt $n:tt RdMb) => { $crate::exec::M };
    (@fixed r $n:tt RdMw) => { $crate::exec::R<$n> }; (@fixed $f:tt $n:tt RdMw) => { $crate::exec::M };
    (@fixed $f:tt $n:tt Mu) => { $crate::exec::Loose };
    (@fixed $f:tt $n:tt $o:ident) => { $crate::exec::R<$n> };
}
pub(crate) use isa;

/// See [`Row::state`].
#[must_use]
pub const fn state_of(opcode: u32, operands: &[Operand]) -> u8 {
    state::of(opcode, &pad(operands))
}

/// Operands of a row, filled up to four.
#[must_use]
pub const fn pad(operands: &[Operand]) -> [Operand; 4] {
    let mut out = [Operand::None; 4];
    let mut n = 0;
    while n < operands.len() {
        out[n] = operands[n];
        n += 1;
    }
    out
}
