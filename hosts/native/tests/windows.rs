//! Windows that the user's code sees memory through: written programs on interpreter and recompiler in lockstep.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use nomad86::cpu::windows::WindowStats;
use nomad86::cpu::{Cpu, reg};
use nomad86_native::bench;
use nomad86_native::lockstep::layout::{ALIAS, CODE, DATA, DEVICE, PAGE, RAM};
use nomad86_native::lockstep::program::Program;
use nomad86_native::lockstep::report::explain;
use nomad86_native::lockstep::{Disturbances, Lockstep};

fn le(value: u32) -> [u8; 4] {
    value.to_le_bytes()
}

/// A user's program: code at [`CODE`], all pages present, accessed and dirty, but for what `pages` says.
fn user(code: &[&[u8]], pages: &[(u32, u32)]) -> Program {
    let mut program = Program::written(&[(CODE, &code.concat())]).with_paging();
    program.user = true;
    for page in &mut program.pages {
        page.1 |= 0x60;
    }
    for &(linear, entry) in pages {
        match program.pages.iter_mut().find(|page| page.0 == linear) {
            Some(page) => page.1 = entry,
            None => program.pages.push((linear, entry)),
        }
    }
    program
}

/// Runs a program in several rhythms, each with windows and without; gives what was done in windows.
fn both(test: &str, program: &Program, check: impl Fn(&Cpu, &[u8])) -> Option<WindowStats> {
    let mut pair = match Lockstep::new() {
        Ok(pair) => pair,
        Err(error) => {
            bench::skipped(test, &error);
            return None;
        }
    };
    let Some(_) = pair.recompiler.cpu.windows() else {
        bench::skipped(test, &"this host has no windows");
        return None;
    };
    for seed in 0..40 {
        let program = Program { seed, ..program.clone() };
        let disturbances = if seed % 4 < 2 {
            Disturbances::NONE
        } else {
            Disturbances { misses: true, evictions: true, ..Disturbances::NONE }
        };
        if let Err(difference) = pair.run(&program, disturbances) {
            panic!("{}", explain(&program, disturbances, &difference));
        }
        check(&pair.interpreter.cpu, pair.interpreter.ram());
    }
    let done = pair.windowed();
    assert!(done.made > 0 && done.mapped > 0 && done.instructions > 0, "no window was used: {done:?}");
    Some(done)
}

#[test]
fn memory_is_the_same_through_a_window_as_through_the_tlb() {
    // MOV and ADD to memory a thousand times, through two mappings; PUSH, POP and a string instruction beside.
    let body: [&[u8]; 11] = [
        &[0xB9, 0xE8, 3, 0, 0],       // mov ecx, 1000
        &[0x8B, 0x83, 0x10, 0, 0, 0], // mov eax, [ebx + 10h]
        &[0x01, 0x05],
        &le(ALIAS + DATA - CODE + 0x10), // add [alias], eax
        &[0xFF, 0x43, 0x10],             // inc dword [ebx + 10h]
        &[0x50, 0x5A],                   // push eax; pop edx
        &[0x88, 0x63, 0x14],             // mov [ebx + 14h], ah
        &[0xC7, 0x43, 0x10, 1, 0, 0, 0], // mov dword [ebx + 10h], 1
        &[0xAB, 0x4F, 0x4F, 0x4F, 0x4F], // stosd; dec edi, four times
        &[0xE2, 0xDE],                   // loop
        &[0x90, 0xF4],
    ];
    let mut program = user(&body, &[]);
    program.registers[3] = DATA;
    program.registers[7] = DATA + 0x80;
    let _ = both("aliases", &program, |cpu, _| assert_eq!((cpu.regs[reg::ECX], cpu.regs[reg::EDX]), (0, 1)));
}

#[test]
fn code_that_is_written_through_a_window_is_executed_as_written() {
    for written in [CODE, ALIAS] {
        let at = 5 + 6 + 1;
        let body: [&[u8]; 6] = [
            &[0xB9, 100, 0, 0, 0],
            &[0x88, 0x0D],
            &le(written + at),
            &[0x05, 0x77, 0, 0, 0], // add eax, imm
            &[0xE2, 0xF3],
            &[0xF4],
        ];
        let done = both("code", &user(&body, &[]), |cpu, _| assert_eq!(cpu.regs[reg::EAX], 5050));
        // It is not writable there, and the instruction goes without after a few times.
        assert!(done.is_none_or(|done| done.faults > done.shown));
    }
}

