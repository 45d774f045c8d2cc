//! Cases of the robustness list that are about translated code: self-modifying code, code at edges, a code
//! memory that runs full. Each runs on interpreter and recompiler in lockstep, and must come to the right result.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "recompiler_cases/changing.rs"]
mod changing;

use nomad86::cpu::{Cpu, reg};
use nomad86::jit::Jit;
use nomad86_host::code::DualMapping;
use nomad86_native::bench;
use nomad86_native::lockstep::layout::{CODE, DATA, DEVICE, PAGE, RAM};
use nomad86_native::lockstep::program::{Addresses, Program};
use nomad86_native::lockstep::{Disturbances, Lockstep};
use std::time::Duration;

/// Runs a program in several rhythms on both engines; gives the interpreter's processor at its end.
fn both(test: &str, program: &Program, check: impl Fn(&Cpu, &[u8])) {
    let mut pair = match Lockstep::new() {
        Ok(pair) => pair,
        Err(error) => return bench::skipped(test, &error),
    };
    for seed in 0..40 {
        let program = Program { seed, ..program.clone() };
        let disturbances = if seed % 2 == 0 {
            Disturbances::NONE
        } else {
            Disturbances { pages: false, dma: false, interrupts: false, ..Disturbances::ALL }
        };
        if let Err(difference) = pair.run(&program, disturbances) {
            panic!("{}", nomad86_native::lockstep::report::explain(&program, disturbances, &difference));
        }
        check(&pair.interpreter.cpu, pair.interpreter.ram());
    }
    assert!(pair.counts.blocks > 0, "nothing was translated");
}

/// The vector of the handler that the processor halted in, and the frame's EIP.
fn fault(cpu: &Cpu, ram: &[u8]) -> (u32, u32) {
    let vector = (cpu.eip & 0xFFF) / 64;
    let has_code = matches!(vector, 8 | 10..=14 | 17);
    let at = (cpu.regs[reg::ESP] + if has_code { 4 } else { 0 }) as usize;
    (vector, u32::from_le_bytes(ram[at..at + 4].try_into().unwrap()))
}

fn eax(expected: u32) -> impl Fn(&Cpu, &[u8]) {
    move |cpu, _| assert_eq!(cpu.regs[reg::EAX], expected, "EAX")
}

fn le(value: u32) -> [u8; 4] {
    value.to_le_bytes()
}

/// Joins pieces of code.
fn code(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.concat()
}

#[test]
fn case_45_an_instruction_of_fifteen_bytes_runs_and_one_of_sixteen_is_refused() {
    for (prefixes, works) in [(14, true), (15, false), (40, false)] {
        let mut body = vec![0x40];
        body.extend(vec![0x3E; prefixes]);
        body.extend([0x40, 0xF4]);
        both("case_45", &Program::written(&[(CODE, &body)]), |cpu, ram| {
            assert_eq!(cpu.regs[reg::EAX], if works { 2 } else { 1 });
            if !works {
                assert_eq!(fault(cpu, ram), (13, CODE + 1), "#GP at the instruction's first byte");
            }
        });
    }
}

#[test]
fn case_45_a_page_fault_on_the_second_page_of_an_instruction_is_exact() {
    // INC EAX, then MOV EBX, imm32 of which two bytes are on a page that is not there.
    let at = CODE + PAGE - 4;
    let mut program = Program::written(&[(at, &[0x40, 0xBB, 1, 2, 3, 4, 0xF4])]).with_paging();
    program.pages.iter_mut().filter(|page| page.0 == CODE + PAGE).for_each(|page| page.1 = 0);
    both("case_45", &program, |cpu, ram| {
        assert_eq!((cpu.regs[reg::EAX], cpu.regs[reg::EBX]), (1, 0));
        assert_eq!(cpu.cr2, CODE + PAGE, "the address that could not be fetched");
        assert_eq!(fault(cpu, ram), (14, at + 1));
    });
}

#[test]
fn case_46_a_jump_to_data_executes_it() {
    // The data is made of INC EAX and HLT first.
    let body = code(&[
        &[0xC7, 0x05],
        &le(DATA + 0x20),
        &[0x40, 0x40, 0x40, 0xF4],
        &[0xBB],
        &le(DATA + 0x20),
        &[0xFF, 0xE3],
    ]);
    both("case_46", &Program::written(&[(CODE, &body)]), eax(3));
}

#[test]
fn case_46_a_jump_to_the_last_byte_of_ram_runs_off_into_nothing() {
    // INC EAX there; behind it bytes read FFh, which is no instruction.
    let body = code(&[&[0xC6, 0x05], &le(RAM - 1), &[0x40], &[0xBB], &le(RAM - 1), &[0xFF, 0xE3]]);
    both("case_46", &Program::written(&[(CODE, &body)]), |cpu, ram| {
        assert_eq!(cpu.regs[reg::EAX], 1);
        assert_eq!(fault(cpu, ram), (6, RAM));
    });
}

