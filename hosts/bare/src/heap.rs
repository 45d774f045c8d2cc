//! Memory for everything: the largest range of RAM under 4 GiB that the loader has left free.
#![allow(unsafe_code)]

use crate::boot;
use crate::multiboot::Info;
use core::ops::Range;
use linked_list_allocator::LockedHeap;

#[global_allocator]
static HEAP: LockedHeap = LockedHeap::empty();

/// Under it lie the firmware's data and the display.
const LOW: u64 = 1 << 20;
/// What `boot` has mapped.
const HIGH: u64 = 4 << 30;

/// The largest part of `range` that touches none of what is reserved.
fn free(info: &Info, range: Range<u64>) -> Range<u64> {
    let mut best = 0..0;
    let mut start = range.start;
    while start < range.end {
        // Where the next reserved range behind `start` begins, and where those that cover `start` end.
        let (mut end, mut covered) = (range.end, start);
        let mut look = |r: Range<u64>| {
            if r.is_empty() || r.end <= start {
            } else if r.start <= start {
                covered = covered.max(r.end);
            } else {
                end = end.min(r.start);
            }
        };
        let image = boot::image();
        look(image.start..image.end);
        info.reserved(&mut look);
        if covered > start {
            start = covered;
            continue;
        }
        if end - start > best.end - best.start {
            best = start..end;
        }
        start = end;
    }
    best
}

/// Gives the allocator its memory; returns how many bytes that is.
///
/// # Safety
/// Called once, before anything is allocated.
pub(crate) unsafe fn init(info: &Info) -> usize {
    let ranges = info.memory().map(|range| range.start.max(LOW)..range.end.min(HIGH));
    let best = ranges.filter(|range| !range.is_empty()).map(|range| free(info, range));
    let Some(best) = best.max_by_key(|range| range.end - range.start) else { return 0 };
    let start = best.start.next_multiple_of(4096);
    let len = best.end.saturating_sub(start) as usize;
    if len > 0 {
        // SAFETY: RAM by the firmware's account, mapped by `boot`, and nobody's.
        unsafe { HEAP.lock().init(start as *mut u8, len) };
    }
    len
}

/// Bytes that are still free.
pub(crate) fn free_bytes() -> usize {
    HEAP.lock().free()
}
