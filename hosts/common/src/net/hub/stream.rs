//! Frames on a stream: a four-byte length, most significant byte first, then the frame.
//!
//! The same as QEMU's `-netdev stream` and `-netdev socket`, so that its machines can be plugged in too.

use crate::net::queue::FrameQueue;
use crate::net::{MAX_FRAME, MIN_FRAME};
use std::io::{self, ErrorKind, Read, Write};

/// Longer announcements are not frames: the stream is out of step, or the other end is not one of us.
const LONGEST: usize = 68 * 1024;
/// Bytes read or written at once.
const CHUNK: usize = 64 * 1024;

/// A non-blocking stream that carries frames both ways.
#[derive(Debug)]
pub(super) struct FrameStream<S> {
    pub(super) stream: S,
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    /// Bytes of a frame of impossible size that are still to be skipped.
    skip: usize,
    /// Frames whose size is impossible.
    pub(super) bad_size: u64,
}

impl<S: Read + Write> FrameStream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            input: Vec::with_capacity(CHUNK),
            output: Vec::with_capacity(CHUNK + 4 + MAX_FRAME),
            written: 0,
            skip: 0,
            bad_size: 0,
        }
    }

    /// Reads until there is nothing more to read and gives each whole frame to `sink`. Returns `false` at
    /// the end of the stream.
    pub(super) fn read(&mut self, mut sink: impl FnMut(&[u8])) -> io::Result<bool> {
        loop {
            let filled = self.input.len();
            self.input.resize(CHUNK, 0);
            let result = self.stream.read(&mut self.input[filled..]);
            self.input.truncate(filled + *result.as_ref().unwrap_or(&0));
            match result {
                Ok(0) => return Ok(false),
                Ok(_) => self.split(&mut sink)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn split(&mut self, sink: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let mut at = 0;
        loop {
            let skipped = self.skip.min(self.input.len() - at);
            self.skip -= skipped;
            at += skipped;
            let Some(header) = self.input.get(at..).and_then(|rest| rest.first_chunk::<4>()) else { break };
            let len = u32::from_be_bytes(*header) as usize;
            if len > LONGEST {
                return Err(io::Error::new(ErrorKind::InvalidData, "not a stream of frames"));
            }
            if !(MIN_FRAME..=MAX_FRAME).contains(&len) {
                self.bad_size += 1;
                self.skip = len;
                at += 4;
                continue;
            }
            let Some(frame) = self.input.get(at + 4..at + 4 + len) else { break };
            sink(frame);
            at += 4 + len;
        }
        self.input.drain(..at);
        Ok(())
    }

    /// Writes frames of `queue` until it is empty or the stream takes no more. What the stream does not
    /// take stays in the queue, which loses its oldest frames.
    pub(super) fn write(&mut self, queue: &FrameQueue) -> io::Result<()> {
        loop {
            while self.output.len() < CHUNK {
                let output = &mut self.output;
                let taken = queue.take(|frame, _| {
                    output.extend((frame.len() as u32).to_be_bytes());
                    output.extend(frame);
                    Some(())
                });
                if taken.is_none() {
                    break;
                }
            }
            if self.written == self.output.len() {
                self.output.clear();
                self.written = 0;
                return Ok(());
            }
            match self.stream.write(&self.output[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.written == self.output.len() {
                self.output.clear();
                self.written = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::bell::Bell;

    /// A stream that reads its script a few bytes at a time and takes a few bytes at a time.
    struct Script {
        input: Vec<u8>,
        step: usize,
        output: Vec<u8>,
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.step.min(self.input.len()).min(buffer.len());
            if count == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            buffer[..count].copy_from_slice(&self.input[..count]);
            self.input.drain(..count);
            Ok(count)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.step.min(bytes.len());
            self.output.extend(&bytes[..count]);
            Ok(count)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn encode(frames: &[Vec<u8>]) -> Vec<u8> {
        frames.iter().flat_map(|f| [&(f.len() as u32).to_be_bytes()[..], f].concat()).collect()
    }

    #[test]
    fn frames_survive_being_cut_at_every_byte() {
        let frames = [vec![1; 14], vec![2; 1522], vec![3; 60], vec![4; 700]];
        for step in [1, 2, 3, 5, 7, 100, 1526, 100_000] {
            let script = Script { input: encode(&frames), step, output: Vec::new() };
            let mut stream = FrameStream::new(script);
            let mut got = Vec::new();
            assert!(stream.read(|frame| got.push(frame.to_vec())).unwrap());
            assert_eq!(got, frames);

            let queue = FrameQueue::new(8, Bell::default());
            for frame in &frames {
                queue.push(frame);
            }
            stream.write(&queue).unwrap();
            assert_eq!(stream.stream.output, encode(&frames));
        }
    }

    #[test]
    fn case_63_frames_of_odd_sizes_are_skipped_and_absurd_lengths_end_the_stream() {
        let frames = [vec![], vec![9; 13], vec![1; 60], vec![9; 1523], vec![9; 65_535], vec![2; 60]];
        let mut stream = FrameStream::new(Script { input: encode(&frames), step: 999, output: Vec::new() });
        let mut got = Vec::new();
        assert!(stream.read(|frame| got.push(frame.to_vec())).unwrap());
        assert_eq!(got, [vec![1; 60], vec![2; 60]]);
        assert_eq!(stream.bad_size, 4);

        let input = vec![0xFF; 20];
        let mut stream = FrameStream::new(Script { input, step: 999, output: Vec::new() });
        assert!(stream.read(|_| panic!("there is no frame")).is_err());
    }
}
