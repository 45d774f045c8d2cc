//! What crosses the border: imports that JavaScript gives, exports that it calls.
//!
//! Numbers go as they are, bytes as an address in linear memory and a length. JavaScript gets memory for what
//! it sends from [`take_buffer`] and gives it back with [`give_back`]; what Rust passes to an import is valid
//! until the import returns, but for the picture, which stays in place until its next mode.
//!
//! The two halves are versions of one package, so that each trusts the other to keep to this file: an address
//! that comes in was handed out here.
#![allow(unsafe_code)]

use crate::builder::Builder;
use crate::pc::Pc;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::ptr::NonNull;
use nomad86::host::Mode;
use nomad86::memory::{GuestMemory, PAGE};

mod imports {
    #[link(wasm_import_module = "nomad86")]
    unsafe extern "C" {
        pub(super) safe fn now() -> f64;
        pub(super) safe fn wall() -> f64;
        pub(super) safe fn link(card: u32) -> i32;
        pub(super) safe fn line(number: u32, byte: u32);
        pub(super) safe fn disk_flush(drive: u32) -> i32;
        pub(super) fn transmit(card: u32, frame: *const u8, len: usize);
        pub(super) fn receive(card: u32, buffer: *mut u8, room: usize) -> i32;
        pub(super) fn disk_read(drive: u32, lba: f64, buffer: *mut u8, len: usize) -> i32;
        pub(super) fn disk_write(drive: u32, lba: f64, data: *const u8, len: usize) -> i32;
        pub(super) fn present(pixels: *const u32, width: u32, height: u32, text: u32, y: u32, rows: u32);
        pub(super) fn image(at: f64, buffer: *mut u8, room: usize) -> usize;
        pub(super) fn play(frames: *const [i16; 2], count: usize);
        pub(super) fn answer(bytes: *const u8, len: usize);
        pub(super) fn panic(text: *const u8, len: usize);
    }
}

/// Monotonic nanoseconds.
pub(crate) fn now() -> u64 {
    (imports::now() * 1e6) as u64
}

/// Civil time: nanoseconds since 1970.
pub(crate) fn wall() -> i64 {
    (imports::wall() * 1e6) as i64
}

/// Whether a card's cable is plugged in.
pub(crate) fn link(card: u32) -> bool {
    imports::link(card) != 0
}

/// A byte from the guest.
pub(crate) fn line(number: u32, byte: u8) {
    imports::line(number, u32::from(byte));
}

/// A frame from the guest.
pub(crate) fn transmit(card: u32, frame: &[u8]) {
    // SAFETY: the import reads `frame` before it returns.
    unsafe { imports::transmit(card, frame.as_ptr(), frame.len()) }
}

/// The next frame for the guest, at the front of `buffer`: its length.
pub(crate) fn receive(card: u32, buffer: &mut [u8]) -> Option<usize> {
    // SAFETY: the import writes no more than `room` bytes, before it returns.
    usize::try_from(unsafe { imports::receive(card, buffer.as_mut_ptr(), buffer.len()) }).ok()
}

/// Fills `buffer`, or says why not.
pub(crate) fn disk_read(drive: u32, lba: u64, buffer: &mut [u8]) -> i32 {
    // SAFETY: the import writes no more than `len` bytes, before it returns.
    unsafe { imports::disk_read(drive, lba as f64, buffer.as_mut_ptr(), buffer.len()) }
}

/// Takes `data`, or says why not.
pub(crate) fn disk_write(drive: u32, lba: u64, data: &[u8]) -> i32 {
    // SAFETY: the import reads `data` before it returns.
    unsafe { imports::disk_write(drive, lba as f64, data.as_ptr(), data.len()) }
}

/// Whether all that was written has arrived.
pub(crate) fn disk_flush(drive: u32) -> i32 {
    imports::disk_flush(drive)
}

/// Rows of the picture that have new contents.
pub(crate) fn present(pixels: &[u32], mode: Mode, y: u32, rows: u32) {
    let (columns, lines) = mode.text.unwrap_or_default();
    let text = u32::from(columns) << 16 | u32::from(lines);
    // SAFETY: the import keeps the address and reads from it until the next mode; the surface stays there.
    unsafe { imports::present(pixels.as_ptr(), mode.width, mode.height, text, y, rows) }
}

/// Stereo frames to be heard.
pub(crate) fn play(frames: &[[i16; 2]]) {
    // SAFETY: the import reads `frames` before it returns.
    unsafe { imports::play(frames.as_ptr(), frames.len()) }
}

