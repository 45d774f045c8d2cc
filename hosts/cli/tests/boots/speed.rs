//! The interpreter against QEMU's recompiler, side by side.

use super::live::guest;
use super::run::available;
use nomad86_host::clock::process_time;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

const QEMU: &str = "/usr/bin/qemu-system-i386";
/// How many times QEMU's time the interpreter may take.
const LIMIT: f64 = 4.0;
/// Turns; the least time of each side counts.
const TURNS: usize = 3;

/// CPU time until the guest is ready.
fn boot(command: &mut Command) -> Duration {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n').map(Result::unwrap);
    let ready = lines.any(|line| String::from_utf8_lossy(&line).contains("nomad86: ready"));
    let time = process_time(child.id()).unwrap();
    let _ = child.kill();
    child.wait().unwrap();
    assert!(ready, "{command:?}: the guest did not get to its shell");
    time
}

#[test]
#[ignore = "a measurement: with --ignored, on a host that does nothing else"]
fn the_interpreter_boots_debian_within_four_times_qemus_time() {
    if !available(&[QEMU], "qemu-system-x86") {
        return;
    }
    let Some(guest) = guest() else { return };
    let common = |command: &mut Command| {
        command.arg("-kernel").arg(&guest.kernel).arg("-initrd").arg(&guest.initrd);
        command.args(["-append", "console=ttyS0 quiet", "-m", "256", "-serial", "stdio", "-display", "none"]);
    };
    let mut least = [Duration::MAX; 3];
    for _ in 0..TURNS {
        let mut qemu = Command::new(QEMU);
        qemu.args(["-accel", "tcg", "-nodefaults", "-no-reboot", "-vga", "none"]);
        let ours = |engine| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_nomad86"));
            command.args(["run", "-engine", engine]);
            command
        };
        for (least, mut command) in least.iter_mut().zip([qemu, ours("interp"), ours("jit")]) {
            common(&mut command);
            *least = boot(&mut command).min(*least);
        }
    }
    let [qemu, interpreter, recompiler] = least.map(|time| time.as_secs_f64());
    let times = interpreter / qemu;
    eprintln!(
        "Debian's kernel to its shell, CPU time: QEMU TCG {qemu:.2} s, interpreter {interpreter:.2} s \
         ({times:.2} ×), recompiler {recompiler:.2} s ({:.2} ×)",
        recompiler / qemu
    );
    assert!(times <= LIMIT, "{times:.2} times QEMU's time");
}
