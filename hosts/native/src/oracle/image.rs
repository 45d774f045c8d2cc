//! The traced child's program: a 32-bit ELF executable of one page, built as bytes.
//!
//! It holds `int 80h; hlt` and nothing else: all that the child ever does, the tracer makes it do.
//!
//! Spec: System V ABI, Intel386 supplement (1997), chapter 4 and 5; gABI chapters 4 and 5.

/// Where the image is loaded.
pub(super) const BASE: u32 = 0x0804_8000;
/// Bytes of ELF header and two program headers.
const HEADERS: u32 = 52 + 2 * 32;
/// Address of `int 80h`, by which the tracer makes the child issue system calls.
pub(super) const SYSCALL: u32 = BASE + HEADERS;
/// Address of the `hlt` behind it, where such a call ends.
pub(super) const AFTER_SYSCALL: u32 = SYSCALL + 2;

/// The executable's bytes.
pub(super) fn elf32() -> Vec<u8> {
    let code = [0xCD, 0x80, 0xF4];
    let size = HEADERS + code.len() as u32;
    let mut image = Vec::with_capacity(size as usize);
    // ELF header: 32-bit, little-endian, version 1, System V; ET_EXEC, EM_386.
    image.extend_from_slice(&[0x7F, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    half(&mut image, 2);
    half(&mut image, 3);
    for word in [1, SYSCALL, 52, 0, 0] {
        image.extend_from_slice(&u32::to_le_bytes(word)); // e_version, e_entry, e_phoff, e_shoff, e_flags
    }
    for value in [52, 32, 2, 40, 0, 0] {
        half(&mut image, value); // header sizes and counts: two segments, no sections
    }
    // PT_LOAD: the whole file, readable and executable.
    for word in [1, 0, BASE, BASE, size, size, 5, 0x1000] {
        image.extend_from_slice(&u32::to_le_bytes(word));
    }
    // PT_GNU_STACK without execute permission: otherwise everything readable would be executable.
    for word in [0x6474_E551, 0, 0, 0, 0, 0, 6, 16] {
        image.extend_from_slice(&u32::to_le_bytes(word));
    }
    image.extend_from_slice(&code);
    image
}

fn half(image: &mut Vec<u8>, value: u16) {
    image.extend_from_slice(&value.to_le_bytes());
}
