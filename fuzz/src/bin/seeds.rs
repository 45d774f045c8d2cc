//! Writes the seeds of every target to `corpus/TARGET/`, where `cargo fuzz run TARGET` finds them.

use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    for target in nomad86_fuzz::TARGETS.iter().map(|target| target.name) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        for (n, seed) in nomad86_fuzz::seeds::of(target).iter().enumerate() {
            fs::write(folder.join(format!("seed-{n:02}")), seed)?;
        }
    }
    Ok(())
}
