//! What is measured: groups with their goals, and the loads of each.

/// Loads of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    Integer,
    Kernels,
    Float,
    Crypto,
    Memory,
    System,
    Scripts,
    GuestJit,
    Boot,
}

impl Group {
    pub(super) const ALL: [Self; 9] = [
        Self::Integer,
        Self::Kernels,
        Self::Float,
        Self::Crypto,
        Self::Memory,
        Self::System,
        Self::Scripts,
        Self::GuestJit,
        Self::Boot,
    ];

    /// What the command line calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Kernels => "kernels",
            Self::Float => "float",
            Self::Crypto => "crypto",
            Self::Memory => "memory",
            Self::System => "system",
            Self::Scripts => "scripts",
            Self::GuestJit => "guest-jit",
            Self::Boot => "boot",
        }
    }

    /// What the table calls it.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Integer => "Integer (Debian's programs)",
            Self::Kernels => "Integer (small C programs)",
            Self::Float => "Floating point (x87 and SSE2)",
            Self::Crypto => "OpenSSL with SSE2",
            Self::Memory => "Memory",
            Self::System => "System",
            Self::Scripts => "Scripts",
            Self::GuestJit => "Guest JIT and self-modifying code",
            Self::Boot => "Debian's boot to a shell",
        }
    }

    /// How many times the native time our mean may be; for the boot, what part of QEMU's.
    pub(super) const fn goal(self) -> f64 {
        match self {
            Self::Integer | Self::Kernels | Self::Scripts => 2.3,
            Self::Float | Self::Crypto | Self::Memory => 2.0,
            Self::System => 5.0,
            Self::GuestJit => 6.0,
            Self::Boot => 0.7,
        }
    }

    #[cfg(test)]
    pub(super) fn loads(self) -> impl Iterator<Item = &'static Load> {
        LOADS.iter().filter(move |load| load.group == self)
    }
}

/// A command of the shell whose CPU time is taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) group: Group,
    pub(super) name: &'static str,
    /// Run before, not measured.
    pub(super) setup: &'static str,
    /// Its output must be the same on all sides. When it writes a number to /tmp/count, it did something so often in
    /// a time of its own choice, and what is compared is the time of one.
    pub(super) command: &'static str,
    /// Part of a quick run.
    pub(super) quick: bool,
}

const fn load(group: Group, name: &'static str, setup: &'static str, command: &'static str) -> Load {
    Load { group, name, setup, command, quick: false }
}

const fn quick(group: Group, name: &'static str, setup: &'static str, command: &'static str) -> Load {
    Load { group, name, setup, command, quick: true }
}

/// Variables of all loads. OpenSSL and the C library shall use what a Pentium 4 has, natively too: nothing beyond SSE2.
pub(super) const ENVIRONMENT: [&str; 6] = [
    "PATH=/usr/bin",
    "LC_ALL=C",
    "HOME=/tmp",
    "PYTHONDONTWRITEBYTECODE=1",
    "OPENSSL_ia32cap=0x07808111:0x0",
    "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-BMI1,-BMI2,-ERMS,-FMA,-LZCNT,-MOVBE,-POPCNT,-SSSE3,-SSE4_1,\
     -SSE4_2",
];

/// Debian packages that have the programs.
pub(super) const PACKAGES: [&str; 15] = [
    "7zip",
    "bc",
    "busybox-static",
    "bzip2",
    "coreutils",
    "dash",
    "gzip",
    "libc6",
    "lua5.4",
    "luajit",
    "openssl",
    "perl-base",
    "python3-minimal",
    "sqlite3",
    "xz-utils",
];

/// `openssl speed` of an algorithm: it prints how many blocks it did.
macro_rules! speed {
    ($what:literal) => {
        concat!(
            "openssl speed -seconds 3 -bytes 8192 -evp ",
            $what,
            " 2>&1 >/dev/null | busybox sed -n 's/^Doing.*blocks: \\([0-9]*\\) .*/\\1/p' >/tmp/count && [ -s /tmp/count ]"
        )
    };
}

use Group::{Boot, Crypto, Float, GuestJit, Integer, Kernels, Memory, Scripts, System};

