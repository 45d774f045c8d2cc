//! Memory operands: ModRM, SIB and displacement, with registers that make the address come out as aimed.

use super::{Builder, EBX, ESP};
use crate::oracle::{CODE_BASE, CODE_MAX, DATA_BASE, DATA_SIZE, Segment, Segments};
use nomad86::isa::Operand;

pub(super) const ES: usize = 0;
pub(super) const CS: usize = 1;
pub(super) const SS: usize = 2;
pub(super) const DS: usize = 3;

/// A segment register by number.
pub(super) fn segment(segments: &mut Segments, number: usize) -> &mut Segment {
    match number {
        ES => &mut segments.es,
        CS => &mut segments.cs,
        SS => &mut segments.ss,
        DS => &mut segments.ds,
        4 => &mut segments.fs,
        _ => &mut segments.gs,
    }
}

impl Builder<'_> {
    /// Bytes of the memory operand (0 for LEA and the like).
    pub(super) fn memory_size(&self) -> usize {
        use Operand::*;
        let word = self.word();
        let place = self.row.operands.iter().find(|o| o.is_rm() || matches!(o, Ob | Ov));
        match place {
            Some(Eb | Mb | RdMb | Ob) => 1,
            Some(Ew | Mw | RdMw | Ww) => 2,
            Some(Ed | Md | Qd | Wd) => 4,
            Some(Mq | Qq | Wq | Nq) => 8,
            Some(Mt) => 10,
            Some(Wx | Mx | Wu | Mu | Ux) => 16,
            Some(Mp) => word + 2,
            Some(Ma) => 2 * word,
            Some(Ms) => 6,
            Some(Menv) => 7 * word,
            Some(Msave) => 7 * word + 80,
            Some(Mfx) => 512,
            Some(M) => 0,
            _ => word,
        }
    }

    /// An offset in the data area for an operand of `size` bytes: mostly aligned, sometimes across a page or
    /// at the very end, rarely outside.
    pub(super) fn aim(&mut self, size: usize) -> u32 {
        let strict = matches!(self.row.operands, operands if operands.iter().any(|o| {
            matches!(o, Operand::Wx | Operand::Mx | Operand::Mfx)
        }));
        let size = size as u32;
        let at = self.rng.within(0x1000..0xE000);
        match self.rng.below(100) {
            0 => DATA_SIZE as u32 - size,
            1 => DATA_SIZE as u32 - self.rng.below(size + 1),
            2 => self.rng.pick(&[0, 0_u32.wrapping_sub(size), 0_u32.wrapping_sub(1), 0x7FF0]),
            3..9 => (at & !0xFFF).wrapping_sub(self.rng.below(size.max(1))),
            9..30 if !strict => at,
            30..34 => at,
            _ if strict => at & !15,
            _ => at & !(size.max(1).next_power_of_two().min(16) - 1),
        }
    }

    /// The segment register of a memory operand: an override, or `default`. It is made to hold something that
    /// 16-bit offsets can reach.
    pub(super) fn choose_segment(&mut self, default: usize) -> usize {
        if self.rng.percent(20) {
            self.segment = Some(self.rng.below(6) as usize);
        }
        let number = self.segment.unwrap_or(default);
        if self.addr16 && self.rng.percent(97) {
            self.make_reachable(number);
        }
        number
    }

    /// Replaces a flat segment by one with a base.
    pub(super) fn make_reachable(&mut self, number: usize) {
        let code32 = self.code32;
        let register = segment(&mut self.case.segments, number);
        if *register == Segment::Flat {
            *register = match number {
                CS if code32 => Segment::Code32,
                CS => Segment::Code16,
                _ => Segment::Data32,
            };
        }
    }

    /// Offset in segment register `number` that reaches `aim` in the data area (or in the code page, when the
    /// segment is code with a base). Notes where that is.
    pub(super) fn offset_of(&mut self, number: usize, aim: u32) -> u32 {
        let held = *segment(&mut self.case.segments, number);
        let Some(descriptor) = held.descriptor(number == CS) else { return aim };
        if descriptor.code && descriptor.base == CODE_BASE {
            return aim % CODE_MAX as u32;
        }
        self.case.aim = Some(aim as usize).filter(|&aim| aim < DATA_SIZE);
        DATA_BASE.wrapping_add(aim).wrapping_sub(descriptor.base)
    }

    /// Chooses an addressing form and settles its registers.
    pub(super) fn encode_memory(&mut self) {
        let aim = self.aim(self.memory_size());
        if self.addr16 {
            self.encode16(aim)
        } else {
            self.encode32(aim)
        }
        self.fill_operand();
    }

    fn encode16(&mut self, aim: u32) {
        const FORMS: [(usize, Option<usize>, usize); 8] = [
            (3, Some(6), DS),
            (3, Some(7), DS),
            (5, Some(6), SS),
            (5, Some(7), SS),
            (6, None, DS),
            (7, None, DS),
            (5, None, SS),
            (3, None, DS),
        ];
        let rm = self.rng.below(8) as usize;
        let mut mode = self.rng.below(3) as u8;
        let (base, index, default) = FORMS[rm];
        let direct = mode == 0 && rm == 6;
        let number = self.choose_segment(if direct { DS } else { default });
        let offset = self.offset_of(number, aim);
        let mut displacement = match mode {
            0 => 0,
            1 => self.rng.bits() as i8 as u32,
            _ => self.rng.integer(16) as u32,
        };
        if direct {
            displacement = offset;
        } else {
            let index_value = index.map_or(0, |index| self.case.gpr[index]);
            if self.is_settled(base) {
                mode = 2;
                displacement = offset.wrapping_sub(index_value).wrapping_sub(self.case.gpr[base]);
            } else {
                let value = offset.wrapping_sub(index_value).wrapping_sub(displacement) & 0xFFFF;
                let garbage = (self.rng.integer(16) as u32) << 16;
                self.settle(base, garbage | value);
            }
            if let Some(index) = index {
                self.settled |= 1 << index;
            }
        }
        self.modrm = vec![mode << 6 | (self.reg << 3 | rm) as u8];
        let size = if direct { 2 } else { usize::from(mode) };
        self.modrm.extend_from_slice(&displacement.to_le_bytes()[..size]);
    }

    fn encode32(&mut self, aim: u32) {
        let rm = self.rng.below(8) as usize;
        let mut mode = self.rng.below(3) as u8;
        let sib = rm == 4;
        let base_code = if sib { self.rng.below(8) as usize } else { rm };
        let index_code = self.rng.below(8) as usize;
        let scale = self.rng.below(4);
        let base = (mode != 0 || base_code != 5).then_some(base_code);
        let index = (sib && index_code != 4).then_some(index_code);
        let default = if matches!(base, Some(4 | 5)) { SS } else { DS };
        let number = self.choose_segment(default);
        let offset = self.offset_of(number, aim);
        if let Some(index) = index
            && base != Some(index)
            && !self.is_settled(index)
            && (base == Some(ESP) || self.rng.percent(50))
        {
            let small = self.rng.below(64);
            self.settle(index, small);
        }
        let scaled = index.map_or(0, |index| {
            self.settled |= 1 << index;
            self.case.gpr[index] << scale
        });
        let mut displacement = match mode {
            0 => 0,
            1 => self.rng.bits() as i8 as u32,
            _ if base == Some(ESP) || self.rng.percent(50) => self.rng.below(256).wrapping_sub(128),
            _ => self.rng.integer(32) as u32,
        };
        match base {
            None => displacement = offset.wrapping_sub(scaled),
            Some(base) if self.is_settled(base) => {
                mode = 2;
                displacement = offset.wrapping_sub(scaled).wrapping_sub(self.case.gpr[base]);
            }
            Some(base) => self.settle(base, offset.wrapping_sub(scaled).wrapping_sub(displacement)),
        }
        self.modrm = vec![mode << 6 | (self.reg << 3 | rm) as u8];
        if sib {
            self.modrm.push((scale << 6) as u8 | (index_code << 3 | base_code) as u8);
        }
        let size = match mode {
            0 if base.is_none() => 4,
            0 => 0,
            1 => 1,
            _ => 4,
        };
        self.modrm.extend_from_slice(&displacement.to_le_bytes()[..size]);
    }

    /// The offset that stands in the instruction itself.
    pub(super) fn direct_offset(&mut self) {
        let aim = self.aim(self.memory_size());
        let number = self.choose_segment(DS);
        let offset = self.offset_of(number, aim);
        self.immediates.extend_from_slice(&offset.to_le_bytes()[..if self.addr16 { 2 } else { 4 }]);
        self.fill_operand();
    }

    /// XLAT: EBX + AL.
    pub(super) fn table_lookup(&mut self) {
        let aim = self.aim(1);
        let number = self.choose_segment(DS);
        let offset = self.offset_of(number, aim).wrapping_sub(self.case.gpr[0] & 0xFF);
        self.settle(EBX, offset);
        self.fill_operand();
    }
}
