//! `nomad86 trace`: instructions as they are executed, and blocks as guest and host see them.

use crate::args::trace::TraceArgs;
use crate::args::values::Engine;
use crate::outcome::{Failure, Outcome};
use crate::script::Step;
use crate::session::Session;
use crate::{files, setup};
use nomad86::cpu::Cpu;
use nomad86::isa::decode::{MAX_LEN, decode};
use nomad86::machine::Exit;
use nomad86::memory::Memory;
use nomad86_host::listing;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

/// Instructions that `--block` waits for at most, when there is no --limit.
const PATIENCE: u64 = 10_000_000_000;
const NAMES: [&str; 8] = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];

pub(crate) fn run(mut args: TraceArgs, steps: Vec<Step>) -> Result<Outcome, Failure> {
    let mut out: Box<dyn Write> = match &args.out {
        Some(path) => Box::new(io::BufWriter::new(files::create("--out", path)?)),
        None => Box::new(io::stdout().lock()),
    };
    if let Some(code) = &args.code {
        let mode = if args.bits16 { listing::Mode::Real } else { listing::Mode::Flat };
        let both = listing::translated(&code.0, mode, false)
            .map_err(|error| Failure::host(format!("--code: {error}")))?;
        return finish(writeln!(out, "{}\n{}", both.guest, both.host).and_then(|()| out.flush()));
    }
    if args.run.icount.is_none() {
        args.run.icount = "shift=0,sleep=off".parse().ok();
    }
    if args.block.is_some() {
        args.run.engine = Some(Engine::Recompiler);
    } else {
        args.run.engine = Some(Engine::Interpreter);
    }
    let run = std::mem::take(&mut args.run);
    let limit = run.limit.unwrap_or(PATIENCE);
    let mut session = setup::build(setup::Plan::new(run, steps)?)?;
    let result = match args.block {
        Some(address) => block(&mut session, address, limit, &mut out),
        None => instructions(&mut session, &args, &mut out),
    };
    finish(result.and_then(|()| out.flush()))
}

fn finish(result: io::Result<()>) -> Result<Outcome, Failure> {
    match result {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Outcome::Done),
        Err(error) => Err(Failure::host(format!("trace: {}", files::reason(&error)))),
        Ok(()) => Ok(Outcome::Done),
    }
}

/// Runs until the block at a linear address is translated, and shows it.
fn block(session: &mut Session, address: u32, limit: u64, out: &mut dyn Write) -> io::Result<()> {
    let Some(jit) = &mut session.machine.jit else {
        return Err(io::Error::other("--block: there is no recompiler here"));
    };
    jit.set_threshold(0);
    while session.machine.cpu.count < limit {
        let exit = session.machine.run(&mut session.host, Duration::from_millis(1));
        let machine = &mut session.machine;
        if let Some(phys) = machine.cpu.peek(address, &mut machine.board.memory)
            && let Some(jit) = &machine.jit
        {
            let mut found = None;
            jit.visit(|number, _| {
                let block = machine.cache.block(number);
                if block.live && block.phys == phys {
                    found = Some(number);
                }
            });
            if let Some(number) = found
                && let Some(code) = jit.host_code(number)
            {
                write!(out, "{}", listing::guest(machine.cache.insts(number), address))?;
                return write!(out, "\n{}", listing::host(&code, &|_| None));
            }
        }
        if !matches!(exit, Exit::Budget | Exit::Idle { .. } | Exit::Reset) {
            break;
        }
    }
    Err(io::Error::other(format!(
        "the block at {address:08x} was not entered in {} instructions",
        session.machine.cpu.count
    )))
}

/// Writes a line for each instruction.
fn instructions(session: &mut Session, args: &TraceArgs, out: &mut dyn Write) -> io::Result<()> {
    let each = match session.machine.config().clock {
        nomad86::config::ClockMode::Virtual { picoseconds } => u64::from(picoseconds).max(1),
        nomad86::config::ClockMode::Host => 1000,
    };
    let time = |instructions: u64| {
        Duration::from_nanos((u128::from(instructions) * u128::from(each) / 1000).clamp(1, 10_000_000) as u64)
    };
    let ends = |exit: Exit| !matches!(exit, Exit::Budget | Exit::Idle { .. } | Exit::Reset);
    while session.machine.cpu.count < args.from {
        let left = args.from - session.machine.cpu.count;
        if ends(session.machine.run(&mut session.host, time(left))) {
            return Ok(());
        }
    }
    let end = args.from.saturating_add(args.instructions);
    while session.machine.cpu.count < end {
        let machine = &mut session.machine;
        let (before, count) = (machine.cpu.regs, machine.cpu.count);
        let eip = machine.cpu.eip;
        let linear = machine.cpu.seg[1].base.wrapping_add(eip);
        let shown =
            !machine.cpu.halted && args.range.is_none_or(|(start, end)| (start..end).contains(&linear));
        let mut line = String::new();
        if shown {
            line = instruction(&machine.cpu, &mut machine.board.memory, count);
        }
        let exit = machine.run(&mut session.host, time(1));
        if shown && machine.cpu.count != count {
            changes(&mut line, &before, &machine.cpu);
            writeln!(out, "{line}")?;
        }
        if ends(exit) {
            break;
        }
    }
    Ok(())
}

/// Number, address, bytes and text of the instruction at EIP.
fn instruction(cpu: &Cpu, memory: &mut Memory, count: u64) -> String {
    let linear = cpu.seg[1].base.wrapping_add(cpu.eip);
    let mut bytes = [0; MAX_LEN];
    let have = (0..MAX_LEN as u32)
        .take_while(|&n| {
            let at = cpu.peek(linear.wrapping_add(n), memory);
            at.is_some_and(|at| memory.read(at, &mut bytes[n as usize..=n as usize]))
        })
        .count();
    let mut line = format!("{count:12} {:04x}:{:08x} ", cpu.seg[1].selector, cpu.eip);
    let Ok(inst) = decode(&bytes[..have], cpu.code32(), cpu.features) else {
        line.push_str("(no instruction)");
        return line;
    };
    let hex: String = bytes[..usize::from(inst.len)].iter().map(|byte| format!("{byte:02x}")).collect();
    let _ = write!(line, "{hex:<20} {:<40}", inst.text(cpu.eip).to_string());
    line
}

fn changes(line: &mut String, before: &nomad86::cpu::Regs, cpu: &Cpu) {
    for (n, name) in NAMES.iter().enumerate() {
        if before[n] != cpu.regs[n] {
            let _ = write!(line, " {name}={:08x}", cpu.regs[n]);
        }
    }
    let _ = write!(line, " efl={:06x}", cpu.flags.image());
}
