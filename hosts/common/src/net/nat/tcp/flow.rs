//! The bytes of one connection, from the guest to the host and back.

use super::super::gateway::Gateway;
use super::{BUFFER, Flow};
use crate::net::add;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Bytes have moved; there may be more.
    Moved,
    /// Nothing more can be done now.
    Idle,
    /// Both sides have ended it.
    Over,
    /// One side has broken it.
    Broken,
}

pub(super) fn new_socket() -> Socket<'static> {
    let mut socket = Socket::new(SocketBuffer::new(vec![0; BUFFER]), SocketBuffer::new(vec![0; BUFFER]));
    // The host's side has gathered the bytes already, or has a reason not to.
    socket.set_nagle_enabled(false);
    // Cables lose frames when a guest's card, or a relay, cannot follow.
    socket.set_congestion_control(CongestionControl::Reno);
    socket
}

impl Flow {
    pub(super) fn move_bytes(&mut self, handle: SocketHandle, gateway: &Gateway) -> Verdict {
        let socket = self.sockets.get_mut::<Socket<'_>>(handle);
        let mut moved = false;

        // From the guest to the host.
        while self.writable && socket.can_recv() {
            let stream = &mut self.stream;
            let result = socket.recv(|bytes| match stream.write(bytes) {
                Ok(len) => (len, Ok(len)),
                Err(error) => (0, Err(error)),
            });
            match result {
                Ok(Ok(len)) => {
                    moved = true;
                    add(&gateway.counters.tcp_bytes_out, len as u64);
                }
                Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(Err(_)) => return Verdict::Broken,
                Err(_) => break,
            }
        }
        let state = socket.state();
        let finished = matches!(state, State::CloseWait | State::Closing | State::LastAck | State::TimeWait);
        if finished && !self.guest_done && !socket.can_recv() {
            self.guest_done = true;
            drop(self.stream.shutdown(Shutdown::Write));
        }

        // From the host to the guest.
        while self.readable && !self.host_done && socket.can_send() {
            let stream = &mut self.stream;
            let result = socket.send(|room| match stream.read(room) {
                Ok(len) => (len, Ok(len)),
                Err(error) => (0, Err(error)),
            });
            match result {
                Ok(Ok(0)) => {
                    self.host_done = true;
                    socket.close();
                    moved = true;
                }
                Ok(Ok(len)) => {
                    moved = true;
                    add(&gateway.counters.tcp_bytes_in, len as u64);
                }
                Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(Err(_)) => return Verdict::Broken,
                Err(_) => break,
            }
        }

        match socket.state() {
            State::Closed if self.host_done && self.guest_done => Verdict::Over,
            // A reset of the guest, or one of its connections that was never made.
            State::Closed => Verdict::Broken,
            _ if moved => Verdict::Moved,
            _ => Verdict::Idle,
        }
    }
}
