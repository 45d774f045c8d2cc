use super::super::hub::tests::{all, frame};
use super::super::hub::{Hub, HubPort};
use super::*;

fn line(shape: Shape, now: Instant) -> Line {
    Line::new(shape, 0, Arc::default(), now)
}

fn numbers(line: &mut Line, at: Instant) -> Vec<u16> {
    let mut out = Vec::new();
    line.release(at, |frame| out.push(u16::from_be_bytes([frame[14], frame[15]])));
    out
}

#[test]
fn shares_are_kept_and_the_same_seed_makes_the_same_choices() {
    let now = Instant::now();
    let run = |seed| {
        let shape =
            Shape { loss: 0.1, duplicate: 0.05, reorder: 0.2, corrupt: 0.02, seed, ..Shape::default() };
        let mut line = line(shape, now);
        let mut all = Vec::new();
        for n in 0..20_000u16 {
            line.push(&frame(1, 2, &n.to_be_bytes()), now);
            if n % 100 == 99 {
                line.release(now, |frame| all.push(frame.to_vec()));
            }
        }
        (all, line.counters.read())
    };
    let (first, stats) = run(1);
    assert_eq!(run(1), (first.clone(), stats));
    assert_ne!(run(2).0, first);
    let close = |value: u64, expected: f64| (value as f64 - expected).abs() < expected * 0.15;
    assert!(close(stats.lost, 2000.0) && close(stats.duplicated, 900.0), "{stats:?}");
    assert!(close(stats.reordered, 3400.0) && close(stats.corrupted, 360.0 * 1.05), "{stats:?}");
    assert_eq!(stats.passed, 20_000 - stats.lost + stats.duplicated);
}

#[test]
fn frames_are_late_by_the_delay_and_the_jitter_and_in_order() {
    let now = Instant::now();
    let ms = Duration::from_millis;
    let mut line = line(Shape { delay: ms(20), jitter: ms(10), ..Shape::default() }, now);
    for n in 0..200u16 {
        line.push(&frame(1, 2, &n.to_be_bytes()), now);
    }
    assert!(numbers(&mut line, now + ms(19)).is_empty());
    let early = numbers(&mut line, now + ms(25));
    assert!(!early.is_empty() && early.len() < 200);
    let late = numbers(&mut line, now + ms(30));
    assert_eq!([early, late].concat(), (0..200).collect::<Vec<u16>>());
}

#[test]
fn the_rate_is_kept_and_a_full_line_loses_what_comes() {
    let now = Instant::now();
    let mut line = line(Shape { rate: 100_000, ..Shape::default() }, now);
    for n in 0..2000u16 {
        line.push(&[&frame(1, 2, &n.to_be_bytes())[..], &[0; 940]].concat(), now);
    }
    assert_eq!(numbers(&mut line, now + Duration::from_secs(1)).len(), 100);
    assert_eq!(line.counters.read().full, 2000 - LINE as u64);
    assert_eq!(numbers(&mut line, now + Duration::from_secs(100)).len(), LINE - 100);
}

#[test]
fn a_shaped_back_end_is_as_late_as_it_should_be_in_both_directions() {
    let hub = Hub::default();
    let mut far = hub.port(Bell::default());
    let bedside = Bedside::default();
    let shape = Shape { delay: Duration::from_millis(60), ..Shape::default() };
    let mut near = Shaper::start(shape, bedside.bell(), |bell| Ok::<HubPort, _>(hub.port(bell))).unwrap();
    let start = Instant::now();
    near.transmit(&frame(255, 1, b"ping"));
    while all(&mut far).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(start.elapsed() >= Duration::from_millis(60));
    far.transmit(&frame(1, 2, b"pong"));
    assert!(bedside.sleep(Duration::from_secs(10)), "the machine is woken");
    assert_eq!(all(&mut near), [frame(1, 2, b"pong")]);
    assert!(start.elapsed() >= Duration::from_millis(120));
    assert!(near.link());
    assert_eq!(near.stats().passed, 2);
}

#[test]
fn injected_faults_are_the_same_each_time_and_leave_frames_of_possible_sizes() {
    let run = |seed| {
        let hub = Hub::default();
        let mut far = hub.port(Bell::default());
        let shape = Shape { loss: 0.2, duplicate: 0.2, reorder: 0.2, corrupt: 0.2, seed, ..Shape::default() };
        let mut near = Faults::new(hub.port(Bell::default()), shape, 0.2);
        let mut seen = Vec::new();
        for n in 0..1000u16 {
            near.transmit(&frame(255, 1, &n.to_be_bytes()));
            seen.extend(all(&mut far));
            far.transmit(&frame(255, 2, &n.to_be_bytes()));
            seen.extend(all(&mut near));
        }
        assert!(seen.iter().all(|frame| (14..=60).contains(&frame.len())));
        (seen, near.stats())
    };
    let (frames, stats) = run(5);
    assert_eq!(run(5), (frames, stats));
    for (name, value) in stats.entries() {
        assert!(name == "full" || value > 100, "{name} {value}");
    }
}
