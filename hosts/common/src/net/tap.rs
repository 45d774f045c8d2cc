//! A TAP device of the host: the machine's card on a real network.
//!
//! The device belongs to whoever runs the machine: either it exists already with that owner
//! (`ip tuntap add dev tap0 mode tap user NAME`), or the process has the right CAP_NET_ADMIN. Addresses, bridges
//! and routes are the administrator's affair.
//!
//! Not emulated: offloads (TSO, checksums), several queues.

use super::bell::Bell;
use super::open::Meter;
use super::queue::FrameQueue;
use super::{count, counters};
use nomad86::host::Network;
use std::io;
use std::sync::Arc;

/// Frames that wait in each direction.
const QUEUE: usize = 512;

counters! {
    /// What a TAP device has carried.
    Counters => TapStats {
        /// Frames from the machine.
        frames_out,
        /// Frames to the machine.
        frames_in,
        /// Frames that could not be written or read whole, or found no room.
        dropped,
    }
}

/// A TAP device, as the machine's card sees it; dropping it closes it.
#[derive(Debug)]
pub struct Tap {
    inbox: FrameQueue,
    outbox: FrameQueue,
    name: String,
    counters: Arc<Counters>,
    _pump: linux::Pump,
}

impl Tap {
    /// Opens the device `name`, or a new one whose name the system chooses. The `bell` rings when frames come.
    ///
    /// # Errors
    /// Names the right that is missing, and the device that is in use.
    pub fn open(name: Option<&str>, bell: Bell) -> io::Result<Self> {
        let counters = Arc::new(Counters::default());
        let inbox = FrameQueue::new(QUEUE, bell);
        let (pump, outbox, name) = linux::Pump::start(name, inbox.clone(), Arc::clone(&counters))?;
        Ok(Self { inbox, outbox, name, counters, _pump: pump })
    }

    /// The device's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its counters, to be read while somebody else has it.
    #[must_use]
    pub fn meter(&self) -> Meter {
        let (counters, inbox, outbox) = (Arc::clone(&self.counters), self.inbox.clone(), self.outbox.clone());
        Meter::new("tap", move || {
            let mut stats = counters.read();
            stats.dropped += inbox.dropped() + outbox.dropped();
            stats.entries()
        })
    }

    /// What it has carried.
    #[must_use]
    pub fn stats(&self) -> TapStats {
        let mut stats = self.counters.read();
        stats.dropped += self.inbox.dropped() + self.outbox.dropped();
        stats
    }
}

impl Network for Tap {
    fn transmit(&mut self, frame: &[u8]) {
        self.outbox.push(frame);
    }

    fn gather(&mut self, frame: &[u8]) {
        self.outbox.gather(frame);
    }

    fn flush(&mut self) {
        self.outbox.flush();
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        self.inbox.pop(buffer)
    }
}

#[cfg(not(target_os = "linux"))]
mod linux {
    use super::*;

    /// Nothing: there are no TAP devices here.
    #[derive(Debug)]
    pub(super) struct Pump;

    impl Pump {
        pub(super) fn start(
            _name: Option<&str>,
            _inbox: FrameQueue,
            _counters: Arc<Counters>,
        ) -> io::Result<(Self, FrameQueue, String)> {
            let text = "TAP devices need Linux; use a user-mode network or a relay instead";
            Err(io::Error::new(io::ErrorKind::Unsupported, text))
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use crate::net::MAX_FRAME;
    use mio::unix::SourceFd;
    use mio::{Events, Interest, Poll, Token, Waker};
    use std::fs::{File, OpenOptions};
    use std::io::{ErrorKind, Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::JoinHandle;

    const DEVICE: &str = "/dev/net/tun";
    const WAKER: Token = Token(0);
    const FILE: Token = Token(1);
    /// Frames that go one way before the other has its turn.
    const BURST: usize = 256;

    /// The thread between the device and the queues.
    #[derive(Debug)]
    pub(super) struct Pump {
        stop: Arc<AtomicBool>,
        waker: Arc<Waker>,
        thread: Option<JoinHandle<()>>,
    }

    impl Pump {
        pub(super) fn start(
            name: Option<&str>,
            inbox: FrameQueue,
            counters: Arc<Counters>,
        ) -> io::Result<(Self, FrameQueue, String)> {
            let mut options = OpenOptions::new();
            let file =
                options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(DEVICE);
            let file = file.map_err(|error| explain(&error, name))?;
            let name = attach::attach(&file, name.unwrap_or("")).map_err(|error| explain(&error, name))?;
            let poll = Poll::new()?;
            let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
            let interests = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut SourceFd(&file.as_raw_fd()), FILE, interests)?;
            let outbox = FrameQueue::new(QUEUE, Bell::waker(Arc::clone(&waker)));
            let stop = Arc::new(AtomicBool::new(false));
            let worker =
                Worker { file, poll, inbox, outbox: outbox.clone(), counters, stop: Arc::clone(&stop) };
            let thread = std::thread::Builder::new().name("tap".into()).spawn(move || worker.run())?;
            Ok((Self { stop, waker, thread: Some(thread) }, outbox, name))
        }
    }

    impl Drop for Pump {
        fn drop(&mut self) {
            self.stop.store(true, Ordering::Release);
            drop(self.waker.wake());
            if let Some(thread) = self.thread.take() {
                drop(thread.join());
            }
        }
    }

    struct Worker {
        file: File,
        poll: Poll,
        inbox: FrameQueue,
        outbox: FrameQueue,
        counters: Arc<Counters>,
        stop: Arc<AtomicBool>,
    }

    impl Worker {
        fn run(mut self) {
            let mut events = Events::with_capacity(4);
            let mut more = false;
            while !self.stop.load(Ordering::Acquire) {
                let wait = more.then_some(std::time::Duration::ZERO);
                if let Err(error) = self.poll.poll(&mut events, wait)
                    && error.kind() != ErrorKind::Interrupted
                {
                    return;
                }
                more = self.read();
                more |= self.write();
            }
        }

        /// Whether there may be more.
        fn read(&mut self) -> bool {
            // One byte more than fits, so that what is too long is seen to be.
            let mut buffer = [0; MAX_FRAME + 1];
            for _ in 0..BURST {
                match self.file.read(&mut buffer) {
                    Ok(len) if len <= MAX_FRAME => {
                        // Before it goes in: who has it finds it counted. What finds no room is counted there.
                        count(&self.counters.frames_in);
                        self.inbox.push(&buffer[..len]);
                    }
                    Ok(_) => count(&self.counters.dropped),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => return false,
                }
            }
            true
        }

        fn write(&mut self) -> bool {
            let mut buffer = [0; MAX_FRAME];
            for _ in 0..BURST {
                let Some(frame) = self.outbox.pop(&mut buffer) else { return false };
                // A device that is full, or down, loses frames, as a wire does.
                let counters = &self.counters;
                count(if self.file.write(frame).is_ok() { &counters.frames_out } else { &counters.dropped });
            }
            true
        }
    }

    /// What is missing, and how it is had.
    pub(super) fn explain(error: &io::Error, name: Option<&str>) -> io::Error {
        let device = name.unwrap_or("tap0");
        let text = match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => {
                format!("{DEVICE} is missing: load the kernel module (modprobe tun), or use --nic user")
            }
            Some(libc::EACCES) => {
                format!(
                    "{DEVICE} may not be opened: it must be readable and writable for you, or use --nic user"
                )
            }
            Some(libc::EPERM) => format!(
                "the device {device} needs the right CAP_NET_ADMIN, or to be made for you beforehand: \
                 ip tuntap add dev {device} mode tap user \"$USER\"; or use --nic user"
            ),
            Some(libc::EBUSY) => {
                format!("the device {device} is in use by another program; choose another ifname=")
            }
            Some(libc::EINVAL) => {
                format!("{device} exists already and is no TAP device; choose another ifname=")
            }
            _ => format!("the device {device} cannot be used: {error}"),
        };
        io::Error::new(error.kind(), text)
    }

