//! The option ROM that starts a kernel from a BIOS: it loads what its list says through fw_cfg's DMA
//! interface and enters the kernel, a Linux kernel at its real-mode set-up code, a multiboot one in
//! protected mode with the BIOS's memory map in its information block.
//!
//! Spec: Plug and Play BIOS 1.0A, appendix B (option ROM header); QEMU, fw_cfg; Linux, boot protocol;
//! Multiboot 0.6.96, 3.2.
//! Not emulated: nothing; it runs on the emulated CPU. It needs a 486.

use alloc::vec::Vec;

/// One transfer of the load list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Load {
    /// Physical address.
    pub(super) at: u32,
    /// Bytes; not 0.
    pub(super) len: u32,
    /// Item to start reading from the beginning; `None` to go on in the one before.
    pub(super) key: Option<u16>,
}

/// Parameters of the ROM.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    /// Entry point of a multiboot kernel; 0 for Linux.
    pub(super) entry: u32,
    /// Segment of Linux's set-up code or of the multiboot information.
    pub(super) segment: u16,
    /// Stack pointer in that segment, for Linux.
    pub(super) stack: u16,
    /// What to load.
    pub(super) loads: Vec<Load>,
}

/// Longest transfer: a guest is not held up longer by one port access.
pub(super) const CHUNK: u32 = 16 << 20;

/// fw_cfg DMA: read.
const READ: u32 = 1 << 1;
/// fw_cfg DMA: select the item in the upper half first.
const SELECT: u32 = 1 << 3;

const SIZE: usize = 0x02;
const PARAMETERS: usize = 0x40;

/// The ROM with its parameters, list and checksum.
pub(super) fn image(parameters: &Parameters) -> Vec<u8> {
    let mut rom = CODE.to_vec();
    let list = rom.len() as u16;
    rom[PARAMETERS..][..4].copy_from_slice(&parameters.entry.to_le_bytes());
    rom[PARAMETERS + 4..][..2].copy_from_slice(&parameters.segment.to_le_bytes());
    rom[PARAMETERS + 6..][..2].copy_from_slice(&parameters.stack.to_le_bytes());
    rom[PARAMETERS + 8..][..2].copy_from_slice(&list.to_le_bytes());
    for load in &parameters.loads {
        let mut key = load.key;
        let mut at = load.at;
        let mut left = load.len;
        while left > 0 {
            let len = left.min(CHUNK);
            let command = key.take().map_or(READ, |key| u32::from(key) << 16 | SELECT | READ);
            for word in [at, len, command] {
                rom.extend(word.to_le_bytes());
            }
            at = at.wrapping_add(len);
            left -= len;
        }
    }
    rom.extend([0; 8]);
    // A last byte for the checksum, up to whole units of 512 bytes.
    rom.resize((rom.len() + 1).next_multiple_of(512), 0);
    rom[SIZE] = (rom.len() / 512).min(255) as u8;
    let sum = rom.iter().fold(0_u8, |s, b| s.wrapping_add(*b));
    if let Some(last) = rom.last_mut() {
        *last = 0_u8.wrapping_sub(sum);
    }
    rom
}

