//! Writing cpio archives of the "new ASCII" kind, which is what a Linux initramfs is.
//!
//! Spec: Linux `Documentation/driver-api/early-userspace/buffer-format.rst`; `cpio(5)`, "newc".
//!
//! Not supported: hard links, times (all files are from 1970), owners other than root.

/// File type bits of `mode`.
mod kind {
    pub(super) const CHARACTER: u32 = 0o020_000;
    pub(super) const DIRECTORY: u32 = 0o040_000;
    pub(super) const BLOCK: u32 = 0o060_000;
    pub(super) const FILE: u32 = 0o100_000;
    pub(super) const LINK: u32 = 0o120_000;
}

const TRAILER: &str = "TRAILER!!!";
/// Archives end on a multiple of this, as the traditional tool writes them.
const BLOCK: usize = 512;

/// An archive in the making. Parent directories must be added before what is in them.
///
/// ```
/// use nomad86_host::guest::cpio::Cpio;
///
/// let mut initrd = Cpio::new();
/// initrd.directory("bin", 0o755);
/// initrd.file("init", 0o755, b"#!/bin/sh\n");
/// initrd.link("bin/sh", "/bin/busybox");
/// let bytes = initrd.finish();
/// assert!(bytes.starts_with(b"070701"));
/// ```
#[derive(Default, Debug)]
pub struct Cpio {
    bytes: Vec<u8>,
    files: u32,
}

impl Cpio {
    /// An empty archive.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a directory. `path` has no leading slash, here and below.
    pub fn directory(&mut self, path: &str, permissions: u32) {
        self.entry(path, kind::DIRECTORY | permissions, (0, 0), &[]);
    }

    /// Adds a file.
    pub fn file(&mut self, path: &str, permissions: u32, contents: &[u8]) {
        self.entry(path, kind::FILE | permissions, (0, 0), contents);
    }

    /// Adds a symbolic link at `path` that points to `target`.
    pub fn link(&mut self, path: &str, target: &str) {
        self.entry(path, kind::LINK | 0o777, (0, 0), target.as_bytes());
    }

    /// Adds a character device.
    pub fn character_device(&mut self, path: &str, permissions: u32, major: u32, minor: u32) {
        self.entry(path, kind::CHARACTER | permissions, (major, minor), &[]);
    }

    /// Adds a block device.
    pub fn block_device(&mut self, path: &str, permissions: u32, major: u32, minor: u32) {
        self.entry(path, kind::BLOCK | permissions, (major, minor), &[]);
    }

    /// The finished archive.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.files = u32::MAX; // the trailer's inode number is 0
        self.entry(TRAILER, 0, (0, 0), &[]);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), contents: &[u8]) {
        self.files = self.files.wrapping_add(1);
        let links = if mode & kind::DIRECTORY == kind::DIRECTORY { 2 } else { 1 };
        let size = u32::try_from(contents.len()).expect("a file of an initramfs has less than 4 GiB");
        let name_size = path.len() as u32 + 1;
        let fields = [
            self.files, mode, 0, 0, // inode, mode, owner, group
            links, 0, size, // links, time of change, size
            0, 0, device.0, device.1, // where it is (major, minor), which device it is
            name_size, 0, // length of the name with its NUL, no checksum
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(contents);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_has_the_header_that_the_format_describes() {
        let mut cpio = Cpio::new();
        cpio.file("ab", 0o644, b"hello");
        let bytes = cpio.finish();
        let header = "070701\
            00000001000081A4000000000000000000000001\
            000000000000000500000000000000000000000000000000\
            0000000300000000";
        assert_eq!(&bytes[..110], header.as_bytes());
        assert_eq!(
            &bytes[110..116],
            b"ab\0\0\0\0",
            "the name is padded to a multiple of four with the header"
        );
        assert_eq!(&bytes[116..124], b"hello\0\0\0");
        assert_eq!(&bytes[124..130], b"070701");
        assert_eq!(&bytes[234..245], b"TRAILER!!!\0");
        assert_eq!(bytes.len(), 512);
    }

    #[test]
    fn devices_carry_their_numbers_and_directories_two_links() {
        let mut cpio = Cpio::new();
        cpio.directory("dev", 0o755);
        cpio.character_device("dev/console", 0o600, 5, 1);
        let bytes = cpio.finish();
        assert_eq!(&bytes[14..22], b"000041ED");
        assert_eq!(&bytes[38..46], b"00000002");
        let device = &bytes[116..];
        assert_eq!(&device[14..22], b"00002180");
        assert_eq!(&device[78..94], b"0000000500000001");
    }

    #[test]
    fn the_system_cpio_lists_the_same_when_there_is_one() {
        use std::io::Write;
        use std::process::{Command, Stdio};
        let mut cpio = Cpio::new();
        cpio.directory("d", 0o755);
        cpio.file("d/f", 0o600, b"123");
        cpio.link("l", "d/f");
        cpio.block_device("b", 0o660, 8, 1);
        let mut command = Command::new("cpio");
        command.arg("-tv").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { return };
        child.stdin.take().expect("piped").write_all(&cpio.finish()).expect("it reads all");
        let out = child.wait_with_output().expect("it ends");
        let text = String::from_utf8(out.stdout).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert!(out.status.success());
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("drwxr-xr-x   2 root"), "{text}");
        assert!(lines[1].starts_with("-rw-------   1 root") && lines[1].ends_with(" d/f"), "{text}");
        assert!(lines[2].starts_with("lrwxrwxrwx") && lines[2].ends_with("l -> d/f"), "{text}");
        assert!(lines[3].starts_with("brw-rw----") && lines[3].contains("8,   1"), "{text}");
    }
}
