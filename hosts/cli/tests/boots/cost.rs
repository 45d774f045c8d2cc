//! What a guest costs its host: processor time while it idles, and memory beyond its own.

use super::live::{Live, guest};
use super::run::{engines, full};
use std::time::{Duration, Instant};

/// Part of a processor that an idle guest may take.
const IDLE: f64 = 0.02;
/// Memory beyond the guest's own.
const BEYOND: u64 = 64 << 20;

/// Looks at an idle guest, of which the least counts: a busy host makes what it executes dearer, never cheaper.
const LOOKS: u32 = 3;

/// Holds that a guest that waits at its prompt takes next to no processor time.
pub(crate) fn idle(what: &str, live: &Live) {
    // What it has started it is to end. Its time is the host's, however busy that is: what counts is processor time.
    let (rest, look) = if full() { (10, 20) } else { (4, 4) };
    std::thread::sleep(Duration::from_secs(rest));
    let mut least = f64::MAX;
    for _ in 0..LOOKS {
        let (begun, before) = (Instant::now(), live.cpu());
        std::thread::sleep(Duration::from_secs(look));
        let part = (live.cpu() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
        assert!(part > 0.0, "the host does not tell what it takes");
        eprintln!("{what}: idle at {:.2} % of a processor", part * 100.0);
        least = part.min(least);
        if least <= IDLE {
            return;
        }
    }
    panic!("{what}: {least:.4} of a processor");
}

/// Resident memory of a process in bytes; pages that are mapped twice count once.
fn resident(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/smaps")).unwrap();
    let sizes = text.lines().filter_map(|line| line.strip_prefix("Pss:"));
    let kib: u64 = sizes.filter_map(|size| size.split_whitespace().next()?.parse::<u64>().ok()).sum();
    assert!(kib > 0);
    kib << 10
}

#[test]
fn an_idle_guest_costs_two_percent_and_64_mib_at_most() {
    const MEMORY: u64 = 128;
    let Some(guest) = guest() else { return };
    for engine in engines("jit") {
        let words = ["-m", &MEMORY.to_string(), "-engine", engine, "-nic", "user"];
        let mut live = Live::guest("cost", &guest, &words);
        // Nearly all of its own memory has been used by then.
        live.ask("dd if=/dev/zero of=/tmp/file bs=1M count=55");
        let beyond = resident(live.id()).saturating_sub(MEMORY << 20);
        eprintln!("{engine}: {:.1} MiB beyond the guest's memory", beyond as f64 / f64::from(1 << 20));
        assert!((1..BEYOND).contains(&beyond), "{engine}: {beyond} bytes");
        idle(&format!("small guest, {engine}"), &live);
        live.say("poweroff -f");
        assert_eq!(live.ends(), 0);
    }
}
