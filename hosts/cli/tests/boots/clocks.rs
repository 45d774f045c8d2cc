//! What a busy host does to a guest's clocks.

use super::live::{Live, PROMPT, guest};
use super::run::full;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Seconds an hour by which a guest's clock may go wrong, and the same in millionths.
const DRIFT: f64 = 0.05;
const MILLIONTHS: f64 = DRIFT / 3600.0 * 1e6;
/// Looks at a guest's clock, of which the best counts.
const LOOKS: u32 = 200;

/// A shell that is killed when it is dropped, or ends with the process that it is about.
struct Shell(Child);

impl Shell {
    fn new(script: &str, id: u32) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", &id.to_string()]).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Stops and continues a process until it has ended: it runs for a third of the time at most.
    fn starving(id: u32) -> Self {
        Self::new("while kill -STOP $1; do sleep 0.02; kill -CONT $1; sleep 0.01; done", id)
    }

    /// Computes until a process has ended.
    fn computing(id: u32) -> Self {
        Self::new("while kill -0 $1; do i=0; while [ $i -lt 10000 ]; do i=$((i+1)); done; done", id)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What Linux has found out about its clocks: they agree, and the time-stamp counter is that of 1 GHz.
fn assert_trusted(what: &str, live: &mut Live) {
    // A second or two after it has started them.
    let mut said = String::new();
    for _ in 0..60 {
        said = live.ask("dmesg | grep -iE 'pm-timer|tsc|clocksource|inconsist'");
        if said.contains("Switched to clocksource tsc\n") || said.ends_with("Switched to clocksource tsc") {
            break;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    for wrong in ["unstable", "inconsisten", "invalid rate"] {
        assert!(!said.contains(wrong), "{what}: {said}");
    }
    let clock = live.ask("cat /sys/devices/system/clocksource/clocksource0/current_clocksource");
    assert_eq!(clock, "tsc", "{what}: {said}");
    let rate = said.split("clocksource calibration: ").nth(1).and_then(|rest| rest.split(' ').next());
    let rate: f64 = rate.and_then(|megahertz| megahertz.parse().ok()).expect(&said);
    eprintln!("{what}: Linux takes 1000 MHz for {rate} MHz");
    // It prints it to a kilohertz.
    assert!(((rate - 1000.0) * 1e3).abs() <= MILLIONTHS, "{what}: {rate} MHz");
}

/// By how much the guest's clock is behind the host's, from a moment on, at least and at most: it was looked at between
/// the question and the answer. The shell answers to an empty line, without another program.
fn behind(live: &mut Live, since: Instant) -> (f64, f64) {
    live.ask("f() { while read a b c d; do [ \"$b\" = at ] && break; done; }");
    live.say("while read x; do f </proc/timer_list; echo =$c; done");
    live.wait("\n");
    let look = |best: (f64, f64), _| {
        let asked = since.elapsed().as_secs_f64();
        live.say("");
        live.wait("=");
        let answer = live.wait("\n");
        let passed = since.elapsed().as_secs_f64();
        let now = answer.trim().parse::<u64>().expect(&answer) as f64 / 1e9;
        // A guest whose host was away is behind for a moment: that is no drift.
        if passed - now < best.1 { (asked - now, passed - now) } else { best }
    };
    let found = (0..LOOKS).fold((f64::MIN, f64::MAX), look);
    // The end of its input; another prompt is for the line's end.
    live.say("\x04");
    live.wait(PROMPT);
    live.wait(PROMPT);
    found
}

/// Linux compares its clocks with each other, gives up those that do not agree, and measures one by another: for
/// good.
#[test]
fn a_host_that_is_away_most_of_the_time_does_not_set_a_guests_clocks_against_each_other() {
    let Some(guest) = guest() else { return };
    let (kernel, initrd) = (guest.kernel.to_str().unwrap(), guest.initrd.to_str().unwrap());
    // Interpreted, it computes for half a minute till then.
    for engine in super::run::engines("jit") {
        let words = ["-engine", engine, "-kernel", kernel, "-initrd", initrd, "-m", "128"];
        let mut live = Live::start("starved", &[&words[..], &["-append", "console=ttyS0 quiet"]].concat());
        let starving = Shell::starving(live.id());
        live.greeted();
        assert_trusted(&format!("starved, {engine}"), &mut live);
        let since = Instant::now();
        let first = behind(&mut live, since);
        drop(starving);
        live.resume();
        std::thread::sleep(Duration::from_secs(5));
        // No moment of that was lost, nor has it gone further.
        let later = behind(&mut live, since);
        eprintln!("starved, {engine}: {first:?} s behind, and {later:?} s after a while");
        assert!(later.1 < first.1 + 0.02 && later.1 > first.0 - 0.5, "{engine}: {first:?}, {later:?}");
    }
}

#[test]
#[ignore = "takes minutes: with --ignored"]
fn a_guests_clock_goes_as_its_hosts() {
    let Some(guest) = guest() else { return };
    // How exactly it can be told depends on how long is looked.
    let (minutes, exactly) = if full() { (10, 2.0) } else { (3, 4.0) };
    for busy in [false, true] {
        let since = Instant::now();
        let mut guests = ["jit", "interp"].map(|engine| {
            let what = format!("{engine}, {}", if busy { "busy host" } else { "as the host is" });
            let hogs = if busy { vec![(); 6] } else { vec![] };
            let hogs: Vec<_> = hogs.iter().map(|()| Shell::computing(std::process::id())).collect();
            let mut live = Live::guest(&format!("drift-{engine}"), &guest, &["-m", "128", "-engine", engine]);
            drop(hogs);
            assert_trusted(&what, &mut live);
            let first = behind(&mut live, since);
            (what, live, first, Instant::now())
        });
        let hogs = if busy { vec![(); 4] } else { vec![] };
        let hogs: Vec<_> = hogs.iter().map(|()| Shell::computing(std::process::id())).collect();
        std::thread::sleep(Duration::from_secs(60 * minutes));
        drop(hogs);
        for (what, live, first, begun) in &mut guests {
            let passed = begun.elapsed().as_secs_f64();
            let last = behind(live, since);
            // What it has lost, at least and at most.
            let [least, most] = [last.0 - first.1, last.1 - first.0].map(|lost| lost / passed * 3600.0);
            eprintln!("{what}: {:+.1} to {:+.1} ms an hour, in {passed:.0} s", -most * 1e3, -least * 1e3);
            assert!(least <= DRIFT && most >= -DRIFT, "{what}: {least} to {most} s an hour");
            assert!(most - least <= exactly * DRIFT, "{what}: the host is too busy to tell");
        }
    }
}