/// All of them, in the order in which they run.
pub(super) const LOADS: &[Load] = &[
    // With a frequency given, `b` does the same work everywhere; it checks its own results. Its output is of times.
    load(Integer, "7zip-b", "", "7zz b 1 -mmt1 -md18 -mtime=1 -mfreq=1000 >/tmp/log && echo right"),
    load(
        Integer,
        "7zip-pack",
        "",
        "7zz a -mx3 -mmt1 -mtm- -si /tmp/a.7z </bench/text >/dev/null && 7zz t -mmt1 /tmp/a.7z >/dev/null && wc -c </tmp/a.7z",
    ),
    quick(Integer, "gzip", "", "for i in 1 2 3 4; do gzip -6 -n -c /bench/text | cksum; done"),
    load(
        Integer,
        "gunzip",
        "gzip -n -c /bench/text >/tmp/a.gz",
        "for i in 1 2 3 4 5 6 7 8 9 10; do gzip -dc /tmp/a.gz; done | cksum",
    ),
    load(Integer, "bzip2", "", "bzip2 -c /bench/text | cksum; bzip2 -c /bench/text | cksum"),
    load(
        Integer,
        "bunzip2",
        "bzip2 -c /bench/text >/tmp/a.bz2",
        "for i in 1 2 3; do bzip2 -dc /tmp/a.bz2; done | cksum",
    ),
    load(Integer, "xz", "", "xz -T1 -2 -c /bench/text | cksum"),
    load(
        Integer,
        "unxz",
        "xz -T1 -2 -c /bench/text >/tmp/a.xz",
        "for i in 1 2 3 4 5; do xz -T1 -dc /tmp/a.xz; done | cksum",
    ),
    quick(
        Integer,
        "sha256sum",
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do cat /bench/text; done >/tmp/text",
        "sha256sum /tmp/text /tmp/text /tmp/text",
    ),
    load(
        Integer,
        "sort",
        "cat /bench/text /bench/text /bench/text >/tmp/text",
        "sort --parallel=1 -k2 /tmp/text | cksum",
    ),
    quick(Kernels, "sieve", "", "/bench/kernels sieve"),
    load(Kernels, "sha256", "", "/bench/kernels sha256"),
    load(Kernels, "qsort", "", "/bench/kernels sort"),
    load(Kernels, "strings", "", "/bench/kernels strings"),
    load(Kernels, "indirect", "", "/bench/kernels indirect"),
    load(Kernels, "interpreter", "", "/bench/kernels interpreter"),
    quick(Kernels, "recursion", "", "/bench/kernels recursion"),
    load(Kernels, "matrix", "", "/bench/kernels matrix"),
    load(Kernels, "crc32", "", "/bench/kernels crc32"),
    load(Kernels, "bignum", "", "/bench/kernels bignum"),
    quick(Float, "x87-nbody", "", "/bench/x87 nbody"),
    load(Float, "x87-dgemm", "", "/bench/x87 dgemm"),
    load(Float, "x87-mandelbrot", "", "/bench/x87 mandelbrot"),
    load(Float, "x87-spectral", "", "/bench/x87 spectral"),
    load(Float, "x87-vectors", "", "/bench/x87 vectors"),
    load(Float, "x87-library", "", "/bench/x87 library"),
    quick(Float, "sse2-nbody", "", "/bench/sse2 nbody; /bench/sse2 nbody"),
    load(Float, "sse2-dgemm", "", "/bench/sse2 dgemm; /bench/sse2 dgemm"),
    load(
        Float,
        "sse2-mandelbrot",
        "",
        "/bench/sse2 mandelbrot; /bench/sse2 mandelbrot; /bench/sse2 mandelbrot",
    ),
    load(Float, "sse2-spectral", "", "/bench/sse2 spectral"),
    load(Float, "sse2-vectors", "", "for i in 1 2 3 4 5 6; do /bench/sse2 vectors; done"),
    load(Float, "sse2-library", "", "/bench/sse2 library"),
    load(Float, "sse2-packed", "", "/bench/kernels packed"),
    load(
        Crypto,
        "dgst-sha256",
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do cat /bench/text; done >/tmp/text",
        "openssl dgst -sha256 </tmp/text",
    ),
    load(
        Crypto,
        "dgst-sha512",
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do cat /bench/text; done >/tmp/text",
        "openssl dgst -sha512 </tmp/text",
    ),
    load(
        Crypto,
        "enc-aes-ctr",
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do cat /bench/text; done >/tmp/text",
        "openssl enc -aes-128-ctr -K 00112233445566778899aabbccddeeff -iv 0f -in /tmp/text | openssl dgst -md5",
    ),
    load(Crypto, "ciphers", "", "/bench/kernels ciphers"),
    quick(Crypto, "speed-sha256", "", speed!("sha256")),
    load(Crypto, "speed-sha1", "", speed!("sha1")),
    load(Crypto, "speed-sha512", "", speed!("sha512")),
    load(Crypto, "speed-aes-128-cbc", "", speed!("aes-128-cbc")),
    load(Crypto, "speed-aes-128-gcm", "", speed!("aes-128-gcm")),
    load(Crypto, "speed-chacha20-poly1305", "", speed!("chacha20-poly1305")),
    load(
        Crypto,
        "speed-rsa2048",
        "",
        "openssl speed -seconds 3 rsa2048 2>&1 >/dev/null | busybox sed -n 's/^Doing 2048 bits private.*: \\([0-9]*\\) .*/\\1/p' >/tmp/count && [ -s /tmp/count ]",
    ),
    quick(Memory, "pointers", "", "/bench/kernels pointers"),
    load(Memory, "far-pointers", "", "/bench/kernels far-pointers"),
    load(Memory, "stream", "", "/bench/kernels stream"),
    load(Memory, "blocks", "", "/bench/kernels blocks"),
    load(Memory, "scattered", "", "/bench/kernels scattered"),
    load(Memory, "copy-vectors", "", "/bench/kernels vectors"),
    quick(Memory, "copy-64-bytes", "", "/bench/kernels copy64"),
    load(Memory, "copy-4-kib", "", "/bench/kernels copy4k"),
    load(Memory, "copy-1-mib", "", "/bench/kernels copy1m"),
    quick(System, "calls", "", "/bench/kernels calls"),
    load(System, "files", "", "/bench/kernels files"),
    quick(System, "pipes", "", "/bench/kernels pipes"),
    load(System, "forks", "", "/bench/kernels forks"),
    load(System, "execs", "", "/bench/kernels execs"),
    load(System, "faults", "", "/bench/kernels faults"),
    load(System, "shell-execs", "", "i=0; while [ $i -lt 400 ]; do /usr/bin/true; i=$((i + 1)); done"),
    load(System, "shell-forks", "", "i=0; while [ $i -lt 1500 ]; do (exit 0); i=$((i + 1)); done"),
    load(Scripts, "python3-objects", "", "for i in 1 2 3 4; do python3 /bench/queens.py objects; done"),
    quick(Scripts, "python3-words", "", "for i in 1 2 3; do python3 /bench/queens.py words; done"),
    load(Scripts, "perl-words", "", "perl /bench/words.pl"),
    load(Scripts, "perl-calls", "", "for i in 1 2 3; do perl /bench/fib.pl; done"),
    quick(Scripts, "lua-fannkuch", "", "for i in 1 2 3; do lua5.4 /bench/fannkuch.lua 9; done"),
    load(Scripts, "lua-nbody", "", "lua5.4 /bench/nbody.lua 100000"),
    load(Scripts, "lua-words", "", "lua5.4 /bench/words.lua 6"),
    load(Scripts, "luajit-interpreter", "", "for i in 1 2 3 4; do luajit -joff /bench/fannkuch.lua 9; done"),
    load(Scripts, "sqlite3", "", "sqlite3 :memory: </bench/tables.sql; sqlite3 :memory: </bench/tables.sql"),
    load(Scripts, "bc", "", "bc -lq /bench/digits.bc </dev/null; bc -lq /bench/digits.bc </dev/null"),
    load(
        Scripts,
        "dash",
        "",
        "i=0; s=0; while [ $i -lt 400000 ]; do i=$((i + 1)); s=$(((s * 31 + i) % 65521)); done; echo $s",
    ),
    quick(GuestJit, "luajit-fannkuch", "", "luajit /bench/fannkuch.lua 10"),
    load(GuestJit, "luajit-nbody", "", "luajit /bench/nbody.lua 500000"),
    load(GuestJit, "luajit-words", "", "luajit /bench/words.lua 10"),
    load(
        GuestJit,
        "luajit-starts",
        "",
        "i=0; while [ $i -lt 40 ]; do luajit /bench/nbody.lua 2000; i=$((i + 1)); done",
    ),
    quick(GuestJit, "code-fresh", "", "/bench/codegen fresh"),
    load(GuestJit, "code-patched", "", "/bench/codegen patch"),
    load(GuestJit, "code-beside-data", "", "/bench/codegen nearby"),
    load(GuestJit, "code-inline-caches", "", "/bench/codegen caches"),
    // Another kernel command line and initial RAM disk: `nomad86 demo`'s.
    quick(Boot, "boot", "", ""),
];