#[test]
fn faults_come_where_the_tables_say_so() {
    let vector = |cpu: &Cpu| (cpu.eip & 0xFFF) / 64;
    let target = DATA + 5 * PAGE;
    let read: &[u8] = &[0x8B, 0x05];
    let write: &[u8] = &[0x89, 0x05];
    // Not present, read-only, the supervisor's: each is written or read behind a page that is there.
    for (access, entry, code) in [
        (read, 0, 4),
        (write, 0, 6),
        (write, target | 0x65, 7),
        (read, target | 0x63, 5),
        (write, target | 0x63, 7),
    ] {
        let at = le(target - PAGE);
        let fails = le(target + 8);
        let body: [&[u8]; 5] = [&[0x8B, 0x1D], &at, access, &fails, &[0xF4]];
        let program = user(&body, &[(target, entry)]);
        let _ = both("faults", &program, |cpu, ram| {
            assert_eq!((vector(cpu), cpu.cr2), (14, target + 8), "{access:x?} {entry:x}");
            let stack = (cpu.regs[reg::ESP] & 0xFFFF) as usize;
            assert_eq!(u32::from(ram[stack]), code, "error code of {access:x?} {entry:x}");
        });
    }
}

#[test]
fn accesses_across_pages_and_across_the_end_of_memory_are_exact() {
    // Two pages that do not follow each other in physical memory, and the last bytes of the address space.
    let body: [&[u8]; 5] = [
        &[0xB9, 100, 0, 0, 0],
        &[0xFF, 0x05],
        &le(DATA + 3 * PAGE - 2), // inc dword
        &[0xE2, 0xF8],
        &[0xF4],
    ];
    let program = user(&body, &[(DATA + 3 * PAGE, (DATA + 6 * PAGE) | 0x67)]);
    let _ = both("across", &program, |cpu, _| assert_eq!(cpu.regs[reg::ECX], 0));
    let body: [&[u8]; 4] = [&[0x8B, 0x1D], &le(DATA), &[0x8B, 0x05, 0xFE, 0xFF, 0xFF, 0xFF], &[0xF4]];
    let _ = both("end", &user(&body, &[]), |cpu, _| assert_eq!((cpu.eip & 0xFFF) / 64, 13));
}

#[test]
fn devices_are_reached_and_the_instruction_goes_without_a_window() {
    let body: [&[u8]; 7] = [
        &[0xB9, 0xE8, 3, 0, 0],
        &[0x8B, 0x1D],
        &le(DATA), // mov ebx, [data]
        &[0x8B, 0x15],
        &le(0x20_0800), // mov edx, [device]
        &[0xE2, 0xF2],
        &[0xF4],
    ];
    let program = user(&body, &[(0x20_0000, DEVICE | 0x67)]);
    if let Some(done) = both("device", &program, |cpu, _| assert_eq!(cpu.regs[reg::ECX], 0)) {
        let vain = done.faults - done.shown;
        assert!(vain > 0, "the device was reached");
        assert!(vain < 40 * 100, "{vain} faults in vain in 40 runs of a thousand rounds");
    }
}

