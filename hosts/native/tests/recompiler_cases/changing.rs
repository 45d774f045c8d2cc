//! Code that is overwritten: by itself, through other mappings, by DMA, on other pages.

use super::{both, code, eax, le};
use nomad86::cpu::reg;
use nomad86::isa::table::ROWS;
use nomad86_native::lockstep::layout::{ALIAS, CODE, DATA, PAGE};
use nomad86_native::lockstep::program::Program;
use nomad86_native::lockstep::{Disturbances, Lockstep};

#[test]
fn case_44_an_instruction_of_the_same_block_is_overwritten() {
    // ECX = 9 … 1: the immediate of the ADD behind it in the block.
    let body = code(&[
        &[0xB9, 9, 0, 0, 0], // mov ecx, 9
        &[0x88, 0x0D],
        &le(CODE + 5 + 6 + 1 + 1), // mov [imm of the ADD], cl
        &[0x90],                   // nop
        &[0x05, 0x77, 0, 0, 0],    // add eax, 77h
        &[0xE2, 0xF2],             // loop to the MOV
        &[0xF4],
    ]);
    both("case_44", &Program::written(&[(CODE, &body)]), eax(45));
}

#[test]
fn case_44_the_next_instruction_is_overwritten() {
    let body = code(&[
        &[0xB9, 9, 0, 0, 0],
        &[0x88, 0x0D],
        &le(CODE + 5 + 6 + 1),
        &[0x05, 0x77, 0, 0, 0],
        &[0xE2, 0xF3],
        &[0xF4],
    ]);
    both("case_44", &Program::written(&[(CODE, &body)]), eax(45));
}

#[test]
fn case_44_a_block_on_another_page_is_overwritten_while_it_is_linked() {
    // A subroutine on the next page returns what the caller put into it before.
    let caller = code(&[
        &[0xB9, 9, 0, 0, 0],
        &[0xE8],
        &le(PAGE - 10 + 1), // call, once with the old contents
        &[0x88, 0x0D],
        &le(CODE + PAGE + 2), // mov [imm], cl
        &[0xE8],
        &le(PAGE - 21 + 1), // call
        &[0xE2, 0xEE],      // loop to the first CALL
        &[0xF4],
    ]);
    let callee = [0x05, 0, 0, 0, 0, 0xC3];
    // Old contents 0 9 8 … 2, new ones 9 8 … 1.
    both("case_44", &Program::written(&[(CODE, &caller), (CODE + PAGE + 1, &callee)]), eax(45 + 44));
}

#[test]
fn case_44_the_half_of_an_instruction_on_the_next_page_is_overwritten() {
    // ADD EAX, imm32 begins three bytes before the page's end; the last two bytes of its immediate are beyond.
    let at = CODE + PAGE - 3;
    let start = at - 11;
    let body = code(&[
        &[0xB9, 9, 0, 0, 0],
        &[0x88, 0x0D],
        &le(CODE + PAGE), // mov [third byte of the immediate], cl
        &[0x05, 0, 0, 0, 0],
        &[0xE2, 0xF3],
        &[0xF4],
    ]);
    both("case_44", &Program::written(&[(start, &body)]), eax(45 << 16));
}

#[test]
fn case_44_code_is_overwritten_through_another_mapping() {
    for (executed, written) in [(CODE, ALIAS), (ALIAS, CODE)] {
        let body = code(&[
            &[0xB9, 9, 0, 0, 0],
            &[0x88, 0x0D],
            &le(written + 5 + 6 + 1),
            &[0x05, 0x77, 0, 0, 0],
            &[0xE2, 0xF3],
            &[0xF4],
        ]);
        let mut program = Program::written(&[(CODE, &body)]).with_paging();
        program.entry = executed;
        program.starts = vec![executed];
        both("case_44", &program, eax(45));
    }
}