/// Assembled from the source at the right: offset, label, instruction.
#[rustfmt::skip]
const CODE: &[u8] = &[
    0x55, 0xAA, // 000 db 0x55, 0xAA ; option ROM
    0x00, // 002 size: db 0 ; size in units of 512 bytes
    0xB8, 0x20, 0x00, // 003 init: mov ax, 0x20 ; an initial program load device is attached
    0xCB, // 006 retf
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // 007 (padding)
    0x00, 0x00, 0x00,
    0x20, 0x00, // 01A dw pnp ; plug-and-play header
    0x00, 0x00, 0x00, 0x00, // 01C (padding)
    0x24, 0x50, 0x6E, 0x50, // 020 pnp: db '$PnP' ; header
    0x01, 0x02, // 024 db 1, 2 ; revision, length
    0x00, 0x00, // 026 dw 0 ; no next header
    0x00, // 028 db 0 ; reserved
    0x00, // 029 db 0 ; checksum
    0x00, 0x00, 0x00, 0x00, // 02A dd 0 ; device
    0x9E, 0x01, // 02E dw maker ; manufacturer
    0xA6, 0x01, // 030 dw product ; product
    0x02, 0x00, 0x00, // 032 db 2, 0, 0 ; type
    0x64, // 035 db 0x64 ; may be shadowed and cached, boot device
    0x00, 0x00, // 036 dw 0 ; no boot connection vector
    0x00, 0x00, // 038 dw 0 ; no disconnect vector
    0x4A, 0x00, // 03A dw bev ; bootstrap entry vector
    0x00, 0x00, // 03C dw 0 ; reserved
    0x00, 0x00, // 03E dw 0 ; no static resources
    0x00, 0x00, 0x00, 0x00, // 040 entry: dd 0 ; multiboot entry, 0 for Linux
    0x00, 0x00, // 044 segment: dw 0 ; set-up segment
    0x00, 0x00, // 046 stack: dw 0 ; stack pointer for Linux
    0x00, 0x00, // 048 list: dw 0 ; load list
    0xFA, // 04A bev: cli
    0xFC, // 04B cld
    0x31, 0xC0, // 04C xor ax, ax
    0x8E, 0xD0, // 04E mov ss, ax
    0x66, 0xBC, 0x00, 0x7C, 0x00, 0x00, // 050 mov esp, 0x7C00
    0x8E, 0xC0, // 056 mov es, ax
    0x0E, // 058 push cs
    0x1F, // 059 pop ds
    0xB8, 0x01, 0x24, // 05A mov ax, 0x2401 ; open A20
    0xCD, 0x15, // 05D int 0x15
    0x8B, 0x36, 0x48, 0x00, // 05F mov si, [list]
    0x66, 0x8B, 0x4C, 0x04, // 063 next: mov ecx, [si+4] ; length, 0 at the end
    0x67, 0xE3, 0x67, // 067 jecxz loaded
    0x66, 0x8B, 0x3C, // 06A mov edi, [si] ; address
    0x66, 0x8B, 0x44, 0x08, // 06D mov eax, [si+8] ; command
    0x66, 0x0F, 0xC8, // 071 bswap eax
    0x26, 0x66, 0xA3, 0x00, 0x7E, // 074 mov [es:dma], eax
    0x66, 0x0F, 0xC9, // 079 bswap ecx
    0x26, 0x66, 0x89, 0x0E, 0x04, 0x7E, // 07C mov [es:dma+4], ecx
    0x26, 0x66, 0xC7, 0x06, 0x08, 0x7E, 0x00, 0x00, 0x00, 0x00, // 082 mov dword [es:dma+8], 0
    0x66, 0x0F, 0xCF, // 08C bswap edi
    0x26, 0x66, 0x89, 0x3E, 0x0C, 0x7E, // 08F mov [es:dma+12], edi
    0xBA, 0x14, 0x05, // 095 mov dx, 0x514
    0x66, 0x31, 0xC0, // 098 xor eax, eax
    0x66, 0xEF, // 09B out dx, eax
    0xB2, 0x18, // 09D mov dl, 0x18
    0x66, 0xB8, 0x00, 0x00, 0x7E, 0x00, // 09F mov eax, 0x007E0000 ; the descriptor's address, big-endian
    0x66, 0xEF, // 0A5 out dx, eax
    0x26, 0x66, 0xA1, 0x00, 0x7E, // 0A7 wait: mov eax, [es:dma]
    0x66, 0x0F, 0xC8, // 0AC bswap eax
    0xA8, 0x01, // 0AF test al, 1 ; error
    0x75, 0x0A, // 0B1 jnz failed
    0x66, 0x85, 0xC0, // 0B3 test eax, eax ; done
    0x75, 0xEF, // 0B6 jnz wait
    0x83, 0xC6, 0x0C, // 0B8 add si, 12
    0xEB, 0xA6, // 0BB jmp next
    0xBE, 0xAD, 0x01, // 0BD failed: mov si, text
    0xAC, // 0C0 print: lodsb
    0x84, 0xC0, // 0C1 test al, al
    0x74, 0x09, // 0C3 jz stop
    0xB4, 0x0E, // 0C5 mov ah, 0x0E
    0xBB, 0x07, 0x00, // 0C7 mov bx, 7
    0xCD, 0x10, // 0CA int 0x10
    0xEB, 0xF2, // 0CC jmp print
    0xF4, // 0CE stop: hlt
    0xEB, 0xFD, // 0CF jmp stop
    0x66, 0x83, 0x3E, 0x40, 0x00, 0x00, // 0D1 loaded: cmp dword [entry], 0
    0x75, 0x1F, // 0D7 jne multiboot
    0x8B, 0x1E, 0x44, 0x00, // 0D9 mov bx, [segment]
    0x8B, 0x26, 0x46, 0x00, // 0DD mov sp, [stack]
    0x8E, 0xD3, // 0E1 mov ss, bx
    0x8E, 0xDB, // 0E3 mov ds, bx
    0x8E, 0xC3, // 0E5 mov es, bx
    0x8E, 0xE3, // 0E7 mov fs, bx
    0x8E, 0xEB, // 0E9 mov gs, bx
    0x8D, 0x47, 0x20, // 0EB lea ax, [bx+0x20]
    0x50, // 0EE push ax
    0x6A, 0x00, // 0EF push word 0
    0x66, 0x31, 0xDB, // 0F1 xor ebx, ebx
    0x66, 0x31, 0xF6, // 0F4 xor esi, esi
    0xCB, // 0F7 retf ; to the kernel's set-up code
    0x8E, 0x06, 0x44, 0x00, // 0F8 mov es, [segment]
    0xCD, 0x12, // 0FC int 0x12 ; memory under 640 KiB
    0x26, 0xA3, 0x04, 0x00, // 0FE mov [es:4], ax
    0xBF, 0xA0, 0x00, // 102 mov di, mmap
    0x66, 0x31, 0xDB, // 105 xor ebx, ebx
    0x83, 0xC7, 0x04, // 108 e820: add di, 4
    0x66, 0xB8, 0x20, 0xE8, 0x00, 0x00, // 10B mov eax, 0xE820
    0x66, 0xBA, 0x50, 0x41, 0x4D, 0x53, // 111 mov edx, 0x534D4150 ; 'SMAP'
    0x66, 0xB9, 0x14, 0x00, 0x00, 0x00, // 117 mov ecx, 20
    0xCD, 0x15, // 11D int 0x15
    0x72, 0x39, // 11F jc over
    0x66, 0x3D, 0x50, 0x41, 0x4D, 0x53, // 121 cmp eax, 0x534D4150
    0x75, 0x31, // 127 jne over
    0x26, 0x66, 0xC7, 0x45, 0xFC, 0x14, 0x00, 0x00, 0x00, // 129 mov dword [es:di-4], 20
    0x26, 0x66, 0x81, 0x3D, 0x00, 0x00, 0x10, 0x00, // 132 cmp dword [es:di], 0x100000
    0x75, 0x0E, // 13A jne other
    0x26, 0x66, 0x8B, 0x45, 0x08, // 13C mov eax, [es:di+8] ; memory from 1 MiB on
    0x66, 0xC1, 0xE8, 0x0A, // 141 shr eax, 10
    0x26, 0x66, 0xA3, 0x08, 0x00, // 145 mov [es:8], eax
    0x83, 0xC7, 0x14, // 14A other: add di, 20
    0x66, 0x85, 0xDB, // 14D test ebx, ebx
    0x74, 0x0B, // 150 jz mapped
    0x81, 0xFF, 0xA0, 0x03, // 152 cmp di, mmap+32*24
    0x72, 0xB0, // 156 jb e820
    0xEB, 0x03, // 158 jmp mapped
    0x83, 0xEF, 0x04, // 15A over: sub di, 4
    0x81, 0xEF, 0xA0, 0x00, // 15D mapped: sub di, mmap
    0x26, 0x89, 0x3E, 0x2C, 0x00, // 161 mov [es:0x2C], di ; length of the map
    0xFA, // 166 cli
    0x26, 0x66, 0x0F, 0x01, 0x16, 0x98, 0x00, // 167 o32 lgdt [es:0x98]
    0x66, 0x8B, 0x3E, 0x40, 0x00, // 16E mov edi, [entry]
    0x66, 0x31, 0xDB, // 173 xor ebx, ebx
    0x8C, 0xC3, // 176 mov bx, es
    0x66, 0xC1, 0xE3, 0x04, // 178 shl ebx, 4 ; multiboot information
    0x0F, 0x20, 0xC0, // 17C mov eax, cr0
    0x0C, 0x01, // 17F or al, 1
    0x0F, 0x22, 0xC0, // 181 mov cr0, eax
    0xB8, 0x10, 0x00, // 184 mov ax, 0x10
    0x8E, 0xD8, // 187 mov ds, ax
    0x8E, 0xC0, // 189 mov es, ax
    0x8E, 0xE0, // 18B mov fs, ax
    0x8E, 0xE8, // 18D mov gs, ax
    0x8E, 0xD0, // 18F mov ss, ax
    0x66, 0xB8, 0x02, 0xB0, 0xAD, 0x2B, // 191 mov eax, 0x2BADB002
    0x66, 0x6A, 0x08, // 197 push dword 8
    0x66, 0x57, // 19A push edi
    0x66, 0xCB, // 19C o32 retf ; to the kernel
    0x6E, 0x6F, 0x6D, 0x61, 0x64, 0x38, 0x36, 0x00, // 19E maker: db 'nomad86', 0
    0x4B, 0x65, 0x72, 0x6E, 0x65, 0x6C, 0x00, // 1A6 product: db 'Kernel', 0
    0x54, 0x68, 0x65, 0x20, 0x6B, 0x65, 0x72, 0x6E, 0x65, 0x6C, 0x20, 0x63, 0x6F, 0x75, 0x6C, 0x64, // 1AD text: db 'The kernel could not be loaded.', 13, 10, 0
    0x20, 0x6E, 0x6F, 0x74, 0x20, 0x62, 0x65, 0x20, 0x6C, 0x6F, 0x61, 0x64, 0x65, 0x64, 0x2E, 0x0D,
    0x0A, 0x00,
];
