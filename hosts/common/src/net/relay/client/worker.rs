//! The thread that keeps the connection.

use super::*;

/// The addresses that the machine has spoken with lately: frames from them are our own, come back.
pub(super) struct OwnAddresses {
    pub(super) fixed: Option<Mac>,
    pub(super) recent: VecDeque<(Mac, Instant)>,
}

impl OwnAddresses {
    const KEPT: usize = 4;
    const FRESH: Duration = Duration::from_secs(60);

    fn spoke(&mut self, mac: Mac, now: Instant) {
        self.recent.retain(|(known, _)| *known != mac);
        self.recent.truncate(Self::KEPT - 1);
        self.recent.push_front((mac, now));
    }

    fn contains(&self, mac: Mac, now: Instant) -> bool {
        let fresh = |at: Instant| now.saturating_duration_since(at) < Self::FRESH;
        self.fixed == Some(mac)
            || self.recent.front().is_some_and(|(last, _)| *last == mac)
            || self.recent.iter().any(|(known, at)| *known == mac && fresh(*at))
    }

    fn current(&self) -> Option<Mac> {
        self.recent.front().map(|(mac, _)| *mac).or(self.fixed)
    }
}

pub(super) enum State {
    Waiting { until: Instant },
    Connecting { stream: TcpStream, rest: Vec<SocketAddr>, until: Instant, deadline: Instant },
    Handshake { stream: Stream, handshake: Handshake, deadline: Instant },
    Open(Box<Open>),
}

/// A connection that carries frames.
pub(super) struct Open {
    socket: WebSocket<Stream>,
    since: Instant,
    /// Something is still to be pushed out.
    blocked: bool,
    next_ping: Instant,
    /// Pings without an answer.
    unanswered: u32,
    pong: Instant,
    /// When the first frame was sent since the last one came.
    asked: Option<Instant>,
    heard: bool,
}

pub(super) struct Worker {
    pub(super) config: RelayConfig,
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) poll: Poll,
    pub(super) inbox: FrameQueue,
    pub(super) outbox: FrameQueue,
    pub(super) shared: Arc<Shared>,
    pub(super) backoff: Backoff,
    pub(super) state: State,
    pub(super) own: OwnAddresses,
    /// How long silence is borne; longer each time that a new connection did not help.
    pub(super) patience: Duration,
}

