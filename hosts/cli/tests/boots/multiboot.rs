//! A multiboot kernel, started by the machine and by GRUB.

use super::images::{folder, kept, sh};
use super::run::{Run, available, engines};
use std::path::Path;

/// The kernel, assembled.
fn kernel() -> Option<String> {
    if !available(&["/usr/bin/nasm"], "nasm") {
        return None;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boots/kernel.asm");
    // It is small, and may have been changed.
    let kernel = folder().join(format!("kernel-{:?}.bin", std::thread::current().id()));
    sh("nasm", &["-f", "bin", "-o", kernel.to_str().unwrap(), source.to_str().unwrap()]);
    Some(kernel.display().to_string())
}

/// What a kernel with these modules says, and its keys.
fn obeys(run: Run, memory: &str) {
    let code = run
        .expect("a multiboot loader")
        .expect(memory)
        .expect("one two")
        .expect("' holds the first module")
        .expect("' holds the second module")
        .expect("KiB in the map: ")
        .expect("ready")
        .keys("a")
        .expect("key 30")
        .keys("esc")
        .ends_with(0x2A << 1 | 1);
    drop(code);
}

const EXIT: [&str; 2] = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"];

#[test]
fn a_multiboot_kernel_is_started_with_its_modules() {
    let Some(kernel) = kernel() else { return };
    let module = |name: &str| {
        kept(&format!("{name}.module"), |path| std::fs::write(path, format!("the {name} module")).unwrap())
    };
    let modules = format!("{} x=1,{}", module("first"), module("second"));
    let run = |name, engine| {
        Run::new(name, engine)
            .args(["-kernel", &kernel, "-append", "one two", "-initrd", &modules, "-m", "16"])
            .args(EXIT)
            .args(["-serial", "stdio"])
    };
    // 1 MiB lies under the limit.
    for engine in engines("jit") {
        obeys(run("multiboot", engine), "KiB over 1 MiB: 15360");
    }
    // With SeaBIOS under it, as for who looks at the screen, the tables at the end of memory are missing.
    let bios = "/usr/share/seabios/bios-256k.bin";
    if available(&[bios], "seabios") {
        obeys(run("multiboot-bios", "interp").args(["-bios", bios]), "KiB over 1 MiB: 15");
    }
}

#[test]
fn grub_starts_a_multiboot_kernel_from_a_cd() {
    let needed =
        ["/usr/bin/grub-mkrescue", "/usr/lib/grub/i386-pc/boot.img", "/usr/bin/xorriso", "/usr/bin/mformat"];
    if !available(&needed, "grub-common grub-pc-bin xorriso mtools") {
        return;
    }
    let Some(kernel) = kernel() else { return };
    let tree = folder().join("multiboot-cd");
    std::fs::create_dir_all(tree.join("boot/grub")).unwrap();
    std::fs::copy(kernel, tree.join("boot/kernel")).unwrap();
    for name in ["first", "second"] {
        std::fs::write(tree.join("boot").join(name), format!("the {name} module")).unwrap();
    }
    let config = "set timeout=0\nmenuentry kernel {\n  multiboot /boot/kernel one two\n  \
                  module /boot/first x=1\n  module /boot/second\n}\n";
    std::fs::write(tree.join("boot/grub/grub.cfg"), config).unwrap();
    let image = folder().join("multiboot.iso");
    sh("grub-mkrescue", &["-o", image.to_str().unwrap(), tree.to_str().unwrap()]);
    let run = Run::new("multiboot-grub", "interp")
        .args(["-cdrom", image.to_str().unwrap(), "-boot", "d", "-m", "16", "-serial", "stdio"])
        .args(EXIT);
    obeys(run, "KiB over 1 MiB: 15");
}