/// The file by which the driver in the tree finds the commands.
pub(super) fn file() -> String {
    let mut text: String = ENVIRONMENT.iter().flat_map(|variable| [*variable, "\n"]).collect();
    for load in LOADS.iter().filter(|load| load.group != Boot) {
        text += &format!("{}\t{}\t{}\n", load.name, load.setup, load.command);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_different_and_fit_into_the_drivers_argument_and_file() {
        let names: BTreeSet<&str> = LOADS.iter().map(|load| load.name).collect();
        assert_eq!(names.len(), LOADS.len());
        for load in LOADS {
            assert!(load.name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-'));
            assert!(!load.command.contains(['\t', '\n']) && !load.setup.contains(['\t', '\n']));
        }
        assert!(file().len() < 65536, "the driver's buffer");
        for variable in ENVIRONMENT {
            assert!(!variable.contains(['\t', '\n']));
        }
    }

    #[test]
    fn every_group_has_loads_and_some_for_a_quick_run() {
        for group in Group::ALL {
            assert!(group.loads().any(|load| load.quick), "{}", group.name());
            let list: Vec<&str> = group.loads().map(|load| load.name).collect();
            // The kernel passes what stands after `--` on; its command line has 2048 bytes.
            assert!(list.join(",").len() < 1500, "{}", group.name());
        }
    }
}
