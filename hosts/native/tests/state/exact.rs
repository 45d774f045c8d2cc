//! A restored machine is the saved one, bit for bit, and does the same from there on.

use super::guest::{BUSY, Echo, Engine, Pc, image, preserving, scaled};
use nomad86::snapshot::{Reader, Tag};
use std::time::Duration;

/// Which sections of two images differ.
fn differences(a: &[u8], b: &[u8]) -> Vec<Tag> {
    let sections = |mut image: &[u8]| {
        let mut reader = Reader::new(&mut image).unwrap();
        let mut all = Vec::new();
        while let Some(section) = reader.next_section().unwrap() {
            all.push((section.tag, section.contents.to_vec()));
        }
        all
    };
    let (a, b) = (sections(a), sections(b));
    let mut differ: Vec<Tag> = a.iter().zip(&b).filter(|(a, b)| a != b).map(|(a, _)| a.0).collect();
    differ.dedup();
    differ
}

fn assert_same(a: &[u8], b: &[u8], what: &str) {
    assert!(a == b, "{what}: {:?} differ", differences(a, b));
}

/// A busy guest, saved.
fn busy() -> Option<Vec<u8>> {
    let mut pc = Pc::restore(image()?, preserving(), Engine::Recompiler).plug(Echo::default());
    pc.shell(BUSY, Duration::from_secs(20));
    pc.run(Duration::from_millis(500));
    Some(pc.save())
}

#[test]
fn a_guest_that_is_saved_and_restored_at_random_points_goes_on_like_one_that_is_not() {
    let Some(image) = busy() else { return };
    // One machine runs on; of the other one there is a new one after each step.
    let mut unbroken = Pc::restore(&image, preserving(), Engine::Interpreter).plug(Echo::default());
    let mut broken = Pc::restore(&image, preserving(), Engine::Interpreter).plug(Echo::default());
    let mut random = 86_u64;
    for step in 0..scaled(25, 1000) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Around a million instructions of 2 ns.
        let time = Duration::from_nanos(1_000_000 + (random >> 33) % 2_000_000);
        unbroken.run(time);
        broken.run(time);
        let expected = unbroken.save();
        let saved = broken.save();
        assert_same(&saved, &expected, &format!("step {step}, {} instructions", broken.machine.cpu.count));
        broken.replace(&saved);
        assert_same(&broken.save(), &saved, &format!("step {step}, saved again"));
    }
    assert_eq!(broken.heard, unbroken.heard);
}

#[test]
fn saving_does_not_disturb_the_guest() {
    let Some(image) = busy() else { return };
    let mut pc = Pc::restore(&image, preserving(), Engine::Recompiler).plug(Echo::default());
    for _ in 0..scaled(10, 200) {
        pc.run(Duration::from_millis(5));
        pc.save();
    }
    let said = pc.shell("ping -c 3 -W 2 10.9.9.1; uname -s", Duration::from_secs(30));
    assert!(said.contains("3 packets received") && said.contains("Linux"), "{said}");
}

#[test]
fn a_restored_guest_can_reboot_from_the_kernel_in_the_image() {
    let Some(image) = image() else { return };
    let mut pc = Pc::restore(image, preserving(), Engine::Recompiler);
    pc.heard.clear();
    pc.machine.reset(&mut pc.host);
    pc.expect("nomad86: ready", Duration::from_secs(120));
}
