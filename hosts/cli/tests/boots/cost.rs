//! What a guest costs its host: processor time while it idles, and memory beyond its own.

use super::live::{Live, guest};
use std::time::{Duration, Instant};

/// How long is looked at an idle guest.
const LOOK: Duration = Duration::from_secs(20);
/// Part of a processor that an idle guest may take.
const IDLE: f64 = 0.02;
/// Memory beyond the guest's own.
const BEYOND: u64 = 64 << 20;

/// Holds that a guest that waits at its prompt takes next to no processor time.
pub(crate) fn idle(what: &str, live: &Live) {
    // What it has started it is to end.
    std::thread::sleep(Duration::from_secs(10));
    let (begun, before) = (Instant::now(), live.cpu());
    std::thread::sleep(LOOK);
    let part = (live.cpu() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    eprintln!("{what}: idle at {:.2} % of a processor", part * 100.0);
    assert!(part <= IDLE, "{what}: {part:.4} of a processor");
}

/// Memory of a process that is not its guest's, in bytes: all that is resident but for the one mapping that is
/// large enough to hold the guest's. Pages that are mapped twice count once.
fn beyond(id: u32, guest: u64) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/smaps")).unwrap();
    let number = |line: &str| {
        line.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0) << 10
    };
    let (mut size, mut beyond, mut found) = (0, 0, 0);
    for line in text.lines() {
        if line.starts_with("Size:") {
            size = number(line);
        } else if line.starts_with("Pss:") {
            // The guest's RAM, video memory and ROM, and what the system has joined to it.
            if size >= guest && size < guest + (64 << 20) && found == 0 {
                found = size;
            } else {
                beyond += number(line);
            }
        }
    }
    assert!(found > 0, "no mapping holds the guest's {guest} bytes");
    beyond
}

#[test]
fn an_idle_guest_costs_two_percent_and_64_mib_at_most() {
    const MEMORY: u64 = 256;
    let Some(guest) = guest() else { return };
    for engine in ["jit", "interp"] {
        let mut live =
            Live::guest("cost", &guest, &["-m", &MEMORY.to_string(), "-engine", engine, "-nic", "user"]);
        let beyond = beyond(live.id(), MEMORY << 20);
        eprintln!("{engine}: {:.1} MiB beyond the guest's memory", beyond as f64 / f64::from(1 << 20));
        assert!(beyond < BEYOND, "{engine}: {beyond} bytes");
        idle(&format!("small guest, {engine}"), &live);
        live.say("poweroff -f");
        assert_eq!(live.ends(), 0);
    }
}
