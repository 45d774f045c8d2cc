//! The system's allocator, with a count of the allocations of each thread. A test that includes this module has it
//! as its global allocator.
#![expect(unsafe_code, reason = "a global allocator that counts can only be written with unsafe functions")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Of this thread only: the test harness's own threads allocate when they like.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed on unchanged to the system's allocator, whose contract is the same; the
// counter is a constant-initialised thread local without a destructor, so that counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `action` allocates on this thread; what it returns.
pub(crate) fn allocations<R>(action: impl FnOnce() -> R) -> (u64, R) {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![1_u8; 10]));
    assert_eq!(ALLOCATIONS.get(), before + 1, "the counter counts");
    let before = ALLOCATIONS.get();
    let result = action();
    (ALLOCATIONS.get() - before, result)
}