/// What the export being called has to say beside its number: a text or bytes; pieces add up.
pub(crate) fn answer(bytes: &[u8]) {
    // SAFETY: the import reads `bytes` before it returns.
    unsafe { imports::answer(bytes.as_ptr(), bytes.len()) }
}

/// What a state image that is being restored has at `at`: how many bytes of `buffer` were filled.
pub(crate) fn image(at: u64, buffer: &mut [u8]) -> usize {
    // SAFETY: the import writes no more than `room` bytes, before it returns.
    unsafe { imports::image(at as f64, buffer.as_mut_ptr(), buffer.len()) }
}

/// Reports a defect of the emulator and ends the instance.
pub(crate) fn give_up(text: &str) -> ! {
    // SAFETY: the import reads `text` before it returns.
    unsafe { imports::panic(text.as_ptr(), text.len()) };
    core::arch::wasm32::unreachable()
}

/// Guest memory straight from the engine: fresh pages are zero and cost nothing until they are touched.
pub(crate) fn guest_memory(len: usize) -> Option<GuestMemory> {
    const WASM_PAGE: usize = 64 << 10;
    const { assert!(WASM_PAGE % PAGE == 0) };
    let pages = len.div_ceil(WASM_PAGE);
    let first = core::arch::wasm32::memory_grow(0, pages);
    if first == usize::MAX {
        return None;
    }
    let base = NonNull::new((first * WASM_PAGE) as *mut u8)?;
    // SAFETY: the pages are new, zero and nobody else's; they are never given back.
    Some(unsafe { GuestMemory::from_raw(base, pages * WASM_PAGE) })
}

/// The bytes that JavaScript sent.
///
/// # Safety
/// `bytes` and `len` come from [`take_buffer`], or are null and 0.
unsafe fn sent<'a>(bytes: *const u8, len: usize) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: by contract this is an initialised buffer of that length, which lives until it is given back.
    unsafe { core::slice::from_raw_parts(bytes, len) }
}

/// As text; what is not UTF-8 is empty.
///
/// # Safety
/// See [`sent`].
unsafe fn sent_text<'a>(bytes: *const u8, len: usize) -> &'a str {
    // SAFETY: by contract.
    core::str::from_utf8(unsafe { sent(bytes, len) }).unwrap_or_default()
}

/// Memory for `len` bytes that JavaScript will write; null when there is none.
#[unsafe(no_mangle)]
extern "C" fn take_buffer(len: usize) -> *mut u8 {
    let mut buffer = Vec::new();
    if buffer.try_reserve_exact(len).is_err() {
        return core::ptr::null_mut();
    }
    buffer.resize(len, 0u8);
    Box::into_raw(buffer.into_boxed_slice()).cast()
}

/// Takes a buffer back.
#[unsafe(no_mangle)]
unsafe extern "C" fn give_back(bytes: *mut u8, len: usize) {
    // SAFETY: `take_buffer` made this slice.
    drop(unsafe { Box::from_raw(core::ptr::slice_from_raw_parts_mut(bytes, len)) });
}

/// Options, all at their defaults.
#[unsafe(no_mangle)]
extern "C" fn builder_new() -> *mut Builder {
    Box::into_raw(Box::default())
}

/// Sets an option. 0, or 1 with the reason as the answer.
#[unsafe(no_mangle)]
unsafe extern "C" fn builder_set(
    builder: &mut Builder,
    name: *const u8,
    name_len: usize,
    value: *const u8,
    value_len: usize,
) -> i32 {
    // SAFETY: JavaScript passes buffers.
    let (name, value) = unsafe { (sent_text(name, name_len), sent(value, value_len)) };
    match builder.set(name, value) {
        Ok(()) => 0,
        Err(error) => {
            answer(error.to_string().as_bytes());
            1
        }
    }
}

/// Makes a machine of options, which are used up; null with the reason as the answer.
#[unsafe(no_mangle)]
unsafe extern "C" fn machine_new(builder: *mut Builder) -> *mut Pc {
    // SAFETY: `builder_new` made it.
    let builder = unsafe { Box::from_raw(builder) };
    match Pc::new(*builder) {
        Ok(pc) => Box::into_raw(Box::new(pc)),
        Err(error) => {
            answer(error.as_bytes());
            core::ptr::null_mut()
        }
    }
}

/// Makes the machine of the state image that the import `image` reads, its cards' addresses after the policy
/// (`randomise`, `preserve` or `translate`). The answer is what there is to say of it, as JSON; null with the
/// reason as the answer.
#[unsafe(no_mangle)]
unsafe extern "C" fn machine_restore(policy: *const u8, len: usize, seed: f64) -> *mut Pc {
    // SAFETY: JavaScript passes a buffer.
    match Pc::restore(unsafe { sent_text(policy, len) }, seed as u64) {
        Ok((pc, notes)) => {
            answer(notes.as_bytes());
            Box::into_raw(Box::new(pc))
        }
        Err(error) => {
            answer(error.as_bytes());
            core::ptr::null_mut()
        }
    }
}

