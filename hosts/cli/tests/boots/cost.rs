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

/// Resident memory of a process in bytes; pages that are mapped twice count once.
fn resident(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/smaps")).unwrap();
    let sizes = text.lines().filter_map(|line| line.strip_prefix("Pss:"));
    let kib: u64 = sizes.filter_map(|size| size.split_whitespace().next()?.parse::<u64>().ok()).sum();
    assert!(kib > 0);
    kib << 10
}

#[test]
#[ignore = "a measurement: with --ignored, on a host that does nothing else"]
fn an_idle_guest_costs_two_percent_and_64_mib_at_most() {
    const MEMORY: u64 = 128;
    let Some(guest) = guest() else { return };
    for engine in ["jit", "interp"] {
        // On a host that is so busy that ticks are lost while it boots, Linux would go on ticking for ever.
        let append = "console=ttyS0 quiet tsc=reliable";
        let words = ["-m", &MEMORY.to_string(), "-engine", engine, "-nic", "user", "-append", append];
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
