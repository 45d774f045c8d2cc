//! A recorder around any back end: every frame, with its time and direction, into a pcapng file.
//!
//! Spec: IETF draft-ietf-opsawg-pcapng (section header, interface description and enhanced packet blocks).
//! Not emulated: name resolution, statistics and decryption-secret blocks.
//!
//! One file can hold several interfaces (both sides of a translator, several cards): clone the [`Capture`]
//! and [`Capture::wrap`] each side. A disk that is full or gone ends the recording, never the network.

use super::open::Meter;
use super::{count, counters};
use nomad86::host::Network;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Frames reach the file at least so often while there are any, so that others can read along.
const FLUSH: Duration = Duration::from_millis(500);

mod block {
    pub(super) const SECTION: u32 = 0x0A0D_0D0A;
    pub(super) const INTERFACE: u32 = 1;
    pub(super) const PACKET: u32 = 6;
}

mod option {
    pub(super) const END: u16 = 0;
    /// In a section header: the program that wrote the file.
    pub(super) const USER_APPLICATION: u16 = 4;
    /// In an interface description.
    pub(super) const NAME: u16 = 2;
    /// In an interface description: time stamps count 10 to the minus so many seconds.
    pub(super) const TIME_RESOLUTION: u16 = 9;
    /// In a packet: bits 0-1 say 1 for inbound, 2 for outbound.
    pub(super) const FLAGS: u16 = 2;
}

counters! {
    /// What a recorder has written.
    Counters => CaptureStats {
        /// Frames in the file.
        frames,
        /// Frames that could not be written.
        lost,
    }
}

/// Which way a frame went, as the machine sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// To the machine.
    Inbound = 1,
    /// From the machine.
    Outbound = 2,
}

/// A pcapng file that is being written; clones write to the same one.
/// ```
/// use nomad86::host::Network;
/// use nomad86_host::net::{bell::Bell, hub::Hub, pcap::Capture};
///
/// # let folder = std::env::temp_dir().join(format!("nomad86-doc-pcap-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("lan.pcapng");
/// let capture = Capture::create(&path)?;
/// let mut cable = capture.wrap("eth0", Hub::default().port(Bell::default()));
/// cable.transmit(&[0xFF; 60]);
/// capture.flush()?;
/// assert_eq!(capture.stats().frames, 1);
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Capture {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    counters: Counters,
}

struct State {
    /// `None` once it failed.
    file: Option<BufWriter<Box<dyn Write + Send>>>,
    interfaces: u32,
    block: Vec<u8>,
    start: Instant,
    /// Nanoseconds since 1970 at `start`.
    epoch: u64,
    flushed: Instant,
}

