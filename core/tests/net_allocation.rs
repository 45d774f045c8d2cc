//! The translator allocates nothing.
#![expect(unsafe_code, reason = "a global allocator that counts can only be written with unsafe functions")]

mod frames;

use frames::Generator;
use nomad86::net::{Direction, MacAddress, MacPair, translate};
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

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn case_71_translation_allocates_nothing() {
    let mut g = Generator::new(5);
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![1u8; 10]));
    assert_eq!(ALLOCATIONS.get(), before + 1, "the counter counts");
    for _ in 0..20_000 {
        g.choose_addresses();
        let macs = MacPair { guest: MacAddress(g.guest), wire: MacAddress(g.wire) };
        let mut bytes = g.build().visible().to_vec();
        let before = ALLOCATIONS.get();
        for direction in [Direction::Outbound, Direction::Inbound] {
            translate(direction, &macs, &mut bytes);
        }
        assert_eq!(ALLOCATIONS.get(), before);
    }
}
