//! From the loader to Rust: the multiboot header, and the way from 32-bit protected mode to long mode.
//!
//! Spec: Multiboot Specification 0.6.96; Intel SDM volume 3, 9.8.5 (initialising IA-32e mode).
#![allow(unsafe_code)]

use core::arch::global_asm;

/// What a multiboot loader leaves in EAX.
pub(crate) const MAGIC: u32 = 0x2BAD_B002;

unsafe extern "C" {
    static __image_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __image_end: u8;
}

/// Where the parts of the image lie.
pub(crate) struct Image {
    pub(crate) start: u64,
    pub(crate) text_end: u64,
    pub(crate) rodata_end: u64,
    pub(crate) end: u64,
}

pub(crate) fn image() -> Image {
    Image {
        start: (&raw const __image_start) as u64,
        text_end: (&raw const __text_end) as u64,
        rodata_end: (&raw const __rodata_end) as u64,
        end: (&raw const __image_end) as u64,
    }
}

// The identity mapping of the first 4 GiB in pages of 2 MiB is only for the way here: `paging` makes the one
// that stays.
global_asm!(
    r#"
    .section .multiboot, "a"
    .balign 4
header:
    .long 0x1BADB002
    .long 0x00010007
    .long -(0x1BADB002 + 0x00010007)
    .long header
    .long __image_start
    .long __load_end
    .long __image_end
    .long _start
    .long 0, 1024, 768, 32

    .section .boot, "ax"
    .code32
    .globl _start
_start:
    cli
    cld
    mov esp, offset boot_stack_end
    mov edi, eax
    mov esi, ebx

    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb 8f
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    jnc 8f
    bt edx, 20
    jnc 8f

    mov eax, offset boot_p3 + 3
    mov dword ptr [boot_p4], eax
    mov eax, offset boot_p2 + 3
    mov ebx, offset boot_p3
    mov ecx, 4
2:  mov dword ptr [ebx], eax
    add eax, 4096
    add ebx, 8
    loop 2b
    mov eax, 0x83
    mov ebx, offset boot_p2
    mov ecx, 2048
3:  mov dword ptr [ebx], eax
    add eax, 0x200000
    add ebx, 8
    loop 3b

    mov eax, offset boot_p4
    mov cr3, eax
    mov eax, cr4
    or eax, 0x6A0
    mov cr4, eax
    mov ecx, 0xC0000080
    rdmsr
    or eax, 0x900
    wrmsr
    mov eax, cr0
    and eax, 0x9FFFFFF3
    or eax, 0x80010022
    mov cr0, eax
    lgdt [boot_gdtr]
    push 8
    mov eax, offset boot_long
    push eax
    retf

8:  mov esi, offset boot_message
    mov edi, 0xB8000
    mov ah, 0x4F
4:  lodsb
    test al, al
    jz 5f
    stosw
    mov bl, al
    mov dx, 0x3FD
6:  in al, dx
    test al, 0x20
    jz 6b
    mov dx, 0x3F8
    mov al, bl
    out dx, al
    jmp 4b
5:  hlt
    jmp 5b

    .code64
boot_long:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    xor eax, eax
    mov fs, ax
    mov gs, ax
    mov rsp, offset boot_stack_end
    fninit
    mov edi, edi
    mov esi, esi
    call {start}
    ud2

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00209A0000000000
    .quad 0x0000920000000000
boot_gdtr:
    .word 23
    .long boot_gdt
boot_message:
    .asciz "nomad86: this processor has no 64-bit mode with no-execute pages, which this kernel needs   "

    .section .bss.boot, "aw", @nobits
    .balign 4096
boot_p4: .skip 4096
boot_p3: .skip 4096
boot_p2: .skip 16384
    .skip 262144
boot_stack_end:
    .text
"#,
    start = sym crate::start,
);
