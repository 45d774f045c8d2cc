//! Real mode against instructions recorded on a Harris 80C286.
//!
//! Where later processors differ by design, [`by_design`] lists the form with the place in the manual; all
//! else must match, but for flags that the manuals leave undefined and FLAGS 12–15, which a 286 in real mode
//! keeps at 0.

use nomad86::config::CpuModel;
use nomad86::cpu::block::{BlockCache, CacheSize};
use nomad86::cpu::segment::{Segment, seg};
use nomad86::cpu::{Cpu, Io};
use nomad86::isa::decode::{Features, decode};
use nomad86::isa::inst::prefix;
use nomad86::isa::{Inst, Operand};
use nomad86_native::bench;
use nomad86_native::flat::Flat;
use nomad86_native::sst286::{REGISTERS, Test, path, read};
use nomad86_native::undefined::undefined_flags;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const MEMORY: usize = 17 << 20;
const FLAGS: usize = 13;
/// No recorded instruction needs more, REP included.
const ENOUGH: u64 = 200_000;

/// Four instructions of each form; see `data/sst286-part.md`.
#[test]
fn real_mode_does_what_an_80c286_did_in_a_part_of_the_recording() {
    compare("sst286-part.bin", include_bytes!("data/sst286-part.bin"));
}

#[test]
fn real_mode_does_what_an_80c286_did() {
    let path = path();
    match std::fs::read(&path) {
        Ok(bytes) => compare(&path.display().to_string(), &bytes),
        Err(error) => {
            let why = format!("{}: {error}", path.display());
            assert!(std::env::var_os("NOMAD86_SST286").is_none(), "{why}");
            bench::absent("real_mode_does_what_an_80c286_did", &why);
        }
    }
}

/// Runs every instruction of a recording.
fn compare(name: &str, bytes: &[u8]) {
    let tests = match read(bytes) {
        Ok(tests) => tests,
        Err(damage) => panic!("{name}: {damage}"),
    };
    assert!(tests.len() > 1000, "{name}: {} instructions", tests.len());
    let mut machine = Machine::new();
    let mut wrong: BTreeMap<&str, (u64, Vec<String>)> = BTreeMap::new();
    let mut designed: BTreeMap<&str, u64> = BTreeMap::new();
    let mut same = 0;
    for test in &tests {
        let inst = machine.decode(test);
        if let Some(reason) = inst.as_ref().map_or(Some("no instruction"), |inst| by_design(test, inst)) {
            *designed.entry(reason).or_insert(0) += 1;
            continue;
        }
        match machine.run(test, inst.as_ref()) {
            None => same += 1,
            Some(what) => {
                let entry = wrong.entry(&test.form).or_default();
                entry.0 += 1;
                if entry.1.len() < 2 {
                    entry.1.push(what);
                }
            }
        }
    }
    println!("{} recorded instructions, {same} the same", tests.len());
    for (reason, count) in &designed {
        println!("{count} left out: {reason}");
    }
    for (form, (count, examples)) in &wrong {
        println!("{form}: {count} differ\n{}", examples.join("\n"));
    }
    assert!(wrong.is_empty(), "{} forms differ", wrong.len());
    assert!(same * 10 > tests.len() * 9, "most of the recording is compared");
}

/// Why later processors do something else, and which manual says so.
fn by_design(test: &Test, inst: &Inst) -> Option<&'static str> {
    let mnemonic = inst.row().mnemonic;
    if inst.row == 0 && inst.prefixes & prefix::LOCK != 0 {
        return Some(
            "LOCK before other than memory updates is #UD from the 386 on \
             (386 Programmer's Reference Manual, 14.7 and LOCK)",
        );
    }
    if test.exception == Some(13) && inst.len > 10 {
        return Some(
            "instructions may have 15 bytes from the 386 on, 10 on the 286 \
             (386 Programmer's Reference Manual, 14.6 and 9.8.13)",
        );
    }
    let stack = matches!(mnemonic, "pop" | "popa" | "popf" | "ret" | "retf" | "iret" | "leave")
        || inst.is_memory() && usize::from(inst.segment) == seg::SS;
    if test.exception == Some(13) && stack {
        return Some(
            "a word at the end of the stack segment raises exception 12 from the 386 on, 13 on the 286 \
             (386 Programmer's Reference Manual, 14.5; 286 Programmer's Reference Manual, 5.2)",
        );
    }
    if test.exception == Some(13)
        && matches!(mnemonic, "movs" | "cmps" | "stos" | "lods" | "scas" | "ins" | "outs")
    {
        return Some(
            "string instructions that fault can be restarted from the 386 on; the 286 has moved its registers \
             (386 Programmer's Reference Manual, 9.8.12: faults leave the state as it was)",
        );
    }
    None
}

struct Machine {
    cpu: Cpu,
    cache: BlockCache,
    flat: Flat,
}

impl Machine {
    fn new() -> Self {
        let cache = BlockCache::new(MEMORY >> 12, CacheSize { instructions: 1 << 14, blocks: 1 << 12 });
        Self { cpu: Cpu::new(CpuModel::Max), cache, flat: Flat::new(MEMORY) }
    }

