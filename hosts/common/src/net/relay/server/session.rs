//! One client, from its first byte to its last.

use super::Counters;
use super::config::RelayServerConfig;
use super::http::{self, Verdict};
use super::limit::Bucket;
use crate::net::relay::client::longest;
use crate::net::relay::stream::{Stream, is_pause};
use crate::net::{MIN_FRAME, add, count};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Bytes, Error, Message, WebSocket};

/// Longest message that is read; longer ones end the connection with code 1009.
const LONGEST: usize = 64 * 1024;
/// Bytes that are put together before they are written.
const BATCH: usize = 16 * 1024;
/// Messages that are read before others have their turn.
const BURST: usize = 64;
/// How long a client may take to answer a close frame, or to read an answer.
const FAREWELL: Duration = Duration::from_secs(2);

/// What became of a session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing more to do now.
    Wait,
    /// There may be more to read at once.
    More,
    /// It wants to enter this room.
    Enter(String),
    /// It is over.
    Gone,
}

enum Stage {
    /// A request is read.
    Greeting {
        stream: Stream,
        input: Vec<u8>,
    },
    /// An answer is written; after it the connection is closed, or goes on.
    Answering {
        stream: Stream,
        output: Vec<u8>,
        sent: usize,
        then: Option<(String, Vec<u8>)>,
    },
    /// Frames go both ways.
    Open {
        socket: Box<WebSocket<Stream>>,
    },
    /// It was told to go.
    Closing {
        socket: Box<WebSocket<Stream>>,
    },
    Gone,
}

pub(super) struct Session {
    stage: Stage,
    peer: IpAddr,
    /// On the port that only has metrics.
    private: bool,
    /// When a stage other than `Open` must be over.
    deadline: Instant,
    pub(super) room: Option<u32>,
    queue: VecDeque<Bytes>,
    /// The connection takes no more for now.
    blocked: bool,
    heard: Instant,
    pinged: Instant,
    bytes: Option<Bucket>,
    frames: Option<Bucket>,
    pub(super) dirty: bool,
    pub(super) ready: bool,
}

impl Session {
    pub(super) fn new(
        stream: Stream,
        peer: IpAddr,
        private: bool,
        config: &RelayServerConfig,
        now: Instant,
    ) -> Self {
        Self {
            stage: Stage::Greeting { stream, input: Vec::new() },
            peer,
            private,
            deadline: now + config.patience,
            room: None,
            queue: VecDeque::new(),
            blocked: false,
            heard: now,
            pinged: now,
            bytes: config.limits.bytes.map(|rate| Bucket::new(rate, now)),
            frames: config.limits.frames.map(|rate| Bucket::new(rate, now)),
            dirty: false,
            ready: false,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open { .. })
    }

    pub(super) fn is_gone(&self) -> bool {
        !matches!(self.stage, Stage::Open { .. } | Stage::Closing { .. })
    }

    /// Reads what there is; frames go to `frames`.
    pub(super) fn read(
        &mut self,
        config: &RelayServerConfig,
        counters: &Counters,
        metrics: impl FnOnce() -> String,
        frames: &mut Vec<Bytes>,
        now: Instant,
    ) -> Outcome {
        // Something has changed: perhaps it can be written again.
        self.blocked = false;
        match &mut self.stage {
            Stage::Greeting { .. } => self.greet(config, counters, metrics, now),
            Stage::Answering { .. } => self.answer(),
            Stage::Open { .. } => self.messages(counters, frames, now),
            Stage::Closing { socket } => loop {
                match socket.read() {
                    Ok(_) => {}
                    Err(Error::Io(error)) if is_pause(&error) => return Outcome::Wait,
                    Err(_) => return self.gone(),
                }
            },
            Stage::Gone => Outcome::Gone,
        }
    }

    fn gone(&mut self) -> Outcome {
        self.stage = Stage::Gone;
        Outcome::Gone
    }

