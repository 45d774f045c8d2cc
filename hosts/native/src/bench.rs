//! What the tests of the bench share: skipping loudly, sizes from the environment.

/// Whether this run must not skip anything.
#[must_use]
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|v| !v.is_empty() && v != "0" && v != "false")
}

/// Tells that a test cannot run here, so loudly that nobody takes it for passed.
///
/// # Panics
/// In CI, where nothing may be skipped.
pub fn skipped(test: &str, why: &dyn core::fmt::Display) {
    assert!(!in_ci(), "{test} cannot run, and CI may not skip it: {why}");
    absent(test, why);
}

/// The same for what is no part of the project, so that even CI may be without it.
#[allow(clippy::print_stderr)]
pub fn absent(test: &str, why: &dyn core::fmt::Display) {
    eprintln!("\n==================== SKIPPED: {test}: {why} ====================\n");
}

/// A count from the environment, or `default`.
///
/// # Panics
/// When the variable holds something else than a number.
#[must_use]
pub fn count(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| {
        text.replace('_', "").parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number"))
    })
}

/// Whether the host is an AMD processor of family 17h or later.
#[must_use]
pub fn host_is_zen() -> bool {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
        line.and_then(|line| line.split(':').nth(1)).map(str::trim).unwrap_or_default()
    };
    field("vendor_id") == "AuthenticAMD"
        && field("cpu family").parse::<u32>().is_ok_and(|family| family >= 0x17)
}

/// Processor time of this thread, so that measurements do not depend on what else the host does.
#[must_use]
pub fn thread_time() -> std::time::Duration {
    std::time::Duration::from_nanos(nomad86_host::clock::thread_nanoseconds())
}