#[test]
fn case_46_code_in_a_devices_memory_is_the_same_on_both() {
    let body = code(&[&[0xBB], &le(DEVICE + 0x800), &[0xFF, 0xE3]]);
    let mut program = Program::written(&[(CODE, &body)]);
    program.length = 300;
    both("case_46", &program, |cpu, _| assert!(cpu.count > 2));
}

#[test]
fn case_46_a_jump_to_a_page_that_is_not_there_faults_at_its_target() {
    let body = code(&[&[0xBB], &le(0x0040_0000), &[0xFF, 0xE3]]);
    let program = Program::written(&[(CODE, &body)]).with_paging();
    both("case_46", &program, |cpu, ram| {
        assert_eq!(fault(cpu, ram), (14, 0x0040_0000));
        assert_eq!(cpu.cr2, 0x0040_0000);
    });
}

#[test]
fn floating_point_faults_once_ts_is_set_though_its_registers_are_loaded() {
    // MOV CR0 does not make translated code leave: the x87's registers may still be the host's.
    let body = code(&[
        &[0xB9, 9, 0, 0, 0],
        &[0xDB, 0xE3],       // fninit
        &[0xD9, 0xE8],       // fld1
        &[0x0F, 0x20, 0xC0], // mov eax, cr0
        &[0x83, 0xF9, 1],    // cmp ecx, 1
        &[0x75, 2],          // jne over
        &[0x0C, 8],          // or al, 8
        &[0x0F, 0x22, 0xC0], // mov cr0, eax
        &[0xDD, 0xD8],       // fstp st0
        &[0xE2, 0xEB],       // loop to the FNINIT
        &[0xF4],
    ]);
    both("ts", &Program::written(&[(CODE, &body)]), |cpu, ram| {
        assert_eq!(cpu.regs[reg::ECX], 1);
        assert_eq!(fault(cpu, ram), (7, CODE + 22), "#NM at the FSTP");
    });
}

#[test]
fn case_43_a_full_code_memory_starts_over_and_nobody_waits_for_it() {
    let mut pair = match Lockstep::new() {
        Ok(pair) => pair,
        Err(error) => return bench::skipped("case_43", &error),
    };
    // A small code memory; blocks of 60 instructions on all pages, each time other ones.
    let memory = DualMapping::new(256 << 10).unwrap();
    let mut jit = Jit::new(Box::new(memory), 1 << 9, true).unwrap();
    // At first sight, however often that was in vain.
    jit.set_threshold(0);
    pair.jits[1] = jit;
    let program = Program::written(&[(CODE, &[0xF4])]);
    pair.run(&program, Disturbances::NONE).unwrap();
    let mut longest = Duration::ZERO;
    let mut round = 0_u32;
    while pair.jits[1].stats.full_flushes < 100 {
        round += 1;
        assert!(round < 20_000, "the code memory never runs full");
        let mut body = Vec::new();
        while body.len() < 3 * PAGE as usize {
            // add eax, imm32, eleven times, and a jump to the next.
            for n in 0..11 {
                body.push(0x05);
                body.extend(le(round.wrapping_mul(31).wrapping_add(n)));
            }
            body.extend([0xEB, 0]);
        }
        body.push(0xF4);
        for side in [&mut pair.interpreter, &mut pair.recompiler] {
            side.world.memory.write(u64::from(CODE), &body);
            side.cpu.halted = false;
            side.cpu.eip = CODE;
            side.cpu.regs[reg::EAX] = 0;
        }
        let limit = pair.interpreter.cpu.count + 20_000;
        let expected = pair.interpreter.run(None, limit);
        let start = bench::thread_time();
        let found = pair.recompiler.run(Some(&mut pair.jits[1]), limit);
        longest = longest.max(bench::thread_time() - start);
        assert_eq!(expected, found);
        assert_eq!(pair.interpreter.cpu.regs, pair.recompiler.cpu.regs);
        assert_eq!(pair.interpreter.cpu.count, pair.recompiler.cpu.count);
    }
    let bytes = pair.jits[1].stats.bytes;
    println!("100 times full in {round} rounds, {bytes} bytes of code, the longest run {longest:?}");
    assert!(bytes > 100 * (64 << 10));
    assert!(longest < Duration::from_millis(50), "{longest:?}");
}

/// A program in real mode, CS and the others as the random ones have them.
fn real(code: &[u8]) -> Program {
    let mut program = Program::written(&[(CODE, code)]);
    program.addresses = Addresses::Real;
    (program.entry, program.starts) = (0, vec![0]);
    program.registers = [0, 0, 0, 0, 0x3000, 0, 0, 0];
    program
}

