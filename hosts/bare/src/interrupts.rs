//! Interrupts: descriptor tables, the pair of 8259s, a timer that ends sleep, and what devices bring meanwhile.
//! Nothing ticks while the machine runs.
//!
//! Handlers run on a stack of their own, as translated code leaves none to be used by others, and do not touch
//! x87 and SSE state, which is the guest's: the kernel is compiled without floating point instructions.
//!
//! Spec: Intel SDM volume 3, chapter 6; Intel 8259A data sheet; Intel 8254 data sheet.
#![allow(unsafe_code)]

use crate::clock::{PIT_HERTZ, SECOND};
use crate::port::{in8, out8};
use crate::ring::Ring;
use alloc::boxed::Box;
use alloc::vec;
use core::arch::global_asm;
use core::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::{interrupts, tables};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;
use x86_64::{PrivilegeLevel, VirtAddr};

/// First vector of the interrupt controllers.
const IRQS: u64 = 32;
/// Vectors with a handler: exceptions and 16 interrupt lines.
const VECTORS: usize = 48;
const STACK: usize = 64 << 10;

/// Bytes from the keyboard, the mouse and the serial line.
pub(crate) static KEYBOARD: Ring = Ring::new();
pub(crate) static MOUSE: Ring = Ring::new();
pub(crate) static SERIAL: Ring = Ring::new();
/// The network card's interrupt status register, which is acknowledged by reading it; 0 for none.
pub(crate) static NETWORK_STATUS: AtomicU16 = AtomicU16::new(0);
/// Interrupts of devices so far: whoever sleeps looks whether there were any.
static EVENTS: AtomicU64 = AtomicU64::new(0);

/// What a handler finds on its stack.
#[repr(C)]
struct Frame {
    /// rax rcx rdx rsi rdi r8 r9 r10 r11 rbx rbp.
    saved: [u64; 11],
    /// Address behind the stub's call, which says the vector.
    stub: u64,
    /// From here on by the processor; exceptions with an error code have that first.
    rest: [u64; 6],
}

unsafe extern "C" {
    static interrupt_stubs: u8;
}

// Each stub is a call, padded to 16 bytes: the return address tells which one it was.
global_asm!(
    r#"
    .balign 16
    .globl interrupt_stubs
interrupt_stubs:
    .rept {vectors}
    .balign 16
    call interrupt_common
    .endr

interrupt_common:
    push rbp
    push rbx
    push r11
    push r10
    push r9
    push r8
    push rdi
    push rsi
    push rdx
    push rcx
    push rax
    cld
    mov rdi, rsp
    mov rbp, rsp
    and rsp, -16
    call {handle}
    mov rsp, rbp
    pop rax
    pop rcx
    pop rdx
    pop rsi
    pop rdi
    pop r8
    pop r9
    pop r10
    pop r11
    pop rbx
    pop rbp
    add rsp, 8
    iretq
"#,
    vectors = const VECTORS,
    handle = sym handle,
);

extern "C" fn handle(frame: &Frame) {
    let vector = (frame.stub - (&raw const interrupt_stubs) as u64) / 16;
    if vector < IRQS {
        exception(vector, frame);
    }
    let irq = (vector - IRQS) as u8;
    if (irq == 7 || irq == 15) && !in_service(irq) {
        // Spurious; the first controller has seen a real one of the second, though.
        if irq == 15 {
            out8(0x20, 0x20);
        }
        return;
    }
    match irq {
        0 => {}
        // What nobody takes in time is lost.
        1 => _ = KEYBOARD.push(in8(0x60)),
        12 => _ = MOUSE.push(in8(0x60)),
        4 => crate::serial::interrupt(),
        _ => {
            let status = NETWORK_STATUS.load(Ordering::Relaxed);
            if status != 0 {
                let _ = in8(status);
            }
        }
    }
    if irq != 0 {
        EVENTS.fetch_add(1, Ordering::Relaxed);
    }
    if irq >= 8 {
        out8(0xA0, 0x20);
    }
    out8(0x20, 0x20);
}

fn in_service(irq: u8) -> bool {
    let port = if irq < 8 { 0x20 } else { 0xA0 };
    out8(port, 0x0B);
    in8(port) >> 7 & 1 != 0
}

