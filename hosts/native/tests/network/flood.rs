//! A wire that carries far more than a card can take.

use super::account::Account;
use nomad86::host::Network;
use nomad86_host::net::bell::Bell;
use nomad86_host::net::hub::{Hub, HubPort};
use nomad86_native::bench;
use nomad86_native::guest::{Guest, Setup};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Frames per second.
const RATE: u64 = 100_000;
const GUEST: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x0A];
const OTHER: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x0C];
/// Name of the machine's thread.
const NAME: &str = "flooded";

/// A station that sends without regard.
struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    begun: Instant,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    fn start(mut port: HubPort, to: [u8; 6]) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let begun = Instant::now();
        let (end, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            let mut frame = [0x5A; 200];
            frame[..6].copy_from_slice(&to);
            frame[6..14].copy_from_slice(&[2, 0, 0, 0, 0, 0xF1, 0x88, 0xB5]);
            while !end.load(Ordering::Relaxed) {
                let due = begun.elapsed().as_micros() as u64 * RATE / 1_000_000;
                for _ in count.load(Ordering::Relaxed)..due {
                    port.transmit(&frame);
                }
                count.store(due, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        Self { stop, sent, begun, thread: Some(thread) }
    }

    /// Frames per second so far.
    fn rate(&self) -> f64 {
        self.sent.load(Ordering::Relaxed) as f64 / self.begun.elapsed().as_secs_f64()
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Instructions that the machine executes per second of its processor time, in `millis` of it.
fn speed(guest: &Guest, millis: u64) -> f64 {
    let account = Account::Threads(vec![NAME]);
    let count = || guest.inspect(|machine| machine.cpu.count) as f64;
    let (before, begun) = (count(), account.seconds());
    while account.seconds() < begun + millis as f64 / 1e3 {
        std::thread::sleep(Duration::from_millis(20));
    }
    (count() - before) / (account.seconds() - begun)
}

/// What else the host does makes single turns faster or slower by a tenth and more, and not the one in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// `NOMAD86_NET_FLOOD` sets how many seconds of the machine's processor time each kind of flood takes (default 3).
#[test]
fn case_65_a_hundred_thousand_frames_a_second_leave_the_machine_its_speed() {
    let seconds = bench::count("NOMAD86_NET_FLOOD", 3);
    let hub = Hub::default();
    let plug = hub.clone();
    let mut guest = Setup::new(NAME).card(GUEST, move |bell| Box::new(plug.port(bell))).boot();
    // Something to do: how fast, in turns with frames for somebody else and without.
    // No job of the shell's own: busybox's ends when one that was begun in braces is killed.
    guest.run("killall udhcpc; (sh -c 'while :; do :; done' & echo $! > /tmp/pid)");
    speed(&guest, 300);
    let mut parts = Vec::new();
    // What sends takes its share of the host either way: in the other turns it does so elsewhere.
    let elsewhere = Hub::default();
    let _nobody = elsewhere.port(Bell::default());
    for _ in 0..11 {
        let other = Flood::start(elsewhere.port(Bell::default()), OTHER);
        let quiet = speed(&guest, seconds * 130);
        drop(other);
        let flood = Flood::start(hub.port(Bell::default()), OTHER);
        let flooded = speed(&guest, seconds * 130);
        println!(
            "{:.0} frames a second for others: {:.0} million instructions a second, {:.0} without",
            flood.rate(),
            flooded / 1e6,
            quiet / 1e6
        );
        parts.push(flooded / quiet);
    }
    let part = median(parts);
    println!("{:.1} % of its speed", part * 100.0);
    assert!(part >= 0.9, "{:.0} % of its speed", part * 100.0);

    // Frames for everybody: the guest takes what it can, the rest is dropped, and its shell still answers.
    let before = hub.stats().displaced;
    let flood = Flood::start(hub.port(Bell::default()), [0xFF; 6]);
    let loaded = speed(&guest, seconds * 1000);
    println!("{:.0} frames a second for all: {:.1} million", flood.rate(), loaded / 1e6);
    guest.run_for("ls / > /tmp/list && kill $(cat /tmp/pid)", Duration::from_secs(120));
    drop(flood);
    let counters = guest.run_for("cat /proc/net/dev", Duration::from_secs(120));
    assert!(hub.stats().displaced > before, "{:?}", hub.stats());
    let numbers: Vec<u64> = counters
        .lines()
        .filter(|line| line.contains("eth0"))
        .flat_map(|line| line.split_whitespace().filter_map(|field| field.parse().ok()))
        .collect();
    assert!(numbers.get(1).is_some_and(|packets| *packets > 1000), "{counters}");
}
