//! What parts of the processor cost by themselves: decoding and the TLB.
//!
//! `cargo bench -p nomad86-native --bench processor`
#![allow(missing_docs)]

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use nomad86::cpu::tlb::{READ, Tlb, WRITE};
use nomad86::isa::decode::{Features, decode};

fn main() {
    divan::main();
}

/// What compilers emit most, with the ways to address memory.
const COMMON: [&[u8]; 16] = [
    &[0x89, 0xE5],                                     // mov ebp, esp
    &[0x8B, 0x45, 0xFC],                               // mov eax, [ebp-4]
    &[0x8B, 0x84, 0x8B, 0x78, 0x56, 0x34, 0x12],       // mov eax, [ebx+ecx*4+12345678h]
    &[0x83, 0xC4, 0x10],                               // add esp, 16
    &[0x81, 0xC3, 0x4F, 0x2E, 0x00, 0x00],             // add ebx, 2E4Fh
    &[0x0F, 0xB6, 0x01],                               // movzx eax, byte [ecx]
    &[0x85, 0xC0],                                     // test eax, eax
    &[0x74, 0x1C],                                     // jz
    &[0x0F, 0x84, 0x10, 0x01, 0x00, 0x00],             // jz near
    &[0xE8, 0x12, 0x34, 0x00, 0x00],                   // call
    &[0xC3],                                           // ret
    &[0x55],                                           // push ebp
    &[0xC7, 0x44, 0x24, 0x04, 0x01, 0x00, 0x00, 0x00], // mov dword [esp+4], 1
    &[0x8D, 0x74, 0x26, 0x00],                         // lea esi, [esi+0]
    &[0xC1, 0xE8, 0x05],                               // shr eax, 5
    &[0x65, 0xA1, 0x14, 0x00, 0x00, 0x00],             // mov eax, gs:[14h]
];

/// x87, MMX and SSE.
const VECTOR: [&[u8]; 8] = [
    &[0xDD, 0x44, 0x24, 0x08],             // fld qword [esp+8]
    &[0xDE, 0xC9],                         // fmulp
    &[0xD9, 0xC9],                         // fxch
    &[0x66, 0x0F, 0x6F, 0x04, 0x24],       // movdqa xmm0, [esp]
    &[0xF2, 0x0F, 0x58, 0xC1],             // addsd xmm0, xmm1
    &[0x66, 0x0F, 0xEF, 0xC0],             // pxor xmm0, xmm0
    &[0x66, 0x0F, 0x70, 0xC8, 0x1B],       // pshufd xmm1, xmm0, 1Bh
    &[0x0F, 0x6F, 0x0D, 0x00, 0x10, 0, 0], // movq mm1, [1000h]
];

fn decode_all<const N: usize>(bencher: Bencher, list: [&[u8]; N]) {
    let strings = list.map(|bytes| {
        let mut padded = [0x90; 15];
        padded[..bytes.len()].copy_from_slice(bytes);
        padded
    });
    bencher.counter(ItemsCount::new(N)).bench_local(|| {
        for bytes in &strings {
            black_box(decode(black_box(bytes), true, Features::ALL).expect("an instruction"));
        }
    });
}

#[divan::bench]
fn decode_common_instructions(bencher: Bencher) {
    decode_all(bencher, COMMON);
}

#[divan::bench]
fn decode_vector_instructions(bencher: Bencher) {
    decode_all(bencher, VECTOR);
}

/// Pages with a megabyte between them: each is in a cache line of its own.
const PAGES: u32 = 1024;

fn filled() -> Box<Tlb> {
    let mut tlb = Tlb::new();
    for page in 0..PAGES {
        tlb.fill(READ, page << 20, 0x1000, false, false);
    }
    tlb
}

#[divan::bench]
fn tlb_hit(bencher: Bencher) {
    let tlb = filled();
    bencher.counter(ItemsCount::new(PAGES)).bench_local(|| {
        (0..PAGES).map(|page| tlb.addend(READ, black_box(page << 20))).fold(0, usize::wrapping_add)
    });
}

#[divan::bench]
fn tlb_fill_and_flush_of_1024_pages(bencher: Bencher) {
    let mut tlb = Tlb::new();
    bencher.counter(ItemsCount::new(PAGES)).bench_local(|| {
        for page in 0..PAGES {
            tlb.fill(WRITE, black_box(page << 12), 0x1000, false, false);
        }
        tlb.flush(false);
    });
}

#[divan::bench]
fn tlb_flush_of_nothing_but_global_pages(bencher: Bencher) {
    let mut tlb = Tlb::new();
    for page in 0..PAGES {
        tlb.fill(READ, page << 12, 0x1000, true, false);
    }
    bencher.bench_local(|| tlb.flush(black_box(false)));
}