impl Capture {
    /// Starts a new file at `path`.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::new(File::create(path)?)
    }

    /// Starts a recording into anything.
    ///
    /// # Errors
    /// When the header cannot be written.
    pub fn new(file: impl Write + Send + 'static) -> io::Result<Self> {
        let mut file: BufWriter<Box<dyn Write + Send>> = BufWriter::with_capacity(64 * 1024, Box::new(file));
        let mut block = Block::start(Vec::with_capacity(2048), block::SECTION);
        block.u32(0x1A2B_3C4D); // byte order
        block.u32(1); // version 1.0
        block.u32(u32::MAX); // the section's length is not known ...
        block.u32(u32::MAX);
        block.option(option::USER_APPLICATION, b"nomad86");
        block.option(option::END, &[]);
        let block = block.finish();
        file.write_all(&block)?;
        file.flush()?;
        let now = Instant::now();
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let state = State {
            file: Some(file),
            interfaces: 0,
            block,
            start: now,
            epoch: u64::try_from(epoch.as_nanos()).unwrap_or(u64::MAX),
            flushed: now,
        };
        Ok(Self { shared: Arc::new(Shared { state: Mutex::new(state), counters: Counters::default() }) })
    }

    /// Records what passes through `network` as a new interface called `name`.
    #[must_use]
    pub fn wrap<N>(&self, name: &str, network: N) -> Recorder<N> {
        let mut state = self.lock();
        let mut block = Block::start(std::mem::take(&mut state.block), block::INTERFACE);
        block.u32(1); // link type 1: Ethernet; two bytes are reserved
        block.u32(0); // frames are never cut
        block.option(option::NAME, name.as_bytes());
        block.option(option::TIME_RESOLUTION, &[9]);
        block.option(option::END, &[]);
        state.block = block.finish();
        state.write();
        let interface = state.interfaces;
        state.interfaces += 1;
        drop(state);
        Recorder { capture: self.clone(), interface, network }
    }

    /// Makes all that was recorded so far readable in the file.
    ///
    /// # Errors
    /// When the file could not be written, now or earlier.
    pub fn flush(&self) -> io::Result<()> {
        match &mut self.lock().file {
            Some(file) => file.flush(),
            None => Err(io::Error::other("the recording has failed")),
        }
    }

    /// Its counters, to be read while others use it.
    #[must_use]
    pub fn meter(&self) -> Meter {
        let shared = Arc::clone(&self.shared);
        Meter::new("pcap", move || shared.counters.read().entries())
    }

    /// How much was recorded.
    #[must_use]
    pub fn stats(&self) -> CaptureStats {
        self.shared.counters.read()
    }

    fn record(&self, interface: u32, direction: Direction, frame: &[u8]) {
        let mut state = self.lock();
        let elapsed = u64::try_from(state.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let time = state.epoch.saturating_add(elapsed);
        let mut block = Block::start(std::mem::take(&mut state.block), block::PACKET);
        block.u32(interface);
        block.u32((time >> 32) as u32);
        block.u32(time as u32);
        block.u32(frame.len() as u32); // as much as there was ...
        block.u32(frame.len() as u32); // ... of as much
        block.bytes(frame);
        block.option(option::FLAGS, &(direction as u32).to_le_bytes());
        block.option(option::END, &[]);
        state.block = block.finish();
        count(if state.write() { &self.shared.counters.frames } else { &self.shared.counters.lost });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Appends the block and keeps the file up to date.
    fn write(&mut self) -> bool {
        let Some(file) = &mut self.file else { return false };
        let mut result = file.write_all(&self.block);
        if self.flushed.elapsed() >= FLUSH {
            result = result.and_then(|()| file.flush());
            self.flushed = Instant::now();
        }
        if result.is_err() {
            // Do not try to write the rest of the buffer when it is dropped.
            drop(self.file.take().map(BufWriter::into_parts));
        }
        result.is_ok()
    }
}

/// A block that is being put together: type, length, body padded to four bytes, length again.
struct Block(Vec<u8>);

impl Block {
    fn start(mut room: Vec<u8>, kind: u32) -> Self {
        room.clear();
        room.extend(kind.to_le_bytes());
        room.extend([0; 4]);
        Self(room)
    }

    fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        let value = &value[..value.len().min(usize::from(u16::MAX))];
        self.0.extend(code.to_le_bytes());
        self.0.extend((value.len() as u16).to_le_bytes());
        self.bytes(value);
    }

    fn finish(mut self) -> Vec<u8> {
        let len = self.0.len() as u32 + 4;
        self.u32(len);
        self.0[4..8].copy_from_slice(&len.to_le_bytes());
        self.0
    }
}

/// A back end whose frames are recorded.
pub struct Recorder<N> {
    capture: Capture,
    interface: u32,
    network: N,
}

impl<N> Recorder<N> {
    /// The back end.
    pub fn inner(&mut self) -> &mut N {
        &mut self.network
    }
}

impl<N: Network> Network for Recorder<N> {
    fn transmit(&mut self, frame: &[u8]) {
        self.capture.record(self.interface, Direction::Outbound, frame);
        self.network.transmit(frame);
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let frame = self.network.receive(buffer)?;
        self.capture.record(self.interface, Direction::Inbound, frame);
        Some(frame)
    }