/// A function whose trace goes on where it was called from, and that returns to another place each sixteenth time, where
/// all flags are looked at.
#[test]
fn a_return_that_leads_elsewhere_has_the_flags_that_it_was_left_with() {
    let endings: [&[u8]; 12] = [
        &[0x83, 0xF9, 0x64],                               // cmp ecx, 100
        &[0x83, 0xF9, 0x64, 0x51, 0x5B],                   // the same; push ecx; pop ebx
        &[0x51, 0x51, 0x83, 0xC4, 0x08],                   // push ecx, twice; add esp, 8
        &[0x51, 0x51, 0x51, 0x83, 0xC4, 0x08, 0x5B],       // three times; the same; pop ebx
        &[0x83, 0xEC, 0x08, 0x8D, 0x64, 0x24, 0x08],       // sub esp, 8; lea esp, [esp + 8]
        &[0x81, 0xC5, 0xF0, 0xFF, 0xFF, 0x7F],             // add ebp, 7FFFFFF0h
        &[0x81, 0xED, 0xF0, 0xFF, 0xFF, 0x7F, 0x89, 0xEB], // sub ebp, 7FFFFFF0h; mov ebx, ebp
        &[0x39, 0xCD],                                     // cmp ebp, ecx
        &[0xF6, 0xC1, 0x20, 0x8B, 0x04, 0x24],             // test cl, 20h; mov eax, [esp]
        &[0x84, 0xE4, 0xB0, 0x05],                         // test ah, ah; mov al, 5
        &[0x31, 0xCD, 0x0F, 0xB6, 0xC1],                   // xor ebp, ecx; movzx eax, cl
        &[0x66, 0x85, 0xC9, 0x55, 0x89, 0xE5, 0xC9],       // test cx, cx; push ebp; mov ebp, esp; leave
    ];
    for ending in endings {
        let body: [&[u8]; 14] = [
            &[0xB9, 0x90, 1, 0, 0], // mov ecx, 400
            &[0xE8, 6, 0, 0, 0],    // call the function
            &[0x31, 0xD2],          // xor edx, edx
            &[0x49, 0x75, 0xF6],    // dec ecx; jnz to the call
            &[0xF4],
            // The function.
            &[0x89, 0xC8, 0x83, 0xE0, 0x0F],        // mov eax, ecx; and eax, 15
            &[0x83, 0xF8, 0x01],                    // cmp eax, 1
            &[0x19, 0xDB],                          // sbb ebx, ebx
            &[0x83, 0xE3, 23 + ending.len() as u8], // and ebx, distance to the other place
            &[0x01, 0x1C, 0x24],                    // add [esp], ebx
            ending,
            &[0xC3],
            // The other place.
            &[0x9C, 0x58, 0xC1, 0xC7, 0x03, 0x01, 0xC7], // pushfd; pop eax; rol edi, 3; add edi, eax
            &[0x31, 0xD2, 0x49, 0x0F, 0x85, 0, 0, 0, 0, 0xF4], // xor edx, edx; dec ecx; jnz to the call
        ];
        let mut code = body.concat();
        let jump = code.len() - 5;
        let back = 5_i32 - (jump as i32 + 4);
        code[jump..jump + 4].copy_from_slice(&back.to_le_bytes());
        let _ = both("returns", &user(&[&code], &[]), |cpu, _| {
            assert!(cpu.regs[reg::ECX] == 0 && cpu.regs[reg::EDI] != 0, "{ending:x?}");
        });
    }
}

#[test]
fn a_host_that_refuses_mappings_changes_nothing() {
    let test = "a_host_that_refuses_mappings_changes_nothing";
    let (mut pair, refuses) = match Lockstep::refusing() {
        Ok(Some(pair)) => pair,
        Ok(None) => return bench::skipped(test, &"this host has no windows"),
        Err(error) => return bench::skipped(test, &error),
    };
    pair.jits.iter_mut().for_each(nomad86::jit::Jit::use_windows);
    let body: [&[u8]; 6] = [
        &[0xB9, 100, 0, 0, 0],
        &[0x89, 0x0D],
        &le(DATA + 0x40),
        &[0x03, 0x05],
        &le(DATA + 0x40),
        &[0xE2, 0xF2, 0xF4],
    ];
    for seed in 0..20 {
        refuses.set(u32::from(seed >= 10));
        let program = Program { seed, ..user(&body, &[]) };
        if let Err(difference) = pair.run(&program, Disturbances { misses: true, ..Disturbances::NONE }) {
            panic!("{}", explain(&program, Disturbances::NONE, &difference));
        }
        assert_eq!(pair.interpreter.cpu.regs[reg::EAX], 5050);
    }
    assert!(pair.windowed().mapped > 0);
    assert_eq!(pair.interpreter.ram().len(), RAM as usize);
}
