//! Hosts that go wrong as they are told to: a wrapper for each trait that a machine asks the world through.
//!
//! A test wraps what works, keeps the handle, and switches faults on and off while the machine runs.
//!
//! | trait | wrapper | what goes wrong |
//! |---|---|---|
//! | `Clock` | [`clock`] | jumps, runs backwards, stands still |
//! | `Display` | [`display`] | is not there |
//! | `Network` | [`network`] | is cut, loses, garbles, hands on what is no frame |
//! | `Disk` | [`Faulty`](crate::disk::Faulty) | bad sectors, full, protected, shrunk, slow |
//! | `Audio` | [`audio`] | odd and changing rates |
//! | `Console` | [`console`] | never stops talking, says nothing |
//! | `Input` | [`input`] | never stops |
//! | `CodeMemory`, `Windows` | [`memory`] | small, refuses |

pub mod memory;

use nomad86::host::{Audio, Clock, Console, Display, Input, InputEvent, Key, Mode, Network, Rect, Surface};
use nomad86::time::Instant;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

/// A switch with a number, shared by a wrapper and its test; 0 is off.
#[derive(Clone, Default, Debug)]
pub struct Switch(Arc<AtomicU32>);

impl Switch {
    /// Sets it.
    pub fn set(&self, number: u32) {
        self.0.store(number, SeqCst);
    }

    /// Its number.
    #[must_use]
    pub fn get(&self) -> u32 {
        self.0.load(SeqCst)
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.get() != 0
    }
}

/// What befalls a clock.
#[derive(Clone, Default, Debug)]
pub struct ClockFaults(Arc<ClockState>);

#[derive(Default, Debug)]
struct ClockState {
    /// Added to monotonic and civil time, in nanoseconds.
    monotonic: AtomicI64,
    civil: AtomicI64,
    stopped: AtomicU32,
    last: AtomicU64,
}

impl ClockFaults {
    /// Both times jump by so many nanoseconds, as after a suspend; backwards as no host should.
    pub fn jump(&self, nanoseconds: i64) {
        self.0.monotonic.fetch_add(nanoseconds, SeqCst);
        self.0.civil.fetch_add(nanoseconds, SeqCst);
    }

    /// Somebody sets the civil time.
    pub fn set_civil(&self, nanoseconds: i64) {
        self.0.civil.fetch_add(nanoseconds, SeqCst);
    }

    /// Monotonic time stands still, or goes on.
    pub fn stop(&self, stopped: bool) {
        self.0.stopped.store(stopped.into(), SeqCst);
    }
}

struct FaultyClock<C>(C, ClockFaults);

impl<C: Clock> Clock for FaultyClock<C> {
    fn now(&mut self) -> Instant {
        let state = &self.1.0;
        if state.stopped.load(SeqCst) == 0 {
            let now = self.0.now().0.saturating_add_signed(state.monotonic.load(SeqCst));
            state.last.store(now, SeqCst);
        }
        Instant(state.last.load(SeqCst))
    }

    fn wall(&mut self) -> i64 {
        self.0.wall().saturating_add(self.1.0.civil.load(SeqCst))
    }
}

/// A clock that goes wrong.
pub fn clock(clock: impl Clock + 'static) -> (Box<dyn Clock>, ClockFaults) {
    let faults = ClockFaults::default();
    (Box::new(FaultyClock(clock, faults.clone())), faults)
}

struct FaultyDisplay<D>(D, Switch);

impl<D: Display> Display for FaultyDisplay<D> {
    fn surface(&mut self, mode: Mode) -> Option<Surface<'_>> {
        if self.1.is_on() { None } else { self.0.surface(mode) }
    }

    fn present(&mut self, mode: Mode, dirty: Rect) {
        self.0.present(mode, dirty);
    }
}

/// A display that is not there while the switch is on.
pub fn display(display: impl Display + 'static) -> (Box<dyn Display>, Switch) {
    let gone = Switch::default();
    (Box::new(FaultyDisplay(display, gone.clone())), gone)
}

/// What befalls a network.
#[derive(Clone, Default, Debug)]
pub struct NetworkFaults {
    /// The cable is out: nothing passes, and the link is down.
    pub cut: Switch,
    /// Of so many frames, one is lost, either way.
    pub lose: Switch,
    /// Of so many received frames, one has a wrong byte.
    pub garble: Switch,
    /// Instead of frames come pieces of 0 to so many bytes.
    pub pieces: Switch,
    count: Arc<AtomicU32>,
}

