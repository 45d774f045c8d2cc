//! Network namespaces of our own, so that tests touch nobody's network.
#![allow(unsafe_code)]

use std::process::Command;

/// Runs `test` on a thread with a network namespace of its own, where the system allows that; threads and programs
/// that it starts are in it as well.
pub(crate) fn run(test: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let thread = std::thread::spawn(move || {
        // SAFETY: it takes no pointer and changes only what this thread sees of the network.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return Err(format!("no network namespace: {}", std::io::Error::last_os_error()));
        }
        if !std::path::Path::new("/dev/net/tun").exists() {
            return Err("there is no /dev/net/tun".to_owned());
        }
        ip("link set lo up");
        test();
        Ok(())
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs the program `ip`.
pub(crate) fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.is_ok_and(|status| status.success()), "ip {arguments} failed");
}
