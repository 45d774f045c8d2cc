//! Tells the linker how the image is laid out, and that it is one without a format of its own.

fn main() {
    println!("cargo:rustc-link-arg=-T{}/kernel.ld", env!("CARGO_MANIFEST_DIR"));
    println!("cargo:rustc-link-arg=--oformat=binary");
    println!("cargo:rerun-if-changed=kernel.ld");
}
