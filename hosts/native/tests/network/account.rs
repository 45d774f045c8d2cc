//! Processor time, which can be compared on a machine with much else to do.

use std::path::Path;

/// Where the kernel counts the processor time of a machine: its own threads, or another program.
pub(crate) enum Account {
    Threads(Vec<&'static str>),
    #[allow(dead_code, reason = "not every test has another program beside it")]
    Program(&'static str),
}

/// Clock ticks in user and kernel mode, from `/proc/.../stat`.
fn ticks(stat: &Path) -> u64 {
    let text = std::fs::read_to_string(stat).unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    fields.get(11..13).into_iter().flatten().filter_map(|field| field.parse::<u64>().ok()).sum()
}

impl Account {
    /// Seconds so far.
    pub(crate) fn seconds(&self) -> f64 {
        let (folder, wanted) = match self {
            Self::Threads(names) => ("/proc/self/task", &names[..]),
            Self::Program(name) => ("/proc", std::slice::from_ref(name)),
        };
        let mut sum = 0;
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let comm = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            if wanted.contains(&comm.trim()) {
                sum += ticks(&entry.path().join("stat"));
            }
        }
        sum as f64 / 100.0
    }
}
