//! Far ends of serial lines and the debug console: terminal, file, socket, or nothing.

use crate::args::values::SerialSpec;
use crate::files;
use crate::outcome::Failure;
use nomad86_host::console::Line;
#[cfg(unix)]
use nomad86_host::local;
use nomad86_host::net::bell::Bell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Pieces that wait between a socket's thread and the machine.
const PIECES: usize = 16;

/// Where a line leads.
enum Far {
    Nowhere,
    Terminal,
    File(File),
    /// Each byte as a line in hexadecimal.
    Codes(File),
    Socket(Socket),
}

/// A line and its far end.
pub(crate) struct End {
    /// The machine's side.
    pub(crate) line: Line,
    far: Far,
    /// What the guest has no room for yet.
    pending: Vec<u8>,
    buffer: Vec<u8>,
}

impl End {
    /// Opens what the option names; `bell` rings when there is something for the guest.
    pub(crate) fn open(option: &str, spec: &SerialSpec, bell: &Bell) -> Result<Self, Failure> {
        let wrong = |what: &str, error: &io::Error| {
            Failure::configuration(format!("{option} {what}: {}", files::reason(error)))
        };
        let far = match spec {
            SerialSpec::None => Far::Nowhere,
            SerialSpec::Stdio => Far::Terminal,
            SerialSpec::File(path) => Far::File(files::create(option, path)?),
            SerialSpec::Tcp { address, server: true } => {
                let listener = TcpListener::bind(address).map_err(|error| wrong(address, &error))?;
                Far::Socket(Socket::serve(move || listener.accept().map(|(stream, _)| stream), bell))
            }
            SerialSpec::Tcp { address, server: false } => {
                let stream = TcpStream::connect(address).map_err(|error| wrong(address, &error))?;
                Far::Socket(Socket::connected(stream, bell))
            }
            #[cfg(unix)]
            SerialSpec::Unix { path, server } => {
                use std::os::unix::net::UnixStream;
                let name = path.display().to_string();
                if *server {
                    let listener = local::bind(path).map_err(|error| wrong(&name, &error))?;
                    Far::Socket(Socket::serve(move || listener.accept().map(|(stream, _)| stream), bell))
                } else {
                    let stream = UnixStream::connect(path).map_err(|error| wrong(&name, &error))?;
                    Far::Socket(Socket::connected(stream, bell))
                }
            }
            #[cfg(not(unix))]
            SerialSpec::Unix { .. } => {
                return Err(Failure::configuration(format!("{option}: this system has no such sockets")));
            }
        };
        Ok(Self::new(far))
    }

    /// A log of what is written to a port.
    pub(crate) fn codes(file: File) -> Self {
        Self::new(Far::Codes(file))
    }

    fn new(far: Far) -> Self {
        Self { line: Line::default(), far, pending: Vec::new(), buffer: Vec::new() }
    }

    /// Whether it leads to the terminal.
    pub(crate) const fn is_terminal(&self) -> bool {
        matches!(self.far, Far::Terminal)
    }

    /// Whether the guest takes its time.
    pub(crate) fn is_full(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Bytes for the guest; what does not fit now follows later.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        self.push();
    }

    fn push(&mut self) {
        if !self.pending.is_empty() {
            let given = self.line.give(&self.pending);
            self.pending.drain(..given);
        }
    }

    /// Moves bytes both ways. What the guest has written is returned; if it is for the terminal, it is up to
    /// the caller to show it.
    pub(crate) fn pump(&mut self) -> io::Result<&[u8]> {
        self.push();
        while self.pending.is_empty()
            && let Far::Socket(socket) = &self.far
            && let Ok(bytes) = socket.incoming.try_recv()
        {
            self.pending = bytes;
            self.push();
        }
        self.buffer.clear();
        self.line.take(&mut self.buffer);
        if self.buffer.is_empty() {
            return Ok(&[]);
        }
        match &mut self.far {
            Far::Nowhere | Far::Terminal => {}
            Far::File(file) => file.write_all(&self.buffer)?,
            Far::Codes(file) => {
                let text: String = self.buffer.iter().map(|byte| format!("{byte:02x}\n")).collect();
                file.write_all(text.as_bytes())?;
            }
            // What nobody takes is lost, as on a cable.
            Far::Socket(socket) => drop(socket.outgoing.try_send(self.buffer.clone())),
        }
        Ok(&self.buffer)
    }
}