#[test]
fn case_44_code_is_overwritten_by_dma() {
    // Port 23h makes the device write a NOP to the code page's offset in EAX: over the INC EBX.
    let body = code(&[
        &[0xB9, 5, 0, 0, 0],
        &[0x43],             // inc ebx
        &[0x83, 0xF9, 3],    // cmp ecx, 3
        &[0x75, 7],          // jne over
        &[0xB8, 5, 0, 0, 0], // mov eax, 5
        &[0xE7, 0x23],       // out 23h, eax
        &[0xE2, 0xF1],       // loop to the INC
        &[0xF4],
    ]);
    both("case_44", &Program::written(&[(CODE, &body)]), |cpu, ram| {
        assert_eq!(ram[CODE as usize + 5], 0x90);
        assert_eq!(cpu.regs[reg::EBX], 3, "INC EBX ran three times before it became a NOP");
    });
}

#[test]
fn case_44_code_is_overwritten_by_every_kind_of_store() {
    // Each replaces the imm32 of ADD EAX, imm32 (6 bytes behind `patch`), by what it stores; EBX = 5.
    let target = CODE + 0x101;
    let stores: [(&str, Vec<u8>); 9] = [
        ("mov", code(&[&[0x89, 0x1D], &le(target)])),
        ("xchg", code(&[&[0x87, 0x1D], &le(target), &[0xBB, 5, 0, 0, 0]])),
        ("add", code(&[&[0x01, 0x1D], &le(target)])),
        ("push", code(&[&[0x89, 0xE2, 0xBC], &le(target + 4), &[0x53, 0x89, 0xD4]])),
        ("stosd", code(&[&[0xBF], &le(target), &[0x50, 0x89, 0xD8, 0xAB, 0x58]])),
        (
            "rep movsd",
            code(&[
                &[0x51, 0x53, 0x89, 0xE6, 0xBF],
                &le(target),
                &[0xB9, 1, 0, 0, 0, 0xF3, 0xA5, 0x5B, 0x59],
            ]),
        ),
        ("fistp", code(&[&[0x53, 0xDB, 0x04, 0x24, 0xDB, 0x1D], &le(target), &[0x5B]])),
        ("movd", code(&[&[0x66, 0x0F, 0x6E, 0xC3, 0x66, 0x0F, 0x7E, 0x05], &le(target)])),
        ("cmpxchg", code(&[&[0x50, 0xA1], &le(target), &[0x0F, 0xB1, 0x1D], &le(target), &[0x58]])),
    ];
    for (name, store) in stores {
        if name == "movd" && !ROWS.iter().any(|row| row.mnemonic == name) {
            continue; // no such instruction yet
        }
        // First the ADD is executed as it is (with 0), so that it is translated; then it is overwritten.
        let mut body = code(&[&[0xBB, 5, 0, 0, 0, 0xB9, 2, 0, 0, 0]]);
        let back = CODE + 0x105 + 2;
        body.extend([0xE9]);
        body.extend(le((CODE + 0x100).wrapping_sub(CODE + body.len() as u32 + 4)));
        let patch = CODE + body.len() as u32;
        body.extend(&store);
        body.push(0xE9);
        body.extend(le((CODE + 0x100).wrapping_sub(CODE + body.len() as u32 + 4)));
        let tail =
            code(&[&[0x05, 0, 0, 0, 0], &[0xE2, 1], &[0xF4], &[0xE9], &le(patch.wrapping_sub(back + 1 + 5))]);
        let program = Program::written(&[(CODE, &body), (CODE + 0x100, &tail)]);
        both(name, &program, |cpu, _| assert_eq!(cpu.regs[reg::EAX], 5, "{name}"));
    }
}

