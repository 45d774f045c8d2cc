//! Systems that boot from SeaBIOS through the command line, as a user starts them: what they show is awaited
//! on the screen or the serial line, and their keyboard is typed on.
//!
//! Images come from Debian's packages; what is made of them is kept in the build's folder. A test whose
//! packages are not installed says SKIPPED, and fails in CI.
//!
//! `cargo test --release -p nomad86-cli --test boots -- --nocapture`, which prints times: with an unoptimised
//! machine the larger ones take long. Most boot under one engine; `NOMAD86_BOOTS=full` has all boot under both.
#![allow(missing_docs)]
#![cfg(target_os = "linux")]

mod allocation;
mod clocks;
mod cost;
#[path = "../../../../core/tests/counting/mod.rs"]
mod counting;
mod debian;
mod images;
mod live;
mod multiboot;
mod power;
mod probe;
mod run;
mod speed;
mod swap;

use images::{GRUB_CDROM, GRUB_FLOPPY, MEMTEST};
use run::{Run, available, engines};

/// The least memory that it takes, and a slow processor: it waits for minutes of its own time to see whether
/// memory forgets.
#[test]
fn memtest86_passes_without_errors() {
    if !available(&[MEMTEST], "memtest86+") {
        return;
    }
    for engine in engines("jit") {
        Run::new("memtest", engine)
            .args(["-cdrom", MEMTEST, "-boot", "d", "-m", "5", "-serial", "none"])
            .args(["-icount", "shift=8,sleep=off"])
            .minutes(8)
            .expect("Memtest86+ v")
            .expect("nomad86")
            // When every test has run once. Nothing is asked of the first pass: it may be over before anybody looks.
            .expect("Pass:  1        Errors: 0")
            .expect("Status: Pass")
            .passes();
    }
}

#[test]
fn grub_on_a_cd_has_a_prompt_with_working_commands() {
    if !available(&[GRUB_CDROM], "grub-rescue-pc") {
        return;
    }
    for engine in engines("interp") {
        Run::new("grub-cd", engine)
            .args(["-cdrom", GRUB_CDROM, "-boot", "d", "-serial", "none"])
            .expect("GNU/Linux")
            .keys("c")
            .expect("grub>")
            .types("ls (cd)/boot\n")
            .expect("grub/")
            .types("cat (cd)/boot/grub/i386-pc/fs.lst\n")
            // The last line: the others may be off the screen before anybody looks.
            .expect("zfs")
            .passes();
    }
}

#[test]
fn grub_on_a_floppy_has_a_prompt_with_working_commands() {
    if !available(&[GRUB_FLOPPY], "grub-rescue-pc") {
        return;
    }
    for engine in engines("jit") {
        Run::new("grub-floppy", engine)
            .args(["-fda", GRUB_FLOPPY, "-snapshot", "-boot", "a", "-serial", "none"])
            .expect("GNU/Linux")
            .keys("c")
            .expect("grub>")
            .types("ls (fd0)/boot\n")
            .expect("grub/")
            .types("cat (fd0)/boot/grub/i386-pc/fs.lst\n")
            // The last line: the others may be off the screen before anybody looks.
            .expect("zfs")
            .passes();
    }
}

#[test]
fn syslinux_starts_from_floppies_of_every_size() {
    if !available(&["/usr/bin/syslinux", "/usr/bin/mformat"], "syslinux and mtools") {
        return;
    }
    for (kib, engine) in
        [720, 1440, 2880].into_iter().flat_map(|kib| engines("interp").map(move |e| (kib, e)))
    {
        let image = images::syslinux_floppy(kib);
        Run::new("syslinux", engine)
            .args(["-fda", &image, "-snapshot", "-boot", "a", "-serial", "none"])
            .expect("hello from syslinux")
            .expect("boot:")
            .types("greet\n")
            .expect("Loading nothing... failed")
            .passes();
    }
}

#[test]
fn a_short_boot_sector_is_floppy_enough() {
    // Prints "ok!" and halts.
    let code = [
        0xBE, 0x10, 0x7C, // mov si, text
        0xAC, // next: lodsb
        0x84, 0xC0, // test al, al
        0x74, 0x06, // jz stop
        0xB4, 0x0E, // mov ah, 0x0E
        0xCD, 0x10, // int 0x10
        0xEB, 0xF5, // jmp next
        0xFA, 0xF4, // stop: cli; hlt
        b'o', b'k', b'!', 0,
    ];
    let mut sector = code.to_vec();
    sector.resize(510, 0);
    sector.extend([0x55, 0xAA]);
    let image = images::kept("boot-sector.img", |path| std::fs::write(path, &sector).unwrap());
    Run::new("boot-sector", "jit")
        .args(["-fda", &image, "-snapshot", "-boot", "a", "-serial", "none"])
        .expect("ok!")
        .passes();
    // The same on a hard disk.
    Run::new("mbr", "interp")
        .args(["-hda", &image, "-snapshot", "-boot", "c", "-serial", "none"])
        .expect("ok!")
        .passes();
}

#[test]
fn the_debian_installer_starts_from_a_cd_and_obeys_the_keyboard() {
    let Some(image) = images::installer_cd() else { return };
    for engine in engines("jit") {
        Run::new("installer", engine)
            .args(["-cdrom", &image, "-boot", "d", "-m", "512", "-serial", "none"])
            .minutes(25)
            .expect("boot:")
            .types("\n")
            .expect("Select a language")
            // English has the cursor; below it is Finnish.
            .keys("down,ret")
            .expect("Valitse olinpaikkasi")
            // Back, from the countries of Europe to the continents.
            .keys("tab,ret")
            .expect("Maanosa tai alue:")
            .passes();
    }
}

#[test]
fn ipxe_on_the_network_card_gets_an_address() {
    const ROM: &str = "/usr/lib/ipxe/qemu/pxe-ne2k_pci.rom";
    if !available(&[ROM], "ipxe-qemu") {
        return;
    }
    for engine in engines("interp") {
        Run::new("ipxe", engine)
            .args(["-nic", "user,model=ne2k_pci", "--option-rom", ROM, "-boot", "n", "-serial", "none"])
            .expect("iPXE")
            .expect("net0: 10.0.2.15")
            .passes();
    }
}