impl Worker {
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(8);
        let mut more = false;
        while !self.shared.stop.load(Ordering::Acquire) {
            let now = Instant::now();
            let wait = if more {
                Some(Duration::ZERO)
            } else {
                self.deadline().map(|at| at.saturating_duration_since(now))
            };
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != ErrorKind::Interrupted
            {
                return;
            }
            more = self.step();
        }
        if let State::Open(open) = &mut self.state {
            let reason = CloseFrame { code: CloseCode::Away, reason: "".into() };
            drop(open.socket.close(Some(reason)));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { until } => Some(*until),
            State::Connecting { until: deadline, .. } | State::Handshake { deadline, .. } => Some(*deadline),
            State::Open(open) => {
                let silence = open.asked.map(|asked| asked + self.patience).filter(|at| *at > Instant::now());
                Some(silence.map_or(open.next_ping, |at| at.min(open.next_ping)))
            }
        }
    }

    /// Does what can be done now; whether there is more.
    fn step(&mut self) -> bool {
        let now = Instant::now();
        match std::mem::replace(&mut self.state, State::Waiting { until: now }) {
            State::Waiting { until } if now < until => self.state = State::Waiting { until },
            State::Waiting { .. } => return self.connect(),
            State::Connecting { stream, rest, until, deadline } => {
                self.connecting(stream, rest, until, deadline)
            }
            State::Handshake { stream, handshake, deadline } => self.handshake(stream, handshake, deadline),
            State::Open(mut open) => match self.exchange(&mut open) {
                Ok(more) => {
                    self.state = State::Open(open);
                    return more;
                }
                Err(reason) => self.lost(&mut open, &reason),
            },
        }
        // A new state may have something to do at once.
        matches!(self.state, State::Open(_))
    }

    fn set_error(&self, error: Option<String>) {
        *self.shared.error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    fn fail(&mut self, error: &io::Error) {
        count(&self.shared.counters.failed);
        self.set_error(Some(format!("{}: {}", self.config.url, explain(error))));
        self.state = State::Waiting { until: Instant::now() + self.backoff.pause() };
    }

    fn connect(&mut self) -> bool {
        let deadline = Instant::now() + self.config.patience;
        // This may take long; frames meanwhile push each other out of the queue.
        match (self.config.url.host.as_str(), self.config.url.port).to_socket_addrs() {
            Ok(addresses) => self.try_next(addresses.collect(), deadline, None),
            Err(_) => {
                let text = format!("the name {} is not known; correct it", self.config.url.host);
                self.fail(&io::Error::new(ErrorKind::NotFound, text));
            }
        }
        false
    }

    /// Tries the first of the addresses that can be tried.
    fn try_next(&mut self, mut rest: Vec<SocketAddr>, deadline: Instant, mut last: Option<io::Error>) {
        while !rest.is_empty() {
            let address = rest.remove(0);
            let stream = TcpStream::connect(address).and_then(|mut stream| {
                let interests = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut stream, STREAM, interests)?;
                Ok(stream)
            });
            match stream {
                Ok(stream) => {
                    // An address that does not answer leaves time for the others.
                    let share = if rest.is_empty() { deadline } else { deadline.min(Instant::now() + SHARE) };
                    self.state = State::Connecting { stream, rest, until: share, deadline };
                    return;
                }
                Err(error) => last = Some(error),
            }
        }
        let none = || io::Error::new(ErrorKind::NotFound, "the name has no address");
        self.fail(&last.unwrap_or_else(none));
    }

    fn connecting(&mut self, stream: TcpStream, rest: Vec<SocketAddr>, until: Instant, deadline: Instant) {
        let state = match stream.take_error() {
            Ok(Some(error)) | Err(error) => Err(error),
            Ok(None) => match stream.peer_addr() {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
                Err(error) => Err(error),
            },
        };
        match state {
            Ok(true) => {}
            Ok(false) if Instant::now() < until => {
                self.state = State::Connecting { stream, rest, until, deadline };
                return;
            }
            Ok(false) => return self.try_next(rest, deadline, Some(ErrorKind::TimedOut.into())),
            Err(error) => return self.try_next(rest, deadline, Some(error)),
        }
        tune(&stream);
        let stream = match self.tls(stream) {
            Ok(stream) => stream,
            Err(error) => return self.fail(&error),
        };
        let handshake = Handshake::new(&self.config.url, self.config.token.as_deref());
        self.handshake(stream, handshake, deadline);
    }

    fn tls(&self, stream: TcpStream) -> io::Result<Stream> {
        let Some(config) = &self.tls else { return Ok(Stream::Plain(stream)) };
        let name = rustls::pki_types::ServerName::try_from(self.config.url.host.clone())
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let connection = rustls::ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Stream::Client(Box::new(rustls::StreamOwned::new(connection, stream))))
    }

    fn handshake(&mut self, mut stream: Stream, mut handshake: Handshake, deadline: Instant) {
        match handshake.proceed(&mut stream) {
            Ok(Some(rest)) => self.open(stream, rest),
            Ok(None) if Instant::now() >= deadline => {
                self.fail(&io::Error::new(ErrorKind::TimedOut, "no answer to the handshake"));
            }
            Ok(None) => self.state = State::Handshake { stream, handshake, deadline },
            Err(error) => self.fail(&error),
        }
    }

    fn open(&mut self, stream: Stream, rest: Vec<u8>) {
        let limits = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .write_buffer_size(16 * 1024)
            .max_write_buffer_size(256 * 1024)
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST));
        let socket = WebSocket::from_partially_read(stream, rest, Role::Client, Some(limits));
        let now = Instant::now();
        let mut open = Box::new(Open {
            socket,
            since: now,
            blocked: false,
            next_ping: now + self.config.ping,
            unanswered: 0,
            pong: now,
            asked: None,
            heard: false,
        });
        count(&self.shared.counters.connected);
        self.set_error(None);
        let stale = self.outbox.drop_older_than(self.config.stale);
        add(&self.shared.counters.dropped_stale, stale);
        // Relays learn an address from its first frame, some from no later one.
        if let Some(mac) = self.own.current() {
            self.write(&mut open, announcement(mac));
        }
        self.shared.open.store(true, Ordering::Relaxed);
        self.state = State::Open(open);
    }

    fn lost(&mut self, open: &mut Open, reason: &Error) {
        count(&self.shared.counters.lost);
        self.shared.open.store(false, Ordering::Relaxed);
        let code = match reason {
            Error::Capacity(_) => Some(CloseCode::Size),
            Error::Utf8(_) => Some(CloseCode::Invalid),
            Error::Protocol(_) => Some(CloseCode::Protocol),
            _ => None,
        };
        if let Some(code) = code {
            // Tell it what it did wrong, if it still listens.
            drop(open.socket.close(Some(CloseFrame { code, reason: "".into() })));
        }
        if open.heard || open.since.elapsed() >= Duration::from_secs(5) {
            self.backoff.reset();
        }
        self.set_error(Some(format!(
            "{}: the connection was lost: {}",
            self.config.url,
            explain_close(reason)
        )));
        self.state = State::Waiting { until: Instant::now() + self.backoff.pause() };
    }

    /// Reads, pings and writes; whether there is more to do at once.
    fn exchange(&mut self, open: &mut Open) -> Result<bool, Error> {
        let mut more = true;
        for _ in 0..BURST {
            match open.socket.read() {
                Ok(Message::Close(frame)) => {
                    // Answer it; nothing can follow.
                    drop(open.socket.flush());
                    let why =
                        frame.map_or_else(String::new, |frame| format!(" ({} {})", frame.code, frame.reason));
                    let text = format!("the relay closed it{}", why.trim_end());
                    return Err(Error::Io(io::Error::new(ErrorKind::ConnectionAborted, text)));
                }
                Ok(message) => self.message(open, message),
                Err(Error::Io(error)) if is_pause(&error) => {
                    more = false;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        self.keep_alive(open)?;
        if open.blocked && !self.flush(open)? {
            return Ok(more);
        }
        loop {
            let mut batch = 0;
            while batch < BATCH && !open.blocked {
                let Some(frame) = self.outbox.take(|frame, _| Some(frame.to_vec())) else { break };
                let now = Instant::now();
                if let Some(mac) = Mac::source(&frame).filter(|mac| mac.is_station()) {
                    self.own.spoke(mac, now);
                }
                open.asked.get_or_insert(now);
                self.write(open, frame);
                batch += 1;
            }
            if batch == 0 && !open.blocked {
                self.flush(open)?;
                return Ok(more);
            }
            if !self.flush(open)? {
                return Ok(more);
            }
        }
    }

    /// Hands a frame to the connection; errors show when it is pushed out.
    fn write(&mut self, open: &mut Open, frame: Vec<u8>) {
        let len = frame.len() as u64;
        match open.socket.write(Message::Binary(frame.into())) {
            Ok(()) => {}
            Err(Error::Io(error)) if is_pause(&error) => open.blocked = true,
            Err(_) => return,
        }
        count(&self.shared.counters.frames_out);
        add(&self.shared.counters.bytes_out, len);
    }

    /// Whether all is out.
    fn flush(&mut self, open: &mut Open) -> Result<bool, Error> {
        match open.socket.flush() {
            Ok(()) => open.blocked = false,
            Err(Error::Io(error)) if is_pause(&error) => open.blocked = true,
            Err(error) => return Err(error),
        }
        Ok(!open.blocked)
    }

    fn keep_alive(&mut self, open: &mut Open) -> Result<(), Error> {
        let now = Instant::now();
        if let Some(asked) = open.asked.filter(|asked| now >= *asked + self.patience) {
            if open.pong > asked {
                // It lives, but has forgotten us; if a new connection does not help either, try it less often.
                self.patience = (self.patience * 2).min(Duration::from_secs(300).max(self.config.silence));
                let text = "the relay sends nothing but pongs";
                return Err(Error::Io(io::Error::new(ErrorKind::TimedOut, text)));
            }
            if open.unanswered == 0 {
                self.ping(open, now);
            }
        }
        if now < open.next_ping {
            return Ok(());
        }
        if open.unanswered >= 2 {
            return Err(Error::Io(io::Error::new(ErrorKind::TimedOut, "two pings without an answer")));
        }
        self.ping(open, now);
        Ok(())
    }

    fn ping(&mut self, open: &mut Open, now: Instant) {
        count(&self.shared.counters.pings);
        open.unanswered += 1;
        open.next_ping = now + self.config.ping;
        match open.socket.write(Message::Ping(b"nomad86".as_slice().into())) {
            Err(Error::Io(error)) if is_pause(&error) => open.blocked = true,
            // Others show when it is pushed out.
            _ => open.blocked |= open.socket.flush().is_err(),
        }
    }

    fn message(&mut self, open: &mut Open, message: Message) {
        let counters = &self.shared.counters;
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(_) => return count(&counters.text),
            Message::Pong(_) => {
                count(&counters.pongs);
                open.unanswered = 0;
                open.pong = Instant::now();
                return;
            }
            Message::Ping(_) | Message::Close(_) | Message::Frame(_) => return,
        };
        let counter = match bytes.len() {
            0 => &counters.empty,
            len if len < MIN_FRAME => &counters.short,
            len if len > longest(&bytes) => &counters.oversize,
            _ => {
                let source = Mac::source(&bytes).unwrap_or_default();
                if self.own.contains(source, Instant::now()) {
                    return count(&counters.reflected);
                }
                open.asked = None;
                open.heard = true;
                self.patience = self.config.silence;
                return self.deliver(&bytes);
            }
        };
        count(counter);
    }

    fn deliver(&self, frame: &[u8]) {
        let counters = &self.shared.counters;
        // Before it goes in: who has it finds it counted.
        count(&counters.frames_in);
        add(&counters.bytes_in, frame.len() as u64);
        let put = if frame.len() < 60 {
            count(&counters.padded);
            let mut padded = [0; 60];
            padded[..frame.len()].copy_from_slice(frame);
            self.inbox.push(&padded)
        } else {
            self.inbox.push(frame)
        };
        if put == Put::Displaced {
            count(&counters.dropped_inbox);
        }
    }
}

/// A frame that says where `mac` is and asks nothing of anybody: a reverse ARP request, as hypervisors send
/// after a machine has moved.
fn announcement(mac: Mac) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..6].fill(0xFF);
    frame[6..12].copy_from_slice(&mac.0);
    frame[12..22].copy_from_slice(&[0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3]);
    frame[22..28].copy_from_slice(&mac.0);
    frame[32..38].copy_from_slice(&mac.0);
    frame
}

/// What an error means to somebody who wants to be connected.
fn explain(error: &io::Error) -> String {
    use rustls::CertificateError as Bad;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(bad)) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => "its certificate has expired".into(),
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "its certificate is for another name".into()
            }
            Bad::UnknownIssuer | Bad::BadSignature => {
                "its certificate is signed by nobody who is trusted; name its root with ca=".into()
            }
            bad => format!("its certificate is no good: {bad}"),
        },
        Some(tls) => format!("TLS failed: {tls}"),
        // Errors that we made ourselves say all; the system's have a number and need a remedy.
        None if error.get_ref().is_some_and(|_| error.raw_os_error().is_none()) => error.to_string(),
        None => match error.kind() {
            ErrorKind::ConnectionRefused => {
                "nobody listens there; start the relay (nomad86 relay) or correct the address".into()
            }
            ErrorKind::TimedOut => "it does not answer; is the address right, and open in firewalls?".into(),
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => {
                "there is no way to it; is the host's network up?".into()
            }
            _ => error.to_string(),
        },
    }
}

fn explain_close(error: &Error) -> String {
    match error {
        Error::ConnectionClosed => "the relay closed it".into(),
        Error::Io(error) => explain(error),
        other => other.to_string(),
    }
}
