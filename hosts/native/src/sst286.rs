//! Tests recorded on a Harris 80C286 in real mode, in the "SST1" packing.
//!
//! Little-endian. "SST1", number of tests (u32), then for each: length and bytes of its name, 14, 14 words of
//! registers before and after, exception number (FFh: none), address of the FLAGS word that the exception
//! pushed (u32), number (u16) of memory bytes before with address (u32) and value (u8) each, the same after.

use std::fmt;
use std::path::PathBuf;

/// Registers in the order of the file.
pub const REGISTERS: [&str; 14] =
    ["ax", "bx", "cx", "dx", "cs", "ss", "ds", "es", "sp", "bp", "si", "di", "ip", "flags"];

/// One recorded instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// Opcode (with `.digit` where ModRM extends it).
    pub form: String,
    /// Number within the form.
    pub number: u32,
    /// See [`REGISTERS`].
    pub before: [u16; 14],
    /// See [`REGISTERS`]; IP is behind the HLT that ended it.
    pub after: [u16; 14],
    /// The exception that it raised.
    pub exception: Option<u8>,
    /// Where that exception pushed FLAGS.
    pub flags_address: u32,
    /// Memory to load.
    pub memory_before: Vec<(u32, u8)>,
    /// Memory that changed.
    pub memory_after: Vec<(u32, u8)>,
}

/// A file that is not such a recording: offset and what is wrong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged(pub usize, pub &'static str);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.0, self.1)
    }
}

/// Where the recording is: `NOMAD86_SST286`, or among the data that lie beside the project's folder.
#[must_use]
pub fn path() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/sst286-dev.bin");
    std::env::var_os("NOMAD86_SST286").map_or_else(|| beside.into(), PathBuf::from)
}

/// Reads a recording.
///
/// # Errors
/// Says where it is damaged.
pub fn read(bytes: &[u8]) -> Result<Vec<Test>, Damaged> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.take(4)? != b"SST1" {
        return Err(Damaged(0, "it does not begin with SST1"));
    }
    let count = reader.u32()? as usize;
    let mut tests = Vec::with_capacity(count.min(bytes.len() / 64));
    for _ in 0..count {
        tests.push(reader.test()?);
    }
    if reader.at != bytes.len() {
        return Err(Damaged(reader.at, "there is more behind the last test"));
    }
    Ok(tests)
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], Damaged> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count));
        let taken = taken.ok_or(Damaged(self.at, "it ends in the middle"))?;
        self.at += count;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, Damaged> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, Damaged> {
        let bytes = self.take(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32, Damaged> {
        Ok(u32::from(self.u16()?) | u32::from(self.u16()?) << 16)
    }

    fn registers(&mut self) -> Result<[u16; 14], Damaged> {
        let mut registers = [0; 14];
        for register in &mut registers {
            *register = self.u16()?;
        }
        Ok(registers)
    }

    fn memory(&mut self) -> Result<Vec<(u32, u8)>, Damaged> {
        let count = self.u16()?;
        (0..count).map(|_| Ok((self.u32()?, self.u8()?))).collect()
    }

    fn test(&mut self) -> Result<Test, Damaged> {
        let start = self.at;
        let length = self.u8()?;
        let name = self.take(usize::from(length))?;
        let name = std::str::from_utf8(name).map_err(|_| Damaged(start, "the name is no text"))?;
        let (form, number) = name.rsplit_once('.').ok_or(Damaged(start, "the name has no number"))?;
        let number = number.parse().map_err(|_| Damaged(start, "the name has no number"))?;
        if self.u8()? != 14 {
            return Err(Damaged(self.at - 1, "there are not 14 registers"));
        }
        let (before, after) = (self.registers()?, self.registers()?);
        let exception = self.u8()?;
        Ok(Test {
            form: form.to_owned(),
            number,
            before,
            after,
            exception: (exception != 0xFF).then_some(exception),
            flags_address: self.u32()?,
            memory_before: self.memory()?,
            memory_after: self.memory()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut bytes = b"SST1\x02\0\0\0".to_vec();
        for name in ["F7.6.12", "00.0"] {
            bytes.push(name.len() as u8);
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(14);
            for register in 0..28_u16 {
                bytes.extend_from_slice(&register.to_le_bytes());
            }
            bytes.extend_from_slice(&[0, 0x34, 0x12, 0, 0, 1, 0, 7, 0, 0, 0, 9, 0, 0]);
        }
        bytes
    }

    #[test]
    fn a_recording_is_read_as_its_description_says() {
        let tests = read(&sample()).expect("it is whole");
        assert_eq!(tests.len(), 2);
        assert_eq!((tests[0].form.as_str(), tests[0].number), ("F7.6", 12));
        assert_eq!((tests[1].form.as_str(), tests[1].number), ("00", 0));
        assert_eq!((tests[0].before[13], tests[0].after[0]), (13, 14));
        assert_eq!((tests[0].exception, tests[0].flags_address), (Some(0), 0x1234));
        assert_eq!(tests[0].memory_before, [(7, 9)]);
        assert!(tests[0].memory_after.is_empty());
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = sample();
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(read(&longer), Err(Damaged(bytes.len(), "there is more behind the last test")));
    }
}
