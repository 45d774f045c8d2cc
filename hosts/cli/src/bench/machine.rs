//! What the results depend on: the machine, and what runs on it.

use std::time::SystemTime;

/// Lines that say where and with what this was measured.
pub(super) fn facts(kernel: &str, packages: &[String]) -> Vec<String> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = cpu.lines().filter_map(|line| line.strip_prefix("model name")).collect();
    let model = models.first().map_or("unknown", |text| text.trim_start_matches(['\t', ' ', ':']));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    vec![
        format!("{}: {model}, {} processors, load {load} at the end", date(), models.len()),
        format!("guests: Linux {kernel}, 512 MiB; programs: {}", packages.join(", ")),
    ]
}

/// Today, as YYYY-MM-DD.
fn date() -> String {
    let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    now.to_string().split('T').next().unwrap_or_default().to_owned()
}
