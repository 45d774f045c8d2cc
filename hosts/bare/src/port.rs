//! Input and output ports.
//!
//! Ports cannot break memory safety but through devices that write to memory by themselves; those are told
//! where by `virtio` alone, which answers for it.
#![allow(unsafe_code)]

use x86_64::instructions::port::Port;

pub(crate) fn in8(port: u16) -> u8 {
    // SAFETY: see above.
    unsafe { Port::new(port).read() }
}

pub(crate) fn in16(port: u16) -> u16 {
    // SAFETY: see above.
    unsafe { Port::new(port).read() }
}

pub(crate) fn in32(port: u16) -> u32 {
    // SAFETY: see above.
    unsafe { Port::new(port).read() }
}

pub(crate) fn out8(port: u16, value: u8) {
    // SAFETY: see above.
    unsafe { Port::new(port).write(value) }
}

pub(crate) fn out16(port: u16, value: u16) {
    // SAFETY: see above.
    unsafe { Port::new(port).write(value) }
}

pub(crate) fn out32(port: u16, value: u32) {
    // SAFETY: see above.
    unsafe { Port::new(port).write(value) }
}