/// A stream, or one after another, with a thread for each direction, as the machine never waits.
struct Socket {
    incoming: Receiver<Vec<u8>>,
    outgoing: SyncSender<Vec<u8>>,
}

/// A stream that can be shared by two threads.
trait Stream: Read + Write + Send + Sized + 'static {
    fn twin(&self) -> io::Result<Self>;
}

impl Stream for TcpStream {
    fn twin(&self) -> io::Result<Self> {
        self.set_nodelay(true)?;
        self.try_clone()
    }
}

#[cfg(unix)]
impl Stream for std::os::unix::net::UnixStream {
    fn twin(&self) -> io::Result<Self> {
        self.try_clone()
    }
}

impl Socket {
    fn connected<S: Stream>(stream: S, bell: &Bell) -> Self {
        let mut once = Some(stream);
        Self::serve(move || once.take().ok_or_else(|| io::ErrorKind::NotConnected.into()), bell)
    }

    /// Takes one stream after another from `accept`, until it fails.
    fn serve<S: Stream>(mut accept: impl FnMut() -> io::Result<S> + Send + 'static, bell: &Bell) -> Self {
        let (to_guest, incoming) = sync_channel::<Vec<u8>>(PIECES);
        let (outgoing, from_guest) = sync_channel::<Vec<u8>>(PIECES);
        let bell = bell.clone();
        // Whoever is connected; what is said before somebody is, waits.
        let connected = Arc::new((Mutex::new(None::<S>), Condvar::new()));
        let shared = Arc::clone(&connected);
        std::thread::spawn(move || {
            let (stream, comes) = &*shared;
            while let Ok(bytes) = from_guest.recv() {
                let stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
                let mut stream = comes
                    .wait_while(stream, |stream| stream.is_none())
                    .unwrap_or_else(PoisonError::into_inner);
                if stream.as_mut().is_some_and(|stream| stream.write_all(&bytes).is_err()) {
                    *stream = None;
                }
            }
        });
        std::thread::spawn(move || {
            let (place, comes) = &*connected;
            while let Ok(mut stream) = accept() {
                let Ok(twin) = stream.twin() else { continue };
                *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(twin);
                comes.notify_one();
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    if to_guest.send(buffer[..count].to_vec()).is_err() {
                        return;
                    }
                    bell.ring();
                }
                *place.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
        });
        Self { incoming, outgoing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    #[cfg(unix)]
    fn a_socket_that_a_killed_run_has_left_behind_is_replaced_and_no_other() {
        use std::os::unix::net::{UnixListener, UnixStream};
        let folder = std::env::temp_dir().join(format!("nomad86-lines-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("monitor");
        let spec = SerialSpec::Unix { path: path.clone(), server: true };
        let open = || End::open("--monitor", &spec, &Bell::default()).map(drop);
        drop(UnixListener::bind(&path).unwrap());
        assert!(UnixStream::connect(&path).is_err() && path.exists());
        let end = End::open("--monitor", &spec, &Bell::default());
        assert!(end.is_ok() && UnixStream::connect(&path).is_ok());
        // Somebody listens.
        assert!(open().is_err());
        assert!(UnixStream::connect(&path).is_ok());
        // A file that is no socket.
        let path = folder.join("file");
        std::fs::write(&path, "kept").unwrap();
        let spec = SerialSpec::Unix { path: path.clone(), server: true };
        assert!(End::open("--monitor", &spec, &Bell::default()).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn who_connects_next_hears_all_that_is_said_to_him() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let spec = SerialSpec::Tcp { address: format!("127.0.0.1:{port}"), server: true };
        let mut end = End::open("--serial", &spec, &Bell::default()).unwrap();
        for turn in 0..5_u8 {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            stream.write_all(&[turn]).unwrap();
            let begun = Instant::now();
            let mut guest = end.line.clone();
            while nomad86::host::Console::read(&mut guest) != Some(turn) {
                assert!(begun.elapsed() < Duration::from_secs(30));
                end.pump().unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
            nomad86::host::Console::write(&mut guest, turn + 100);
            end.pump().unwrap();
            let mut answer = [0];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [turn + 100]);
        }
    }
}