    /// The one request to the kernel that has no safe form.
    mod attach {
        #![expect(unsafe_code, reason = "TUNSETIFF has no safe interface")]

        use std::fs::File;
        use std::io;
        use std::os::fd::AsRawFd;

        /// Makes `file` the device `name` (or a new one), without packet information; gives its name.
        pub(in super::super) fn attach(file: &File, name: &str) -> io::Result<String> {
            if name.len() >= libc::IFNAMSIZ || name.contains('\0') {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "the device's name is too long"));
            }
            // SAFETY: `ifreq` is plain data, for which all zeros is a value.
            let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
            for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
                *to = from as libc::c_char;
            }
            request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
            // SAFETY: the descriptor is open, and TUNSETIFF reads and writes one `ifreq`, which lives here.
            let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) };
            if result < 0 {
                return Err(io::Error::last_os_error());
            }
            let bytes = request.ifr_name.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0);
            Ok(bytes.map(char::from).collect())
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::Command;
    use std::time::{Duration, Instant};

    #[test]
    fn case_84_what_is_missing_is_named() {
        for (code, expected) in [
            (libc::ENOENT, "/dev/net/tun is missing"),
            (libc::EACCES, "may not be opened"),
            (libc::EPERM, "CAP_NET_ADMIN"),
            (libc::EBUSY, "in use by another program"),
            (libc::EINVAL, "no TAP device"),
        ] {
            let text = linux::explain(&io::Error::from_raw_os_error(code), Some("tap7")).to_string();
            assert!(text.contains(expected), "{text}");
        }
        let error = Tap::open(Some("a-name-that-is-too-long"), Bell::default()).unwrap_err();
        assert!(!error.to_string().is_empty());
    }

    /// Needs the right to make devices, and a kernel with them: skipped without.
    #[test]
    fn the_host_answers_an_arp_request_that_comes_through_a_tap_device() {
        let mut tap = match Tap::open(None, Bell::default()) {
            Ok(tap) => tap,
            Err(error) => return eprintln!("skipped: {error}"),
        };
        let name = tap.name().to_owned();
        let up = Command::new("ip")
            .args(["addr", "add", "198.51.100.1/24", "dev", &name])
            .status()
            .is_ok_and(|s| s.success())
            && Command::new("ip").args(["link", "set", &name, "up"]).status().is_ok_and(|s| s.success());
        if !up {
            return eprintln!("skipped: the device cannot be configured");
        }
        let mut request = [[0xFF; 6], [2, 0, 0, 0, 0, 1]].concat();
        request.extend([
            8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 198, 51, 100, 2, 0, 0, 0, 0, 0, 0, 198, 51, 100,
            1,
        ]);
        request.resize(60, 0);
        let mut buffer = [0; 1600];
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            assert!(Instant::now() < end, "no answer");
            tap.transmit(&request);
            std::thread::sleep(Duration::from_millis(20));
            let mut answered = false;
            while let Some(frame) = tap.receive(&mut buffer) {
                answered |= frame[..6] == [2, 0, 0, 0, 0, 1] && frame[12..14] == [8, 6] && frame[21] == 2;
            }
            if answered {
                break;
            }
        }
        // The same device again is busy.
        let error = Tap::open(Some(&name), Bell::default()).unwrap_err();
        assert!(error.to_string().contains("in use"), "{error}");
        assert!(tap.stats().frames_out >= 1);
    }
}
