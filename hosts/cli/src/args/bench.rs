//! Options of `nomad86 bench`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Measures programs natively, in a guest of ours, and in guests of QEMU and v86.
#[derive(Args, Debug)]
#[command(after_help = "\
The same Debian i386 programs, and small C programs, run natively in a changed root, in the machine, under \
qemu-system-i386 -accel tcg and in the npm package v86, on the kernel that `nomad86 demo` uses. What is compared is \
the CPU time that each load takes on this host. Packages are fetched with apt, without root, into the user's cache; \
gcc -m32 (gcc-multilib) compiles the C programs. Peers that a host does not have are named as absent. With v86 all of \
it takes about an hour, without it a quarter of that; --quick does a part.")]
pub(crate) struct BenchArgs {
    /// Groups of loads: integer, kernels, float, crypto, memory, system, scripts, guest-jit, boot [default: all]
    #[arg(value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// List the loads and end
    #[arg(long)]
    pub(crate) list: bool,
    /// Run only these loads
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Run only one or two loads of each group
    #[arg(long)]
    pub(crate) quick: bool,
    /// Whom to compare with
    #[arg(long, value_name = "PEERS", value_delimiter = ',', default_value = "qemu,v86")]
    pub(crate) peers: Vec<Peer>,
    /// Measure our interpreter as well
    #[arg(long)]
    pub(crate) interpreter: bool,
    /// Measure each side so many times and take the least
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) repeat: u32,
    /// Give a load up that takes so much CPU time
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) limit: u64,
    /// Write the tables with machine and versions to this Markdown file
    #[arg(long, value_name = "FILE.md")]
    pub(crate) output: Option<PathBuf>,
    /// Draw the comparison into this SVG file
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) plot: Option<PathBuf>,
    /// Folder whose node_modules has v86, with a client.mjs [default: hosts/native/tests/v86]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) v86: Option<PathBuf>,
    /// Measure nothing: write run.sh into this folder, which runs loads in the machine for a profiler
    #[arg(long, value_name = "FOLDER")]
    pub(crate) keep: Option<PathBuf>,
}

/// Another emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// qemu-system-i386 -accel tcg
    Qemu,
    /// The npm package v86, in Node.js
    V86,
    /// Nobody
    None,
}

impl Peer {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Qemu => "QEMU",
            Self::V86 => "v86",
            Self::None => "",
        }
    }
}