    /// The instruction that a test begins with.
    fn decode(&mut self, test: &Test) -> Option<Inst> {
        let memory: BTreeMap<u32, u8> = test.memory_before.iter().copied().collect();
        let start = u32::from(test.before[4]) << 4;
        let bytes: Vec<u8> = (0..15)
            .map(|n| start + u32::from(test.before[12].wrapping_add(n)))
            .map_while(|at| memory.get(&at).copied())
            .collect();
        decode(&bytes, false, Features::ALL).ok()
    }

    /// Runs a test to its HLT; says what differs.
    fn run(&mut self, test: &Test, inst: Option<&Inst>) -> Option<String> {
        for &(at, byte) in &test.memory_before {
            self.flat.memory().write(u64::from(at), &[byte]);
        }
        self.load(&test.before);
        self.cache.drop_overwritten(self.flat.memory(), None);
        let stop = self.cpu.run(&mut self.cache, None, self.cpu.count + ENOUGH, &mut self.flat);
        let mut text = String::new();
        if !self.cpu.halted {
            let _ = write!(text, " stopped with {stop:?};");
        }
        let undefined = inst.map_or(0, |inst| undefined(test, inst));
        let found = self.registers();
        for (n, name) in REGISTERS.iter().enumerate() {
            let mask = if n == FLAGS { 0x0FFF & !undefined as u16 } else { 0xFFFF };
            if (found[n] ^ test.after[n]) & mask != 0 {
                let _ = write!(text, " {name}: recorded {:04x}, ours {:04x};", test.after[n], found[n]);
            }
        }
        // The recording rounds this address down to an even one, so it is worked out from the stack.
        let pushed = (u32::from(test.after[5]) << 4) + u32::from(test.after[8].wrapping_add(4));
        for &(at, byte) in &test.memory_after {
            let mut ours = [0];
            let _ = self.flat.memory().read(u64::from(at), &mut ours);
            let mask = match at.wrapping_sub(pushed) {
                0 if test.exception.is_some() => !undefined as u8,
                1 if test.exception.is_some() => 0x0F & !(undefined >> 8) as u8,
                _ => 0xFF,
            };
            if (ours[0] ^ byte) & mask != 0 {
                let _ = write!(text, " [{at:05x}]: recorded {byte:02x}, ours {:02x};", ours[0]);
            }
        }
        for &(at, _) in test.memory_before.iter().chain(&test.memory_after) {
            self.flat.memory().write(u64::from(at), &[0]);
        }
        if text.is_empty() {
            return None;
        }
        // It may have written anywhere.
        self.flat.memory().backing_mut().fill(0);
        self.cache.clear(self.flat.memory());
        let inst = inst.map_or(String::new(), |inst| format!("{} ({} bytes)", inst.row().mnemonic, inst.len));
        let bytes: BTreeSet<(u32, u8)> = test.memory_before.iter().copied().collect();
        let start = (u32::from(test.before[4]) << 4) + u32::from(test.before[12]);
        let code: Vec<u8> =
            bytes.iter().filter(|(at, _)| (start..start + 8).contains(at)).map(|&(_, b)| b).collect();
        Some(format!(
            "  {}.{} {inst} {code:02x?} from {:04x?}, exception {:?}:{text}",
            test.form, test.number, test.before, test.exception
        ))
    }

    fn load(&mut self, registers: &[u16; 14]) {
        let cpu = &mut self.cpu;
        let count = cpu.count;
        cpu.reset();
        cpu.count = count;
        // ax bx cx dx, sp bp si di.
        for (n, register) in [(0, 0), (3, 1), (1, 2), (2, 3), (4, 8), (5, 9), (6, 10), (7, 11)] {
            cpu.regs[n] = u32::from(registers[register]);
        }
        for (n, register) in [(0, 7), (1, 4), (2, 5), (3, 6)] {
            cpu.set_segment(n, Segment::real(registers[register]));
        }
        cpu.eip = u32::from(registers[12]);
        cpu.set_flags(u32::from(registers[FLAGS]) & 0x0FD5 | 2);
    }

    fn registers(&self) -> [u16; 14] {
        let cpu = &self.cpu;
        let r = |n: usize| cpu.regs[n] as u16;
        let s = |n: usize| cpu.seg[n].selector;
        [
            r(0),
            r(3),
            r(1),
            r(2),
            s(1),
            s(2),
            s(3),
            s(0),
            r(4),
            r(5),
            r(6),
            r(7),
            cpu.eip as u16,
            cpu.flags.image() as u16,
        ]
    }
}

fn undefined(test: &Test, inst: &Inst) -> u32 {
    let row = inst.row();
    let count = row.operands.iter().find_map(|operand| match operand {
        Operand::CL => Some(test.before[2] as u8),
        Operand::Ib => Some(inst.imm as u8),
        Operand::One => Some(1),
        _ => None,
    });
    undefined_flags(row, count, if row.operands[0] == Operand::Eb { 8 } else { 16 })
}
