//! Instruction-counted runs are the same to the last bit under both engines: a Debian kernel that boots, and
//! SeaBIOS before it.
//!
//! `NOMAD86_DETERMINISM` sets the number of instructions. Four thousand million of them, a kernel's way to its drivers:
//! `cargo test --release -p nomad86-native --test determinism -- --ignored --nocapture`.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use nomad86::config::{Config, Kernel};
use nomad86::machine::Exit;
use nomad86_host::guest;
use nomad86_native::bench;
use nomad86_native::determinism::{CLOCK, Pair, bisect};

/// A Linux kernel without firmware.
fn debian(test: &str) -> Option<Config> {
    let found = guest::debian(&guest::cache_folder(), &mut |_| {});
    let found = found.map_err(|error| error.to_string()).and_then(|guest| {
        let read = |path: &std::path::Path| std::fs::read(path).map_err(|error| error.to_string());
        Ok((read(&guest.kernel)?, read(&guest.initrd)?))
    });
    match found {
        Ok((image, initrd)) => Some(Config {
            memory: 96 << 20,
            video_memory: 1 << 20,
            clock: CLOCK,
            kernel: Some(Kernel {
                image: image.into(),
                initrd: Some(initrd.into()),
                command_line: "console=ttyS0 earlyprintk=ttyS0".to_owned(),
                ..Kernel::default()
            }),
            ..Config::default()
        }),
        Err(error) => {
            bench::absent(test, &error);
            None
        }
    }
}

/// Runs both engines for so many instructions in steps, and compares the machines after each.
fn same(test: &str, config: &Config, instructions: u64, step: u64, heat: u16) -> Option<Pair> {
    let pair = Pair::new(config, heat).map_err(|error| bench::skipped(test, &error));
    let mut pair = pair.ok()?;
    let mut steps = 0;
    // A machine that waits gets on in time, not in instructions.
    while pair.interpreter.machine.cpu.count < instructions && steps < 4 * instructions / step {
        let ended = pair.step(step);
        let mut what = pair.differences();
        what.extend(ended.clone().err());
        if !what.is_empty() {
            println!("the guest's last words: {:?}", pair.interpreter.log.last());
            println!("after step {steps} of {step} instructions:\n  {}", what.join("\n  "));
            let (count, what) = bisect(config, heat, steps, step).expect("there was memory");
            panic!("different from instruction {count} on:\n  {}", what.join("\n  "));
        }
        steps += 1;
        if !matches!(ended, Ok(Exit::Budget | Exit::Idle { .. })) {
            println!("{test}: ended by {ended:?}");
            break;
        }
    }
    let (a, b) = (pair.interpreter.hash(), pair.recompiler.hash());
    assert_eq!(a, b);
    println!(
        "{test}: {} instructions, the same after each of {steps} steps, hash {a:016x}; the guest's last words: {:?}",
        pair.interpreter.machine.cpu.count,
        pair.interpreter.log.last()
    );
    Some(pair)
}

#[test]
fn a_booting_kernel_is_the_same_under_both_engines() {
    let test = "a_booting_kernel_is_the_same_under_both_engines";
    let Some(config) = debian(test) else { return };
    // The kernel unpacks itself for the first 1.2 thousand million instructions.
    let (count, step) = if bench::in_ci() { (1_500_000_000, 10_000_000) } else { (50_000_000, 1_000_000) };
    let _ = same(test, &config, bench::count("NOMAD86_DETERMINISM", count), step, 1);
}

#[test]
fn firmware_is_the_same_under_both_engines() {
    let test = "firmware_is_the_same_under_both_engines";
    let read = |name: &str| std::fs::read(format!("/usr/share/seabios/{name}"));
    let (Ok(bios), Ok(vga_bios)) = (read("bios-256k.bin"), read("vgabios-stdvga.bin")) else {
        return bench::absent(test, &"SeaBIOS is not installed (package seabios)");
    };
    let config =
        Config { memory: 32 << 20, video_memory: 4 << 20, clock: CLOCK, bios, vga_bios, ..Config::default() };
    let _ = same(test, &config, bench::count("NOMAD86_DETERMINISM", 50_000_000), 1_000_000, 1);
}

#[test]
#[ignore = "thousands of millions of instructions take minutes"]
fn a_long_boot_is_the_same_under_both_engines() {
    let test = "a_long_boot_is_the_same_under_both_engines";
    let Some(config) = debian(test) else { return };
    let pair = same(test, &config, bench::count("NOMAD86_DETERMINISM", 4_000_000_000), 10_000_000, 12);
    assert!(pair.is_none_or(|pair| pair.interpreter.log.text().contains("Linux version")));
}
