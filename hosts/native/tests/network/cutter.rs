//! A line to a relay that breaks: a proxy for TCP.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Shared {
    lines: Mutex<Vec<TcpStream>>,
    /// Bytes from the relay until the next cut; 0 for none.
    every: AtomicU64,
    left: AtomicU64,
    passed: AtomicU64,
    cuts: AtomicU64,
    stopped: AtomicBool,
}

/// The line.
pub(crate) struct Cutter {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Cutter {
    /// A line to `target`, whole at first.
    pub(crate) fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(target) else { continue };
                let mut lines = own.lines.lock().expect("nobody panicked");
                for (from, to, counts) in [(&near, &far, false), (&far, &near, true)] {
                    let (from, to) = (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
                    let own = Arc::clone(&own);
                    std::thread::spawn(move || own.pass(from, to, counts));
                }
                lines.extend([near, far]);
            }
        });
        Self { address, shared }
    }

    /// Cuts the line each time that so many bytes have come from the relay, `times` times.
    pub(crate) fn cut_every(&self, bytes: u64, times: u64) {
        self.shared.left.store(times, Ordering::SeqCst);
        self.shared.passed.store(0, Ordering::SeqCst);
        self.shared.every.store(bytes, Ordering::SeqCst);
    }

    /// How often it was cut.
    pub(crate) fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// Nothing passes from now on, and nothing breaks.
    pub(crate) fn stop(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn pass(&self, mut from: TcpStream, mut to: TcpStream, counts: bool) {
        let mut buffer = [0; 4096];
        loop {
            while self.stopped.load(Ordering::SeqCst) {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            let Ok(count @ 1..) = from.read(&mut buffer) else { break };
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
            let every = self.every.load(Ordering::SeqCst);
            if counts && every != 0 {
                let passed = self.passed.fetch_add(count as u64, Ordering::SeqCst) + count as u64;
                if passed >= every && self.left.load(Ordering::SeqCst) != 0 {
                    self.left.fetch_sub(1, Ordering::SeqCst);
                    self.passed.store(0, Ordering::SeqCst);
                    self.cuts.fetch_add(1, Ordering::SeqCst);
                    for line in self.lines.lock().expect("nobody panicked").drain(..) {
                        let _ = line.shutdown(Shutdown::Both);
                    }
                }
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