/// A program that rewrites immediate operands, shift counts and call targets of a function before each few calls of
/// it, as inline caches and compilers that fill templates do; stack adjustments too if wanted.
fn patching(stack: bool) -> Program {
    const CALLEE: u32 = CODE + PAGE + 0x10;
    const NEAR: u32 = CODE + 2 * PAGE + 0x20;
    let callee = code(&[
        &[0x89, 0xE5],             // 00 mov ebp, esp
        &[0x05, 0, 0, 0, 0],       // 02 add eax, imm32
        &[0xC1, 0xC0, 0],          // 07 rol eax, imm8
        &[0x35, 0, 0, 0, 0],       // 10 xor eax, imm32
        &[0xC1, 0xE3, 0],          // 15 shl ebx, imm8
        &[0x83, 0xD0, 0],          // 18 adc eax, imm8
        &[0x68, 0, 0, 0, 0, 0x5B], // 21 push imm32; 26 pop ebx
        &[0x81, 0xEC, 0, 0, 0, 0], // 27 sub esp, imm32
        &[0x66, 0x68, 0, 0],       // 33 push imm16
        &[0x89, 0x44, 0x24, 0xF0], // 37 mov [esp-16], eax
        &[0x03, 0x5C, 0x24, 0xF0], // 41 add ebx, [esp-16]
        &[0x89, 0xEC],             // 45 mov esp, ebp
        &[0x69, 0xDB, 0, 0, 0, 0], // 47 imul ebx, ebx, imm32
        &[0xBF, 0, 0, 0, 0],       // 53 mov edi, imm32
        &[0x01, 0xF8, 0x01, 0xD8], // 58 add eax, edi; add eax, ebx
        &[0xB4, 0],                // 62 mov ah, imm8
        &[0xE8, 0, 0, 0, 0],       // 64 call rel32
        &[0xC3],                   // 69 ret
    ]);
    let targets = code(&[&[0x40, 0xC3], &[0x90; 0x0E], &[0xC1, 0xC8, 3, 0xC3]]);
    let mut body = code(&[&[0xBA], &le(0x1234_5678), &[0xB9], &le(60)]); // mov edx, …; mov ecx, 60
    let start = body.len();
    body.extend([0x69, 0xD2].iter().copied().chain(le(1_664_525))); // imul edx, edx, …
    body.extend([0x81, 0xC2].iter().copied().chain(le(1_013_904_223))); // add edx, …
    for at in [3, 11, 22, 49, 54] {
        body.extend([0x89, 0x15].iter().copied().chain(le(CALLEE + at)));
        body.extend([0xC1, 0xC2, 7]); // mov [at], edx; rol edx, 7
    }
    for (at, high) in [(9, 0), (17, 0), (17, 8), (20, 8), (35, 0), (63, 8)] {
        body.extend([0x88, 0x15 | high << 1].iter().copied().chain(le(CALLEE + at))); // mov [at], dl or dh
        body.extend([0xD1, 0xC2]); // rol edx, 1
    }
    body.extend([0x89, 0xD6, 0x83, 0xE6, 0x70]); // mov esi, edx; and esi, 70h
    if stack {
        body.extend([0x89, 0x35].iter().copied().chain(le(CALLEE + 29))); // mov [at], esi
    }
    body.extend([0x89, 0xD6, 0x83, 0xE6, 0x10]); // mov esi, edx; and esi, 10h
    body.extend([0x81, 0xC6].iter().copied().chain(le(NEAR - (CALLEE + 69)))); // add esi, distance
    body.extend([0x89, 0x35].iter().copied().chain(le(CALLEE + 65))); // mov [at], esi
    for _ in 0..4 {
        let behind = CODE + body.len() as u32 + 5;
        body.extend([0xE8].iter().copied().chain(le(CALLEE.wrapping_sub(behind))));
    }
    let behind = body.len() + 7;
    body.extend([0x49, 0x0F, 0x85].iter().copied().chain(le((start as u32).wrapping_sub(behind as u32)))); // dec ecx; jnz
    body.push(0xF4);
    let mut program = Program::written(&[(CODE, &body), (CALLEE, &callee), (NEAR, &targets)]);
    program.length = 100_000;
    program
}

