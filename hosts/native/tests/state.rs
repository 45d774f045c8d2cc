//! State images of whole machines: a Debian guest is booted once and saved; the tests go on from there.
//!
//! `NOMAD86_FULL=1` makes the numbers those of a release; without it they fit a run on every change.
//! Skipped, with a word on standard error, where the guest's packages cannot be fetched.
#![allow(missing_docs)]

#[path = "state/clones.rs"]
mod clones;
#[path = "state/exact.rs"]
mod exact;
#[path = "state/guest.rs"]
mod guest;
#[path = "state/hostile.rs"]
mod hostile;
#[path = "state/time.rs"]
mod time;
