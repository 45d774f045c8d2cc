//! Options of `nomad86 bench`.

use clap::Args;

/// Measures small programs here, in a guest of ours, and in a guest of QEMU.
#[derive(Args, Debug)]
#[command(after_help = "\
The same 32-bit program runs natively, in the machine and under qemu-system-i386 -accel tcg, on the kernel that \
`nomad86 demo` uses. What is compared is the CPU time that each load takes on this host. It is compiled with \
gcc -m32; what a host does not have is named as absent.")]
pub(crate) struct BenchArgs {
    /// Run only these loads
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Leave QEMU out
    #[arg(long)]
    pub(crate) no_qemu: bool,
    /// Measure our interpreter as well
    #[arg(long)]
    pub(crate) interpreter: bool,
    /// Measure each side so many times and take the least
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) repeat: u32,
    /// Keep the program and the initramfs in this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) keep: Option<std::path::PathBuf>,
}