    fn greet(
        &mut self,
        config: &RelayServerConfig,
        counters: &Counters,
        metrics: impl FnOnce() -> String,
        now: Instant,
    ) -> Outcome {
        let Stage::Greeting { stream, input } = &mut self.stage else { return Outcome::Wait };
        let mut chunk = [0; 2048];
        let verdict = loop {
            match stream.read(&mut chunk) {
                Ok(0) => return self.gone(),
                Ok(len) => input.extend(&chunk[..len]),
                Err(error) if is_pause(&error) => return Outcome::Wait,
                Err(_) => return self.gone(),
            }
            match http::judge(input, self.peer, config, self.private) {
                Verdict::Partial => {}
                verdict => break verdict,
            }
        };
        let (output, then) = match verdict {
            Verdict::Enter { room, answer, end } => {
                let rest = input.split_off(end.min(input.len()));
                (answer.into_bytes(), Some((room, rest)))
            }
            Verdict::Metrics => (http::metrics(&metrics()).into_bytes(), None),
            Verdict::Answer { answer, .. } => {
                count(&counters.refused);
                (answer.into_bytes(), None)
            }
            Verdict::Partial => return Outcome::Wait,
        };
        self.deadline = now + FAREWELL;
        if let Stage::Greeting { stream, .. } = std::mem::replace(&mut self.stage, Stage::Gone) {
            self.stage = Stage::Answering { stream, output, sent: 0, then };
        }
        self.answer()
    }

