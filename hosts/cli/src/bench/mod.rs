//! `nomad86 bench`: the same loads natively, in our machine and under QEMU, in one table.

mod side;
mod table;
mod work;

use crate::args::bench::BenchArgs;
use crate::outcome::{Failure, Outcome};
use nomad86_host::guest;
use side::{Side, Times};
use std::path::{Path, PathBuf};

/// Runs the loads on all sides and prints the table.
pub(crate) fn run(args: &BenchArgs) -> Result<Outcome, Failure> {
    let folder = match &args.keep {
        Some(folder) => folder.clone(),
        None => std::env::temp_dir().join(format!("nomad86-bench-{}", std::process::id())),
    };
    let result = measure(args, &folder);
    if args.keep.is_none() {
        // Nothing in it is worth a message.
        let _ = std::fs::remove_dir_all(&folder);
    }
    result
}

fn measure(args: &BenchArgs, folder: &Path) -> Result<Outcome, Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::host(format!("{}: {error}", folder.display())))?;
    let program = work::compile(folder)?;
    let initrd = work::initramfs(folder, &program, &args.only)?;
    let guest = guest::debian(&guest::cache_folder(), &mut |_| {})
        .map_err(|error| Failure::configuration(error.to_string()))?;
    let ours = std::env::current_exe().map_err(|error| Failure::host(format!("nomad86 itself: {error}")))?;
    let mut sides = vec![Side::native(&program, &args.only)];
    sides.push(Side::ours("nomad86", &ours, &guest.kernel, &initrd, "jit"));
    if args.interpreter {
        sides.push(Side::ours("interpreter", &ours, &guest.kernel, &initrd, "interp"));
    }
    if !args.no_qemu {
        match on_path("qemu-system-i386") {
            Some(qemu) => sides.push(Side::qemu(&qemu, &guest.kernel, &initrd)),
            None => eprintln!("qemu-system-i386 is absent: its column is left out"),
        }
    }
    let mut all: Vec<(&str, Times)> = sides.iter().map(|side| (side.name, Times::default())).collect();
    for _ in 0..args.repeat.max(1) {
        for (side, (_, times)) in sides.iter().zip(&mut all) {
            times.merge(side.run()?);
        }
    }
    print!("{}", table::format(&all));
    Ok(Outcome::Done)
}

/// A program of the search path.
fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
