//! Real peers: smoltcp is the guest, the host's own sockets are the world.

mod ipxe;
mod names;
mod odd;
mod pings;
mod tcp;
mod udp;

use super::*;
use crate::net::Mac;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::dhcpv4;
use smoltcp::time::Instant as SmolInstant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, Ipv4Cidr};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// For what happens at once unless the host is very busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
pub(crate) const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

/// A card that the guest's driver (smoltcp) uses.
pub(crate) struct Card<N> {
    pub(crate) network: N,
    /// Frames in both directions, when asked for.
    pub(crate) seen: Option<Vec<Vec<u8>>>,
}

pub(crate) struct Rx(Vec<u8>);
pub(crate) struct Tx<'a, N>(&'a mut Card<N>);

impl<N: Network> Device for Card<N> {
    type RxToken<'t>
        = Rx
    where
        N: 't;
    type TxToken<'t>
        = Tx<'t, N>
    where
        N: 't;

    fn receive(&mut self, _: SmolInstant) -> Option<(Rx, Tx<'_, N>)> {
        let mut buffer = [0; 1522];
        let frame = self.network.receive(&mut buffer)?.to_vec();
        if let Some(seen) = &mut self.seen {
            seen.push(frame.clone());
        }
        Some((Rx(frame), Tx(self)))
    }

    fn transmit(&mut self, _: SmolInstant) -> Option<Tx<'_, N>> {
        Some(Tx(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl<N: Network> TxToken for Tx<'_, N> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        if let Some(seen) = &mut self.0.seen {
            seen.push(frame.clone());
        }
        self.0.network.transmit(&frame);
        result
    }
}

/// A guest with a network card and a TCP/IP stack.
pub(crate) struct Guest<N> {
    pub(crate) card: Card<N>,
    pub(crate) interface: Interface,
    pub(crate) sockets: SocketSet<'static>,
    start: Instant,
}

impl<N: Network> Guest<N> {
    /// A guest that has no address yet.
    pub(crate) fn new(network: N, mac: Mac) -> Self {
        let mut card = Card { network, seen: None };
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac.0)));
        config.random_seed = 7;
        let interface = Interface::new(config, &mut card, SmolInstant::ZERO);
        Self { card, interface, sockets: SocketSet::new(Vec::new()), start: Instant::now() }
    }

    pub(crate) fn set_address(&mut self, address: IpAddr, prefix: u8, router: IpAddr) {
        self.interface.update_ip_addrs(|list| list.push(IpCidr::new(address.into(), prefix)).unwrap());
        match router {
            IpAddr::V4(router) => drop(self.interface.routes_mut().add_default_ipv4_route(router).unwrap()),
            IpAddr::V6(router) => drop(self.interface.routes_mut().add_default_ipv6_route(router).unwrap()),
        }
    }

    pub(crate) fn poll(&mut self) {
        let now = SmolInstant::from_micros(self.start.elapsed().as_micros() as i64);
        self.interface.poll(now, &mut self.card, &mut self.sockets);
    }

    /// Lets time pass until something is true.
    pub(crate) fn wait<T>(&mut self, what: &str, mut check: impl FnMut(&mut Self) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            self.poll();
            if let Some(found) = check(self) {
                return found;
            }
            assert!(Instant::now() < end, "{what}: it never happened");
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// What something on the host gives that waits for the guest, which goes on meanwhile.
    pub(crate) fn beside<T: Send>(&mut self, other: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let other = scope.spawn(other);
            while !other.is_finished() {
                self.poll();
                std::thread::sleep(Duration::from_micros(200));
            }
            other.join().unwrap()
        })
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.poll();
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Gets an address by DHCP.
    pub(crate) fn dhcp(&mut self) -> (Ipv4Cidr, Option<Ipv4Addr>, Vec<Ipv4Addr>) {
        let handle = self.sockets.add(dhcpv4::Socket::new());
        let config =
            self.wait("a lease", |guest| match guest.sockets.get_mut::<dhcpv4::Socket<'_>>(handle).poll() {
                Some(dhcpv4::Event::Configured(config)) => {
                    Some((config.address, config.router, config.dns_servers.to_vec()))
                }
                _ => None,
            });
        self.sockets.remove(handle);
        self.interface.update_ip_addrs(|list| list.push(IpCidr::Ipv4(config.0)).unwrap());
        if let Some(router) = config.1 {
            self.interface.routes_mut().add_default_ipv4_route(router).unwrap();
        }
        config
    }

    pub(crate) fn tcp(&mut self, remote: (IpAddr, u16), local: u16) -> SocketHandle {
        use smoltcp::socket::tcp;
        let buffer = || tcp::SocketBuffer::new(vec![0; 256 * 1024]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        let endpoint = (smoltcp::wire::IpAddress::from(remote.0), remote.1);
        socket.connect(self.interface.context(), endpoint, local).unwrap();
        self.sockets.add(socket)
    }

    pub(crate) fn tcp_socket(&mut self, handle: SocketHandle) -> &mut smoltcp::socket::tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }
}

/// A guest behind a network of its own, with the address that it would get.
pub(crate) fn guest(config: NatConfig) -> Guest<Nat> {
    let nat = Nat::start(config, Bell::default()).unwrap();
    let mut guest = Guest::new(nat, Mac([2, 0, 0, 0, 0, 1]));
    guest.set_address(GUEST.into(), 24, HOST.into());
    guest
}

/// [`guest`] with an IPv6 address too.
pub(crate) fn guest6() -> Guest<Nat> {
    let mut guest = guest(NatConfig::default());
    guest.set_address("fec0::15".parse().unwrap(), 64, Ipv6Config::ROUTER.into());
    guest
}

/// Waits for something outside a guest.
pub(crate) fn until(what: &str, mut check: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !check() {
        assert!(Instant::now() < end, "{what}: it never happened");
        std::thread::sleep(Duration::from_millis(1));
    }
}