    fn answer(&mut self) -> Outcome {
        let Stage::Answering { stream, output, sent, then } = &mut self.stage else { return Outcome::Wait };
        while *sent < output.len() {
            match stream.write(&output[*sent..]) {
                Ok(0) => return self.gone(),
                Ok(len) => *sent += len,
                Err(error) if is_pause(&error) => return Outcome::Wait,
                Err(_) => return self.gone(),
            }
        }
        match stream.flush() {
            Err(error) if is_pause(&error) => return Outcome::Wait,
            Err(_) => return self.gone(),
            Ok(()) => {}
        }
        if let Some((room, _)) = then {
            return Outcome::Enter(room.clone());
        }
        // All is written. Unread bytes would make the system reset the connection before the answer has
        // arrived, so the client closes first, if it does so in time.
        drop(stream.tcp().shutdown(std::net::Shutdown::Write));
        let mut chunk = [0; 2048];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => return self.gone(),
                Ok(_) => {}
                Err(error) if is_pause(&error) => return Outcome::Wait,
                Err(_) => return self.gone(),
            }
        }
    }

    /// It has entered `room`: from now on frames go both ways.
    pub(super) fn enter(&mut self, room: u32, now: Instant) {
        let limits = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .write_buffer_size(BATCH)
            .max_write_buffer_size(4 * LONGEST)
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST));
        match std::mem::replace(&mut self.stage, Stage::Gone) {
            Stage::Answering { stream, then: Some((_, rest)), .. } => {
                let socket = WebSocket::from_partially_read(stream, rest, Role::Server, Some(limits));
                self.stage = Stage::Open { socket: Box::new(socket) };
                self.room = Some(room);
                (self.heard, self.pinged) = (now, now);
            }
            stage => self.stage = stage,
        }
    }

    /// It may not enter. The handshake has been answered already: a close frame says it.
    pub(super) fn turn_away(&mut self, reason: &'static str, now: Instant) {
        self.enter(0, now);
        self.room = None;
        self.close(CloseCode::Again, reason, now);
    }

    fn messages(&mut self, counters: &Counters, frames: &mut Vec<Bytes>, now: Instant) -> Outcome {
        for _ in 0..BURST {
            let Stage::Open { socket } = &mut self.stage else { return Outcome::Wait };
            let message = match socket.read() {
                Ok(message) => message,
                Err(Error::Io(error)) if is_pause(&error) => return Outcome::Wait,
                Err(error) => {
                    let (code, reason) = match &error {
                        Error::Capacity(_) => (CloseCode::Size, "a message is too long"),
                        Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
                            return self.gone();
                        }
                        Error::Protocol(_) => (CloseCode::Protocol, "the protocol was broken"),
                        Error::Utf8(_) => (CloseCode::Invalid, "a text is not UTF-8"),
                        _ => return self.gone(),
                    };
                    count(&counters.broken);
                    self.close(code, reason, now);
                    return Outcome::Wait;
                }
            };
            self.heard = now;
            match message {
                Message::Binary(bytes) => {
                    if self.accept(&bytes, counters, now) {
                        // A copy of its own: the original would keep the whole read buffer alive.
                        frames.push(Bytes::copy_from_slice(&bytes));
                    }
                }
                Message::Text(_) => count(&counters.text),
                Message::Close(_) => {
                    // The answer to it is on its way; the client closes the connection or we do in time.
                    if let Stage::Open { socket } = std::mem::replace(&mut self.stage, Stage::Gone) {
                        self.stage = Stage::Closing { socket };
                        self.deadline = now + FAREWELL;
                    }
                    return Outcome::More;
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        Outcome::More
    }

    /// Whether a message is a frame that may pass.
    fn accept(&mut self, frame: &[u8], counters: &Counters, now: Instant) -> bool {
        count(&counters.frames_in);
        add(&counters.bytes_in, frame.len() as u64);
        let fault = match frame.len() {
            0 => &counters.empty,
            len if len < MIN_FRAME => &counters.short,
            len if len > longest(frame) => &counters.long,
            len => {
                let frames = self.frames.as_mut().is_none_or(|bucket| bucket.take(1, now));
                if frames && self.bytes.as_mut().is_none_or(|bucket| bucket.take(len as u64, now)) {
                    return true;
                }
                &counters.over_limit
            }
        };
        count(fault);
        false
    }

    /// Puts a frame into its queue, which loses its oldest one when it is full.
    pub(super) fn queue(&mut self, frame: Bytes, longest: usize, counters: &Counters) {
        if !self.is_open() {
            return;
        }
        if self.queue.len() >= longest.max(1) {
            self.queue.pop_front();
            count(&counters.displaced);
        }
        self.queue.push_back(frame);
    }

    /// Writes what there is, as far as the connection takes it.
    pub(super) fn write(&mut self, counters: &Counters) -> Outcome {
        let socket = match &mut self.stage {
            Stage::Open { socket } => socket,
            Stage::Closing { socket } => {
                return match socket.flush() {
                    Err(Error::Io(error)) if is_pause(&error) => Outcome::Wait,
                    Err(_) => self.gone(),
                    Ok(()) => Outcome::Wait,
                };
            }
            _ => return Outcome::Wait,
        };
        loop {
            if self.blocked {
                return Outcome::Wait;
            }
            let mut batch = 0;
            while batch < BATCH
                && let Some(frame) = self.queue.pop_front()
            {
                batch += frame.len();
                count(&counters.frames_out);
                add(&counters.bytes_out, frame.len() as u64);
                match socket.write(Message::Binary(frame)) {
                    Ok(()) => {}
                    Err(Error::Io(error)) if is_pause(&error) => {
                        self.blocked = true;
                        break;
                    }
                    Err(_) => return self.gone(),
                }
            }
            match socket.flush() {
                Ok(()) => {}
                Err(Error::Io(error)) if is_pause(&error) => self.blocked = true,
                Err(_) => return self.gone(),
            }
            if self.queue.is_empty() {
                return Outcome::Wait;
            }
        }
    }

    /// Pings, and ends what takes too long.
    pub(super) fn tick(&mut self, config: &RelayServerConfig, counters: &Counters, now: Instant) -> Outcome {
        let Stage::Open { socket } = &mut self.stage else {
            return if now >= self.deadline { self.gone() } else { Outcome::Wait };
        };
        if now.saturating_duration_since(self.heard) >= config.idle {
            count(&counters.timed_out);
            self.close(CloseCode::Away, "nothing was heard of you", now);
            return Outcome::Wait;
        }
        if now.saturating_duration_since(self.pinged) >= config.ping && !self.blocked {
            self.pinged = now;
            count(&counters.pings);
            match socket.write(Message::Ping(Bytes::from_static(b"nomad86"))).and_then(|()| socket.flush()) {
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => self.blocked = true,
                Err(_) => return self.gone(),
                Ok(()) => {}
            }
        }
        Outcome::Wait
    }

    /// Tells the client to go, and why.
    pub(super) fn close(&mut self, code: CloseCode, reason: &'static str, now: Instant) {
        self.queue.clear();
        match std::mem::replace(&mut self.stage, Stage::Gone) {
            Stage::Open { mut socket } => {
                let frame = CloseFrame { code, reason: reason.into() };
                match socket.close(Some(frame)) {
                    Err(Error::Io(error)) if is_pause(&error) => {}
                    Err(_) => return,
                    Ok(()) => {}
                }
                self.stage = Stage::Closing { socket };
                self.deadline = now + FAREWELL;
            }
            Stage::Closing { socket } => self.stage = Stage::Closing { socket },
            _ => {}
        }
    }
}
