//! How large state images are and how long saving and restoring take: an idle Debian guest of 256 MiB.
//!
//! `cargo bench -p nomad86-native --bench state`
#![allow(missing_docs)]

#[path = "../tests/state/guest.rs"]
#[allow(dead_code)]
mod guest;

use guest::{Engine, Pc, boot, preserving};
use nomad86::config::ClockMode;
use nomad86::snapshot;
use std::time::{Duration, Instant};

fn main() {
    let Some(image) = boot(256 << 20, ClockMode::Virtual { picoseconds: 2000 }) else { return };
    let contents = snapshot::inspect(&mut &image[..]).expect("the image is whole");
    let bytes = |tag: &[u8; 4]| -> usize {
        contents.sections.iter().filter(|one| one.0.0 == *tag).map(|one| one.2).sum()
    };
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    let best = |mut once: Box<dyn FnMut() -> Duration>| (0..7).map(|_| once()).min().unwrap_or_default();
    let mut pc = Pc::restore(&image, preserving(), Engine::Interpreter);
    let save = best(Box::new(move || {
        let begun = Instant::now();
        pc.save();
        begun.elapsed()
    }));
    let copy = image.clone();
    let restore = best(Box::new(move || {
        let begun = Instant::now();
        let pc = Pc::restore(&copy, preserving(), Engine::Interpreter);
        let took = begun.elapsed();
        drop(pc);
        took
    }));
    println!("image      {:8.1} MiB, to be 60 at most", mib(image.len()));
    println!("  RAM      {:8.1} MiB of {}", mib(bytes(b"RAM ")), contents.config.memory >> 20);
    println!("  kernel   {:8.1} MiB with its initial RAM disk", mib(bytes(b"KERN") + bytes(b"INRD")));
    println!("save       {:8.1} ms, to be 1000 at most", save.as_secs_f64() * 1e3);
    println!("restore    {:8.1} ms, to be 500 at most", restore.as_secs_f64() * 1e3);
}