#[test]
fn patched_immediates_counts_and_targets_are_followed() {
    for stack in [false, true] {
        for precise in [false, true] {
            let program = Program { precise, ..patching(stack) };
            both("patched", &program, |cpu, _| assert_eq!(cpu.regs[reg::ECX], 0));
        }
    }
    let Ok(mut pair) = Lockstep::new() else { return };
    pair.run(&Program { precise: false, ..patching(false) }, Disturbances::NONE).unwrap();
    let revived: u64 = pair.jits.iter().map(|jit| jit.stats.revived).sum();
    let translated = pair.counts.blocks;
    assert!(revived > 50 && translated < 100, "{revived} times in place, {translated} blocks translated");
}

/// A loop that calls a function on the next page, which calls one on the page behind that, `rounds` times in ECX. In
/// between the page of the first becomes another, the code of the second is overwritten, and it returns elsewhere.
fn over_pages(alias: bool) -> Program {
    /// Where the page table is mapped.
    const TABLE: u32 = 0x10_0000;
    let (first, second, table) = (CODE + PAGE + 0x40, CODE + 2 * PAGE + 0x80, 0xA000);
    let mut body = code(&[&[0xBC], &le(DATA + PAGE), &[0xB9], &le(400)]); // mov esp, …; mov ecx, 400
    let start = body.len() as u32;
    let call = |at: u32, to: u32| [vec![0xE8], le(to.wrapping_sub(at + 5)).to_vec()].concat();
    body.extend(call(CODE + start, first));
    body.extend([0x81, 0xF9].iter().copied().chain(le(200))); // cmp ecx, 200
    body.extend([0x75, 17]); // jne over
    body.extend(
        [0xC7, 0x05].iter().copied().chain(le(TABLE + 4 * (first >> 12))).chain(le((CODE + 3 * PAGE) | 7)),
    );
    body.extend([0x0F, 0x01, 0x3D].iter().copied().chain(le(first & !0xFFF))); // invlpg
    body.extend([0x83, 0xF9, 100, 0x75, 7]); // cmp ecx, 100; jne over
    body.extend([0xC6, 0x05].iter().copied().chain(le(second + 5)).chain([7])); // mov byte [imm of the second], 7
    body.extend([0x49, 0x0F, 0x85]); // dec ecx; jnz
    let behind = body.len() as u32 + 4;
    body.extend(le(start.wrapping_sub(behind)));
    body.push(0xF4);
    let function = |by: u32| {
        code(&[
            &[0x53, 0x05], // push ebx; add eax, imm32
            &le(by),
            &call(first + 6, second),
            &[0x40, 0x5B, 0xC3], // inc eax; pop ebx; ret
        ])
    };
    let callee = code(&[
        &[0x83, 0xD6, 0, 0x83, 0xC6, 3],          // adc esi, 0; add esi, 3
        &[0x89, 0xCA, 0x83, 0xE2, 0x1F, 0x75, 3], // mov edx, ecx; and edx, 1Fh; jnz over
        &[0xFF, 0x04, 0x24],                      // inc dword [esp]: over the INC EAX
        &[0xC3],
    ]);
    let pieces: [(u32, &[u8]); 4] =
        [(CODE, &body), (first, &function(1)), (second, &callee), (first + 2 * PAGE, &function(0x100))];
    let mut program = Program::written(&pieces).with_paging();
    program.pages.push((TABLE, table | 7));
    if alias {
        // The same code entered where other pages lie around it, too.
        program.entry = ALIAS;
        program.starts = vec![ALIAS];
    }
    program
}

#[test]
fn calls_over_pages_that_change_are_followed() {
    let skipped = 400 / 32;
    let sum = 201 + 199 * 0x100 + 400 - skipped;
    both("over_pages", &over_pages(false), eax(sum));
    both("over_pages", &Program { precise: true, ..over_pages(false) }, eax(sum));
    // There, all of it is reached through the other mapping, whose pages do not change.
    both("over_pages", &over_pages(true), eax(400 + 400 - skipped));
    let Ok(mut pair) = Lockstep::new() else { return };
    pair.run(&Program { precise: false, ..over_pages(false) }, Disturbances::NONE).unwrap();
    let traces: u64 = pair.jits.iter().map(|jit| jit.stats.over_pages).sum();
    assert!(traces > 0, "no trace leads over pages");
}