#[test]
fn the_x87_keeps_the_segment_that_its_operand_had() {
    let body = code(&[
        &[0xB9, 9, 0],             // mov cx, 9
        &[0xBB, 0x10, 0x10],       // mov bx, 1010h
        &[0xBA, 0x00, 0x10],       // mov dx, 1000h
        &[0xDF, 0x06, 0x78, 0x0D], // fild word [0D78h]
        &[0x8E, 0xDB],             // mov ds, bx
        &[0x87, 0xD3],             // xchg bx, dx
        &[0xE2, 0xF6],             // loop to the FILD
        &[0xF4],
    ]);
    both("fds", &real(&body), |cpu, _| {
        assert_eq!((cpu.fpu.fds, cpu.seg[3].selector), (0x1000, 0x1010));
    });
}

#[test]
fn a_16_bit_instruction_pointer_wraps_at_the_end_of_its_segment() {
    // CS = 0800h, so that the segment ends with RAM.
    let start = code(&[
        &[0xEA, 0x05, 0x40, 0x00, 0x08], // jmp 0800:4005
        &[0xC6, 0x06, 0xFE, 0x7F, 0x41], // mov byte [7FFEh], inc cx
        &[0xC6, 0x06, 0xFF, 0x7F, 0x90], // mov byte [7FFFh], nop
        &[0x43],                         // inc bx
        &[0xE9, 0xEB, 0xBF],             // jmp FFFEh
    ]);
    let wrapped = code(&[
        &[0x83, 0xFB, 9],    // cmp bx, 9
        &[0x74, 3],          // je to the end
        &[0xE9, 0x07, 0x40], // jmp to the INC
        &[0xF4],
    ]);
    let mut program = real(&start);
    program.code.extend(Program::written(&[(0x8000, &wrapped)]).code);
    both("wrap", &program, |cpu, _| {
        assert_eq!((cpu.regs[reg::ECX], cpu.regs[reg::EBX], cpu.eip), (9, 9, 9));
    });
}

#[test]
fn a_word_at_the_last_offset_of_a_segment_faults_in_real_mode() {
    let body = code(&[
        &[0xB9, 9, 0],       // mov cx, 9
        &[0xBF, 0xF6, 0xFF], // mov di, FFF6h
        &[0x47],             // inc di
        &[0x26, 0x8B, 0x05], // mov ax, es:[di]
        &[0xE2, 0xFA],       // loop to the INC
        &[0xF4],
    ]);
    both("limit", &real(&body), |cpu, ram| {
        assert_eq!((cpu.regs[reg::EDI], cpu.regs[reg::ECX]), (0xFFFF, 1));
        assert_eq!((cpu.eip & 0xFFF) / 64, 13);
        let at = (0x1_0000 + cpu.regs[reg::ESP]) as usize;
        assert_eq!(u16::from_le_bytes([ram[at], ram[at + 1]]), 7, "IP of the MOV");
    });
}

#[test]
fn a_page_with_code_a_stack_and_variables_runs_without_dropping_the_code() {
    // The stack is at the end of the code's page, a counter in a line of its own; another one shares a line with code.
    let mut body = code(&[
        &[0x0E, 0x17],              // push cs; pop ss
        &[0xBC, 0x00, 0x0F],        // mov sp, 0F00h
        &[0xB9, 0x00, 0x10],        // mov cx, 1000h
        &[0x51],                    // push cx
        &[0xE8, 0x05, 0x00],        // call 0011h
        &[0x59],                    // pop cx
        &[0xE2, 0xF9],              // loop to the PUSH
        &[0xF4, 0x90],              // hlt
        &[0x2E, 0xFF, 0x06, 0, 8],  // inc word cs:[800h]
        &[0x2E, 0xFF, 0x06, 32, 0], // inc word cs:[20h]
        &[0xC3],                    // ret
    ]);
    body.resize(0x22, 0);
    let mut program = real(&body);
    program.code.extend(Program::written(&[(CODE + 0x800, &[0, 0])]).code);
    program.length = 100_000;
    let test = "mixed";
    both(test, &program, |_, ram| {
        assert_eq!(ram[CODE as usize + 0x800..][..2], [0x00, 0x10]);
        assert_eq!(ram[CODE as usize + 0x20..][..2], [0x00, 0x10]);
    });
    let Ok(mut pair) = Lockstep::new() else { return };
    pair.run(&program, Disturbances::NONE).unwrap();
    assert!(pair.recompiler.cache.stats.decoded < 40, "{:?}", pair.recompiler.cache.stats);
}
