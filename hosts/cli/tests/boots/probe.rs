//! What a boot sector finds out about the machine, as `.github/COMPARISON.md` has it of all of them.

use super::images::{folder, sh};
use super::run::{Run, available};
use std::fs;
use std::path::Path;

#[test]
fn a_probe_finds_what_the_comparison_says() {
    if !available(&["/usr/bin/nasm"], "nasm") {
        return;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boots/probe.asm");
    let image = folder().join("probe.img");
    sh("nasm", &["-f", "bin", "-o", image.to_str().unwrap(), source.to_str().unwrap()]);
    fs::File::options().write(true).open(&image).unwrap().set_len(1440 << 10).unwrap();
    for engine in ["jit", "interp"] {
        let said = Run::new("probe", engine)
            .args(["-fda", image.to_str().unwrap(), "-snapshot", "-boot", "a"])
            .args(["-cpu", "max", "-serial", "stdio"])
            .expect("DONE")
            .ends_with(0);
        for line in [
            "(1+2^-63)-1 in the x87 (20000000): 20000000",
            "log2(10), its low bits (CD1B8AFE): CD1B8AFE",
            "traps by TF (7): 00000007",
            "hits of DR0, code and data (2): 00000002",
            "SB DSP (AA): 000000AA",
            "VBE (4F): 0000004F",
            "reads through a limit (2DC6BE, then a fault): 002DC6BE",
            "limit faults in a hot loop (1): 00000001",
            "task by JMP (1): 00000001",
            "task by gate (1): 00000001",
            "task ran (2): 00000002",
            "AVX (1): 00000000",
            "AVX-512 (1): 00000000",
            "long mode (1): 00000000",
        ] {
            assert!(said.contains(line), "{engine}: {line} is not in: {said}");
        }
    }
}