    fn link(&self) -> bool {
        self.network.link()
    }
}

impl<N> Drop for Recorder<N> {
    fn drop(&mut self) {
        // A failure was counted, or nobody can be told any more.
        drop(self.capture.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::super::bell::Bell;
    use super::super::hub::Hub;
    use super::super::hub::tests::{all, frame};
    use super::*;
    use std::process::Command;

    /// A file in memory that can be full.
    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>, Option<usize>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut file = self.0.lock().unwrap();
            if self.1.is_some_and(|limit| file.len() + bytes.len() > limit) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            file.extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn blocks_are_whole_words_and_say_their_length_at_both_ends() {
        let file = Memory::default();
        let hub = Hub::default();
        let capture = Capture::new(file.clone()).unwrap();
        let mut a = capture.wrap("guest", hub.port(Bell::default()));
        let mut b = capture.wrap("wire", hub.port(Bell::default()));
        for len in 14..60 {
            a.transmit(&frame(255, 1, b"")[..len]);
        }
        assert_eq!(all(&mut b).len(), 46);
        drop((a, b));
        let bytes = file.0.lock().unwrap().clone();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let mut at = 0;
        let mut kinds = Vec::new();
        while at < bytes.len() {
            let len = word(at + 4) as usize;
            assert_eq!(len % 4, 0);
            assert_eq!(word(at + len - 4) as usize, len);
            kinds.push(word(at));
            at += len;
        }
        assert_eq!(&kinds[..3], [block::SECTION, block::INTERFACE, block::INTERFACE]);
        assert_eq!(kinds.len(), 3 + 2 * 46);
        assert_eq!(capture.stats(), CaptureStats { frames: 92, lost: 0 });
    }

    #[test]
    fn a_full_disk_ends_the_recording_and_not_the_network() {
        let hub = Hub::default();
        let capture = Capture::new(Memory(Arc::default(), Some(100_000))).unwrap();
        let mut a = capture.wrap("guest", hub.port(Bell::default()));
        let mut b = hub.port(Bell::default());
        for _ in 0..200 {
            a.transmit(&[0xFF; 1500]);
            assert_eq!(all(&mut b).len(), 1);
        }
        let stats = capture.stats();
        assert_eq!(stats.frames + stats.lost, 200);
        assert!(stats.lost >= 100);
        assert!(capture.flush().is_err());
    }

    /// tshark is a peer that not every machine has.
    #[test]
    fn tshark_reads_the_frames_their_interface_and_direction() {
        if Command::new("tshark").arg("--version").output().is_err() {
            eprintln!("skipped: there is no tshark");
            return;
        }
        let path = std::env::temp_dir().join(format!("nomad86-pcap-{}.pcapng", std::process::id()));
        let hub = Hub::default();
        let capture = Capture::create(&path).unwrap();
        let mut a = capture.wrap("guest side", hub.port(Bell::default()));
        let mut b = hub.port(Bell::default());
        a.transmit(&frame(2, 1, b"one"));
        b.transmit(&frame(1, 2, b"two"));
        all(&mut a);
        drop(a);
        let fields =
            ["frame.interface_name", "frame.p2p_dir", "frame.len", "eth.src", "frame.packet_flags_direction"];
        let output = Command::new("tshark")
            .args(["-n", "-r"])
            .arg(&path)
            .args(["-T", "fields"])
            .args(fields.iter().flat_map(|field| ["-e", field]))
            .output()
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
        assert_eq!(rows.len(), 2, "{text} {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!((rows[0][0], rows[0][2], rows[0][3]), ("guest side", "60", "02:00:00:00:00:01"));
        assert_eq!(rows[1][3], "02:00:00:00:00:02");
        assert!(rows[0][4].ends_with('2') && rows[1][4].ends_with('1'), "{text}");
    }
}