fn exception(vector: u64, frame: &Frame) -> ! {
    let has_code = matches!(vector, 8 | 10..=14 | 17 | 21 | 29 | 30);
    let (code, rest) = if has_code { (frame.rest[0], &frame.rest[1..]) } else { (0, &frame.rest[..5]) };
    let address = x86_64::registers::control::Cr2::read_raw();
    panic!(
        "exception {vector}, code {code:#x}, at {:#x}, stack {:#x}, flags {:#x}, address {address:#x}",
        rest[0], rest[3], rest[2]
    );
}

/// Sets everything up and lets interrupts in.
///
/// # Safety
/// Called once, when all that the handlers use is there.
pub(crate) unsafe fn init() {
    let stack = Box::leak(vec![0_u8; STACK].into_boxed_slice());
    let tss = Box::leak(Box::new(TaskStateSegment::new()));
    tss.interrupt_stack_table[0] = VirtAddr::from_ptr(stack.as_ptr_range().end).align_down(16_u64);
    let gdt = Box::leak(Box::new(GlobalDescriptorTable::new()));
    let code = gdt.append(Descriptor::kernel_code_segment());
    let data = gdt.append(Descriptor::kernel_data_segment());
    let task = gdt.append(Descriptor::tss_segment(tss));
    gdt.load();
    // SAFETY: flat segments as before; the task state is a leaked one.
    unsafe {
        CS::set_reg(code);
        SS::set_reg(data);
        DS::set_reg(data);
        ES::set_reg(data);
        tables::load_tss(task);
    }
    let idt = Box::leak(Box::new([[0_u32; 4]; VECTORS]));
    for (vector, gate) in idt.iter_mut().enumerate() {
        let at = (&raw const interrupt_stubs) as u64 + 16 * vector as u64;
        // Present, 64-bit interrupt gate, first stack of the table.
        let middle = at as u32 & 0xFFFF_0000 | 0x8E01;
        *gate = [u32::from(code.0) << 16 | at as u32 & 0xFFFF, middle, (at >> 32) as u32, 0];
    }
    debug_assert_eq!(code.rpl(), PrivilegeLevel::Ring0);
    let pointer =
        DescriptorTablePointer { limit: (size_of_val(idt) - 1) as u16, base: VirtAddr::from_ptr(idt) };
    // SAFETY: a leaked table whose gates lead to the stubs.
    unsafe { tables::lidt(&pointer) };

    // Both controllers: edge-triggered, cascade on line 2, vectors behind the exceptions, 8086 mode.
    for (port, words) in [(0x20, [0x11, 32, 4, 1]), (0xA0, [0x11, 40, 2, 1])] {
        out8(port, words[0]);
        for word in &words[1..] {
            out8(port + 1, *word);
        }
        out8(port + 1, 0xFF);
    }
    unmask(0);
    unmask(2);
    interrupts::enable();
}

/// Lets an interrupt line in.
pub(crate) fn unmask(irq: u8) {
    let port = if irq < 8 { 0x21 } else { 0xA1 };
    out8(port, in8(port) & !(1 << (irq & 7)));
}

/// Interrupts of devices so far.
pub(crate) fn events() -> u64 {
    EVENTS.load(Ordering::Relaxed)
}

/// Sleeps until a device interrupts, unless one has since `events` was read, or until `left` nanoseconds are over.
pub(crate) fn sleep(events: u64, left: u64) {
    // Counter 0 in mode 0: its line rises once, after up to 55 ms.
    let count = (left.min(SECOND) * u64::from(PIT_HERTZ) / SECOND).clamp(1, 0xFFFF) as u16;
    let [low, high] = count.to_le_bytes();
    interrupts::disable();
    if self::events() == events {
        out8(0x43, 0x30);
        out8(0x40, low);
        out8(0x40, high);
        interrupts::enable_and_hlt();
    } else {
        interrupts::enable();
    }
}

/// Stops for good.
pub(crate) fn stop() -> ! {
    crate::serial::flush();
    loop {
        interrupts::disable();
        x86_64::instructions::hlt();
    }
}