/// Answers with the machine's state image. 0, or 1 when there was no room for it.
#[unsafe(no_mangle)]
extern "C" fn save(pc: &mut Pc) -> i32 {
    i32::from(!pc.save())
}

/// Runs for `budget` milliseconds. See [`Pc::run`] for the number.
#[unsafe(no_mangle)]
extern "C" fn run(pc: &mut Pc, budget: f64) -> i32 {
    pc.run(budget)
}

/// Milliseconds that the machine, being idle, can be left alone.
#[unsafe(no_mangle)]
extern "C" fn rest(pc: &Pc) -> f64 {
    pc.rest()
}

/// The machine was stopped for a while: that time does not count.
#[unsafe(no_mangle)]
extern "C" fn pause(pc: &mut Pc) {
    pc.pause();
}

/// The reset button.
#[unsafe(no_mangle)]
extern "C" fn reset(pc: &mut Pc) {
    pc.reset();
}

/// A key by its `code` goes down (1) or up (0); 0 when there is no such key.
#[unsafe(no_mangle)]
unsafe extern "C" fn key(pc: &mut Pc, code: *const u8, len: usize, pressed: i32) -> i32 {
    // SAFETY: JavaScript passes a buffer.
    i32::from(pc.key(unsafe { sent_text(code, len) }, pressed != 0))
}

/// Types text as on a US keyboard.
#[unsafe(no_mangle)]
unsafe extern "C" fn type_text(pc: &mut Pc, text: *const u8, len: usize) {
    // SAFETY: JavaScript passes a buffer.
    pc.type_text(unsafe { sent_text(text, len) });
}

/// The mouse moved.
#[unsafe(no_mangle)]
extern "C" fn mouse(pc: &mut Pc, dx: i32, dy: i32, wheel: i32) {
    pc.mouse(dx, dy, wheel);
}

/// Mouse buttons: bit 0 left, 1 right, 2 middle.
#[unsafe(no_mangle)]
extern "C" fn buttons(pc: &mut Pc, pressed: u32) {
    pc.buttons(pressed as u8);
}

/// The power button.
#[unsafe(no_mangle)]
extern "C" fn power(pc: &mut Pc) {
    pc.power();
}

/// Bytes for a serial line; how many there was room for.
#[unsafe(no_mangle)]
unsafe extern "C" fn serial(pc: &mut Pc, line: usize, bytes: *const u8, len: usize) -> usize {
    // SAFETY: JavaScript passes a buffer.
    pc.serial(line, unsafe { sent(bytes, len) })
}

/// Whether somebody looks at the screen.
#[unsafe(no_mangle)]
extern "C" fn look(pc: &mut Pc, on: i32) {
    pc.look(on != 0);
}

/// Sound frames per second that are wanted; 0 for silence.
#[unsafe(no_mangle)]
extern "C" fn listen(pc: &mut Pc, rate: u32) {
    pc.listen(rate);
}

/// Puts a medium into a drive: 0–1 floppy, 2–5 IDE. 0 when there is no such drive.
#[unsafe(no_mangle)]
extern "C" fn insert(pc: &mut Pc, drive: u32, sectors: f64, read_only: i32) -> i32 {
    i32::from(pc.insert(drive, sectors as u64, read_only != 0))
}

/// Takes a drive's medium out.
#[unsafe(no_mangle)]
extern "C" fn eject(pc: &mut Pc, drive: u32) {
    pc.eject(drive);
}

/// Answers with the text on the screen, or nothing in graphics modes.
#[unsafe(no_mangle)]
extern "C" fn screen_text(pc: &mut Pc) {
    answer(pc.screen_text().as_bytes());
}

/// Answers with counters, as JSON.
#[unsafe(no_mangle)]
extern "C" fn stats(pc: &Pc) {
    answer(pc.stats().as_bytes());
}

/// Answers with physical memory.
#[unsafe(no_mangle)]
extern "C" fn read_memory(pc: &Pc, at: f64, len: usize) {
    pc.read_memory(at as u64, len);
}

/// Writes physical memory.
#[unsafe(no_mangle)]
unsafe extern "C" fn write_memory(pc: &mut Pc, at: f64, bytes: *const u8, len: usize) {
    // SAFETY: JavaScript passes a buffer.
    pc.write_memory(at as u64, unsafe { sent(bytes, len) });
}
