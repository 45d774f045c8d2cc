//! Reading tar archives as Debian packages hold them, one member after the other, from a stream.
//!
//! Spec: POSIX.1-1988 `ustar`; GNU tar manual, "Basic Tar Format" (long names, type `L`).
//!
//! Not supported: sparse files, pax headers (skipped), sizes from 8 GiB on.

use std::io::{self, Read};

const BLOCK: usize = 512;
/// Longest name that is believed.
const NAME_MAX: u64 = 4096;

/// What of a member's header matters here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Path without leading `./` or `/`.
    pub(super) path: String,
    /// Bytes of contents.
    pub(super) size: u64,
    /// An ordinary file, not a directory, link or device.
    pub(super) is_file: bool,
}

/// Goes through a tar stream; `wanted` says of each member whether `take` shall get its contents.
pub(super) fn for_each(
    mut stream: impl Read,
    mut wanted: impl FnMut(&Member) -> bool,
    mut take: impl FnMut(Member, Vec<u8>),
) -> io::Result<()> {
    let mut long_name = None;
    loop {
        let mut header = [0; BLOCK];
        if let Err(error) = stream.read_exact(&mut header) {
            // Some writers leave the two empty blocks at the end out.
            return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(()) } else { Err(error) };
        }
        if header.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        check_sum(&header)?;
        let size = octal(&header[124..136])?;
        match header[156] {
            b'L' if size <= NAME_MAX => {
                let contents = contents(&mut stream, size)?;
                long_name = Some(text(&contents));
            }
            kind => {
                let path = long_name.take().unwrap_or_else(|| ustar_name(&header));
                let path = path.trim_start_matches("./").trim_start_matches('/').to_owned();
                let member = Member { path, size, is_file: kind == b'0' || kind == 0 };
                if member.is_file && wanted(&member) {
                    let contents = contents(&mut stream, size)?;
                    take(member, contents);
                } else {
                    skip(&mut stream, size.next_multiple_of(BLOCK as u64))?;
                }
            }
        }
    }
}

fn contents(stream: &mut impl Read, size: u64) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    stream.take(size).read_to_end(&mut contents)?;
    if contents.len() as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    skip(stream, size.next_multiple_of(BLOCK as u64) - size)?;
    Ok(contents)
}

fn skip(stream: &mut impl Read, size: u64) -> io::Result<()> {
    if io::copy(&mut stream.take(size), &mut io::sink())? != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

fn ustar_name(header: &[u8; BLOCK]) -> String {
    let name = text(&header[..100]);
    let prefix = text(&header[345..500]);
    if &header[257..263] == b"ustar\0" && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn octal(field: &[u8]) -> io::Result<u64> {
    let text = text(field);
    u64::from_str_radix(text.trim(), 8).map_err(|_| damaged())
}

fn check_sum(header: &[u8; BLOCK]) -> io::Result<()> {
    let stands_in = |place: usize, byte: u8| if (148..156).contains(&place) { b' ' } else { byte };
    let sum: u64 = header.iter().enumerate().map(|(i, &byte)| u64::from(stands_in(i, byte))).sum();
    if octal(&header[148..156])? == sum { Ok(()) } else { Err(damaged()) }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a damaged tar header")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, size: usize, kind: u8) -> Vec<u8> {
        let mut header = vec![0; BLOCK];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        header[156] = kind;
        header[257..263].copy_from_slice(b"ustar\0");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        header
    }

    fn archive(members: &[(&str, &[u8], u8)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, contents, kind) in members {
            bytes.extend(header(name, contents.len(), *kind));
            bytes.extend_from_slice(contents);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.resize(bytes.len() + 2 * BLOCK, 0);
        bytes
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut found = Vec::new();
        for_each(bytes, |m| !m.path.contains("unwanted"), |m, contents| found.push((m.path, contents)))?;
        Ok(found)
    }

    #[test]
    fn files_come_out_and_directories_and_unwanted_ones_do_not() {
        let long = "x".repeat(150);
        let large = vec![7; 1300];
        let bytes = archive(&[
            ("./d/", b"", b'5'),
            ("./d/a", b"hello", b'0'),
            ("./unwanted", &large, b'0'),
            ("././@LongLink", long.as_bytes(), b'L'),
            ("./short", &large, 0),
            ("./empty", b"", b'0'),
        ]);
        let found = read(&bytes).expect("it is whole");
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], ("d/a".to_owned(), b"hello".to_vec()));
        assert_eq!(found[1], (long, large));
        assert_eq!(found[2], ("empty".to_owned(), Vec::new()));
    }

    #[test]
    fn every_truncation_and_a_damaged_header_end_without_panic() {
        let bytes = archive(&[("./a", b"hello", b'0'), ("./unwanted", &[1; 700], b'0')]);
        for end in 0..bytes.len() {
            let _ = read(&bytes[..end]);
        }
        let mut damaged = bytes.clone();
        damaged[130] ^= 1;
        assert!(read(&damaged).is_err());
        assert!(read(&bytes[..BLOCK + 3]).is_err(), "cut in the contents");
    }
}
