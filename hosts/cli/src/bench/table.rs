//! The table: times, ratios, geometric means.

use super::side::Times;
use std::fmt::Write;
use std::time::Duration;

/// Times of all sides, the first of which is native; each but that with its ratio to it.
pub(super) fn format(all: &[(&str, Times)]) -> String {
    let mut out = String::new();
    let Some(((_, native), guests)) = all.split_first() else { return out };
    let _ = write!(out, "{:<22}{:>9}", "CPU time in ms", "native");
    for (name, _) in guests {
        let _ = write!(out, "{name:>12}{:>7}", "ratio");
    }
    out.push('\n');
    let _ = write!(out, "{:<22}{:>9}", "boot", "");
    for (_, times) in guests {
        let _ = write!(out, "{:>12}{:>7}", milliseconds(times.start), "");
    }
    out.push('\n');
    let mut kind = "";
    for (n, load) in native.loads.iter().enumerate() {
        if load.kind != kind {
            means(&mut out, kind, native, guests);
            kind = &load.kind;
        }
        let _ = write!(out, "{:<22}{:>9}", format!("{} {}", load.kind, load.name), milliseconds(load.time));
        for (_, times) in guests {
            match times.loads.get(n) {
                Some(theirs) if theirs.result != load.result => {
                    let _ = write!(out, "{:>12}{:>7}", milliseconds(theirs.time), "WRONG");
                }
                Some(theirs) => {
                    let _ = write!(
                        out,
                        "{:>12}{:>7.2}",
                        milliseconds(theirs.time),
                        ratio(theirs.time, load.time)
                    );
                }
                None => {
                    let _ = write!(out, "{:>12}{:>7}", "-", "");
                }
            }
        }
        out.push('\n');
    }
    means(&mut out, kind, native, guests);
    out
}

fn means(out: &mut String, kind: &str, native: &Times, guests: &[(&str, Times)]) {
    if kind.is_empty() {
        return;
    }
    let _ = write!(out, "{:<22}{:>9}", format!("{kind}: mean"), "");
    for (_, times) in guests {
        let ratios: Vec<f64> = native
            .loads
            .iter()
            .zip(&times.loads)
            .filter(|(ours, _)| ours.kind == kind)
            .map(|(ours, theirs)| ratio(theirs.time, ours.time).ln())
            .collect();
        let mean = (ratios.iter().sum::<f64>() / ratios.len().max(1) as f64).exp();
        let _ = write!(out, "{:>12}{mean:>7.2}", "");
    }
    out.push('\n');
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64().max(1e-6)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::super::side::Load;
    use super::*;

    fn times(ms: &[u64], result: &str) -> Times {
        let load = |(n, &ms): (usize, &u64)| Load {
            kind: "integer".into(),
            name: format!("load{n}"),
            time: Duration::from_millis(ms),
            result: result.into(),
        };
        Times { loads: ms.iter().enumerate().map(load).collect(), start: Duration::from_millis(5) }
    }

    #[test]
    fn ratios_and_their_geometric_mean_are_shown() {
        let text = format(&[("native", times(&[10, 10], "1")), ("nomad86", times(&[20, 80], "1"))]);
        assert!(text.contains("2.00") && text.contains("8.00"), "{text}");
        assert!(text.lines().last().unwrap().ends_with("4.00"), "{text}");
    }

    #[test]
    fn a_wrong_result_has_no_ratio() {
        let text = format(&[("native", times(&[10], "1")), ("nomad86", times(&[20], "2"))]);
        assert!(text.contains("WRONG"), "{text}");
    }
}
