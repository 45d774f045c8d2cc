//! Options of `serve`.

use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Options of `serve`.
#[derive(Args, Debug)]
#[command(max_term_width = 110)]
pub(crate) struct ServeArgs {
    /// Where to listen; others reach it only when the address is theirs to reach
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = super::relay::address)]
    pub(crate) listen: SocketAddr,
    /// The folder with the page, as hosts/wasm/build makes it [default: ../share/nomad86/site beside the program,
    /// or hosts/wasm/site]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) site: Option<PathBuf>,
    /// A folder with images of yours that the page may load, under images/
    #[arg(long, value_name = "FOLDER")]
    pub(crate) images: Option<PathBuf>,
    /// Do not fetch and serve the demo's Debian guest
    #[arg(long)]
    pub(crate) no_demo: bool,
    /// Where the page's relay listens (only with the same address as --listen do others reach it)
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8086", value_parser = super::relay::address)]
    pub(crate) relay: SocketAddr,
    /// Run no relay
    #[arg(long)]
    pub(crate) no_relay: bool,
    /// What the relay leads to: none, dhcp or user
    #[arg(long, value_name = "UPLINK", default_value = "user")]
    pub(crate) uplink: String,
}
