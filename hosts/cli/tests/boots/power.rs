//! How a real kernel ends its machine.

use super::live::{Live, guest};
use super::run::Run;

#[test]
fn poweroff_ends_the_program_with_0_and_reboot_begins_again() {
    let Some(guest) = guest() else { return };
    let mut live = Live::guest("power", &guest, &["-m", "128"]);
    live.say("reboot -f");
    live.wait("nomad86: ready");
    live.wait(super::live::PROMPT);
    live.say("poweroff -f");
    assert_eq!(live.ends(), 0);
}

#[test]
fn the_power_button_is_seen_and_no_reboot_ends_instead_of_rebooting() {
    let Some(guest) = guest() else { return };
    // Debian's kernel tells its first process, which switches the machine off.
    let live = Live::guest("button", &guest, &["-m", "128"]);
    assert_eq!(live.monitor("system_powerdown"), "");
    assert_eq!(live.ends(), 0);
    let mut live = Live::guest("no-reboot", &guest, &["-m", "128", "-no-reboot"]);
    live.say("reboot -f");
    assert_eq!(live.ends(), 0);
}

#[test]
fn a_triple_fault_is_reported_with_state() {
    let Some(guest) = guest() else { return };
    let run = |name, more: &[&str]| {
        Run::new(name)
            .args(["-kernel", guest.kernel.to_str().unwrap(), "-initrd", guest.initrd.to_str().unwrap()])
            .args(["-m", "128", "-append", "console=ttyS0 quiet reboot=triple"])
            .args(more.iter().copied())
            .expect("nomad86: ready")
            .expect("# ")
            .sends("reboot -f\n")
    };
    let said = run("triple", &[]).ends_with(4);
    for word in ["triple fault: the processor has shut down", "EIP", "EAX", "CR0", "CR3"] {
        assert!(said.to_uppercase().contains(&word.to_uppercase()), "{word} is not in: {said}");
    }
    run("triple-reboot", &["-reboot-on-triple-fault"]).expect("nomad86: ready").passes();
}
