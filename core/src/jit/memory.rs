//! What the host gives a recompiler: memory that code can be put into.
#![allow(unsafe_code)]

/// A region of memory seen twice: where code is written and where it is executed. On hosts that forbid pages
/// that are both writable and executable these are two mappings of one object.
///
/// # Safety
/// Both views are at least [`CodeMemory::len`] bytes long, stay where they are for the life of the value, and
/// show the same bytes once [`CodeMemory::publish`] has returned. Nobody else writes to them.
pub unsafe trait CodeMemory: Send {
    /// Bytes in the region: at most 1 GiB, so that relative jumps reach everywhere.
    fn len(&self) -> usize;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Where it is written.
    fn writable(&mut self) -> *mut u8;
    /// Where it is executed.
    fn executable(&self) -> *const u8;
    /// Makes written bytes visible to execution.
    fn publish(&mut self, range: core::ops::Range<usize>) {
        let _ = range;
    }
}
