//! Options of `relay`.

use clap::Args;
use nomad86_host::net::relay::server::config::Network;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

fn network(text: &str) -> Result<Network, String> {
    Network::parse(text).ok_or_else(|| "give an address or a network such as 192.0.2.0/24".to_owned())
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = || "give ADDRESS:PORT, such as 127.0.0.1:8086".to_owned();
    let text = if text.starts_with(':') { format!("127.0.0.1{text}") } else { text.to_owned() };
    text.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(wrong)
}

/// Options of `relay`.
#[derive(Args, Debug)]
#[command(max_term_width = 110)]
pub(crate) struct RelayArgs {
    /// Where to listen; may be given several times
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8086", value_parser = address)]
    pub(crate) listen: Vec<SocketAddr>,
    /// The chain of certificates for TLS (PEM); --tls-key goes with it
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key for TLS (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A file with the word that clients must know
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// A web origin that pages may come from; may be given several times [default: any]
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Vec<String>,
    /// A network that clients may come from; may be given several times [default: any]
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    pub(crate) allow: Vec<Network>,
    /// What rooms lead to: none, dhcp, user[,OPTION=VALUE...] or tap[,ifname=NAME]
    #[arg(long, value_name = "UPLINK", default_value = "user")]
    pub(crate) uplink: String,
    /// Most clients
    #[arg(long, value_name = "COUNT", default_value_t = 1024)]
    pub(crate) clients: usize,
    /// Most rooms
    #[arg(long, value_name = "COUNT", default_value_t = 256)]
    pub(crate) rooms: usize,
    /// Bytes that one client may send in a second
    #[arg(long, value_name = "BYTES")]
    pub(crate) limit_bytes: Option<u64>,
    /// Frames that one client may send in a second
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit_frames: Option<u64>,
    /// Another place where GET /metrics is answered, without token and TLS
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    pub(crate) metrics: Option<SocketAddr>,
    /// End after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = super::values::seconds)]
    pub(crate) timeout: Option<Duration>,
}
