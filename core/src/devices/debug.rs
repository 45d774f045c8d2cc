//! Ports for test programs and firmware: isa-debug-exit, the debug console and a POST-code port.
//!
//! Spec: QEMU's isa-debug-exit and isa-debugcon; the debug console reads as E9h so that firmware finds it.
//! Not emulated: nothing.

use super::{Bus, Device, DeviceId};
use crate::archive::Archive;
use crate::board::{Request, Width};
use crate::config::{Config, DebugExit};
use crate::time::Timer;

/// The debug ports.
pub struct Debug {
    exit: Option<DebugExit>,
    console: Option<u16>,
    post: Option<u16>,
    /// The last POST code.
    pub post_code: u32,
}

impl Device for Debug {
    const TAG: [u8; 4] = *b"DBUG";
    const WIDEST: Width = Width::Dword;

    fn new(config: &Config) -> Self {
        Self { exit: config.debug_exit, console: config.debug_port, post: config.post_port, post_code: 0 }
    }

    fn reset(&mut self, bus: &mut Bus<'_>) {
        if let Some(DebugExit { base, size }) = self.exit {
            bus.board.io.claim(base..=base.saturating_add(size.max(1) - 1), DeviceId::Debug);
        }
        for port in [self.console, self.post].into_iter().flatten() {
            bus.board.io.claim(port..=port, DeviceId::Debug);
        }
    }

    fn read(&mut self, port: u16, width: Width, _bus: &mut Bus<'_>) -> u32 {
        if Some(port) == self.console {
            return 0xE9;
        }
        if Some(port) == self.post {
            return self.post_code & width.ones();
        }
        0
    }

    fn write(&mut self, port: u16, width: Width, value: u32, bus: &mut Bus<'_>) {
        if Some(port) == self.console {
            super::bytes_write(width, value, |_, byte| bus.host.debug.write(byte));
        } else if Some(port) == self.post {
            self.post_code = value;
            super::bytes_write(width, value, |_, byte| bus.host.post.write(byte));
        } else if self.exit.is_some_and(|e| port.wrapping_sub(e.base) < e.size) {
            bus.board.ask(Request::Exit(value));
        }
    }

    fn expire(&mut self, _timer: Timer, _bus: &mut Bus<'_>) {}

    fn archive(&mut self, a: &mut Archive<'_>) {
        a.field(&mut self.post_code);
    }
}