impl NetworkFaults {
    /// Whether this frame is the one of `every`.
    fn hits(&self, every: &Switch) -> bool {
        every.is_on() && self.count.fetch_add(1, SeqCst) % every.get() == 0
    }
}

struct FaultyNetwork<N>(N, NetworkFaults);

impl<N: Network> Network for FaultyNetwork<N> {
    fn transmit(&mut self, frame: &[u8]) {
        if !self.1.cut.is_on() && !self.1.hits(&self.1.lose) {
            self.0.transmit(frame);
        }
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let faults = &self.1;
        if faults.pieces.is_on() {
            let len = faults.count.fetch_add(1, SeqCst) % (faults.pieces.get() + 1);
            let len = (len as usize).min(buffer.len());
            buffer[..len].fill(0xFF);
            // Now and then there is nothing, or a machine would be busy with nothing else.
            return (len % 8 != 7).then_some(&buffer[..len]);
        }
        let len = self.0.receive(buffer)?.len();
        if faults.cut.is_on() || faults.hits(&faults.lose) {
            return None;
        }
        if faults.hits(&faults.garble) && len != 0 {
            buffer[faults.count.load(SeqCst) as usize % len] ^= 0x10;
        }
        Some(&buffer[..len])
    }

    fn link(&self) -> bool {
        !self.1.cut.is_on() && self.0.link()
    }
}

/// A network that goes wrong.
pub fn network(network: impl Network + 'static) -> (Box<dyn Network>, NetworkFaults) {
    let faults = NetworkFaults::default();
    (Box::new(FaultyNetwork(network, faults.clone())), faults)
}

struct FaultyAudio<A>(A, Switch);

impl<A: Audio> Audio for FaultyAudio<A> {
    fn rate(&self) -> u32 {
        if self.1.is_on() { self.1.get() } else { self.0.rate() }
    }

    fn play(&mut self, frames: &[[i16; 2]]) {
        self.0.play(frames);
    }
}

/// Sound output at the rate that the switch says, while it is on.
pub fn audio(audio: impl Audio + 'static) -> (Box<dyn Audio>, Switch) {
    let rate = Switch::default();
    (Box::new(FaultyAudio(audio, rate.clone())), rate)
}

struct FaultyConsole<C>(C, Switch);

impl<C: Console> Console for FaultyConsole<C> {
    fn write(&mut self, byte: u8) {
        self.0.write(byte);
    }

    fn read(&mut self) -> Option<u8> {
        if self.1.is_on() { Some(self.1.get() as u8) } else { self.0.read() }
    }
}

/// A console that sends the switch's number without end, while it is on.
pub fn console(console: impl Console + 'static) -> (Box<dyn Console>, Switch) {
    let talks = Switch::default();
    (Box::new(FaultyConsole(console, talks.clone())), talks)
}

struct FaultyInput<I>(I, Switch, u32);

impl<I: Input> Input for FaultyInput<I> {
    fn next(&mut self) -> Option<InputEvent> {
        if !self.1.is_on() {
            return self.0.next();
        }
        self.2 = self.2.wrapping_add(1);
        Some(match self.2 % 3 {
            0 => {
                InputEvent::Key { key: Key::ALL[self.2 as usize % Key::ALL.len()], pressed: self.2 % 2 == 0 }
            }
            1 => InputEvent::Mouse { dx: i16::MIN, dy: i16::MAX, wheel: i8::MIN },
            _ => InputEvent::Buttons(self.2 as u8),
        })
    }
}

/// A user who never stops, while the switch is on.
pub fn input(input: impl Input + 'static) -> (Box<dyn Input>, Switch) {
    let busy = Switch::default();
    (Box::new(FaultyInput(input, busy.clone(), 0)), busy)
}

/// What a machine gave away, for tests: bytes of consoles, frames of networks.
#[derive(Clone, Default, Debug)]
pub struct Record(Arc<Mutex<Vec<u8>>>);

impl Record {
    /// All bytes so far.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Console for Record {
    fn write(&mut self, byte: u8) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(byte);
    }

    fn read(&mut self) -> Option<u8> {
        None
    }
}
