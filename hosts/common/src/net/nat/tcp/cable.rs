//! The cable between the TCP engine and the guest.

use super::super::wire::{MTU, Wire};
use super::RESERVE;
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};

/// The cable as smoltcp sees it: one packet in at most, and packets out while there is room.
pub(super) struct Cable<'a> {
    pub(super) packet: Option<&'a [u8]>,
    pub(super) wire: &'a mut Wire,
}

pub(super) struct Rx<'a>(&'a [u8]);

pub(super) struct Tx<'a>(&'a mut Wire);

impl Device for Cable<'_> {
    type RxToken<'t>
        = Rx<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Tx<'t>
    where
        Self: 't;

    fn receive(&mut self, _now: smoltcp::time::Instant) -> Option<(Rx<'_>, Tx<'_>)> {
        let packet = self.packet.take()?;
        Some((Rx(packet), Tx(self.wire)))
    }

    fn transmit(&mut self, _now: smoltcp::time::Instant) -> Option<Tx<'_>> {
        (self.wire.room() > RESERVE).then_some(Tx(self.wire))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

impl RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.0.packet(len, f)
    }
}
