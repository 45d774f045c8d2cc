//! How a real kernel ends its machine.

use super::live::{Live, PROMPT, guest};
use super::run::{Run, engines};

#[test]
fn poweroff_ends_the_program_with_0_and_reboot_begins_again() {
    let Some(guest) = guest() else { return };
    for engine in engines("jit") {
        let mut live = Live::guest("power", &guest, &["-m", "128", "-engine", engine]);
        live.say("reboot -f");
        live.wait("nomad86: ready");
        live.wait(PROMPT);
        live.say("poweroff -f");
        assert_eq!(live.ends(), 0, "{engine}");
    }
}

#[test]
fn the_power_button_is_seen_and_no_reboot_ends_instead_of_rebooting() {
    let Some(guest) = guest() else { return };
    for engine in engines("jit") {
        // Debian's kernel tells its first process, which switches the machine off.
        let live = Live::guest("button", &guest, &["-m", "128", "-engine", engine]);
        assert_eq!(live.monitor("system_powerdown"), "");
        assert_eq!(live.ends(), 0, "{engine}");
        let mut live = Live::guest("no-reboot", &guest, &["-m", "128", "-no-reboot", "-engine", engine]);
        live.say("reboot -f");
        assert_eq!(live.ends(), 0, "{engine}");
    }
}

#[test]
fn a_triple_fault_is_reported_with_state() {
    let Some(guest) = guest() else { return };
    let run = |name, engine, more: &[&str]| {
        Run::new(name, engine)
            .args(["-kernel", guest.kernel.to_str().unwrap(), "-initrd", guest.initrd.to_str().unwrap()])
            .args(["-m", "128", "-append", "console=ttyS0 quiet reboot=triple"])
            .args(more.iter().copied())
            .expect("nomad86: ready")
            .expect("# ")
            .sends("reboot -f\n")
    };
    for engine in engines("jit") {
        let said = run("triple", engine, &[]).ends_with(4);
        for word in ["triple fault: the processor has shut down", "EIP", "EAX", "CR0", "CR3"] {
            assert!(said.to_uppercase().contains(&word.to_uppercase()), "{word} is not in: {said}");
        }
    }
    run("triple-reboot", "jit", &["-reboot-on-triple-fault"]).expect("nomad86: ready").passes();
}
