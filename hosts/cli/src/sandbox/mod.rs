//! `--sandbox`: what a machine that was broken out of can reach.
//!
//! Two walls, each from a kernel facility that cannot be taken down again:
//!
//! | wall | when | what is left |
//! |---|---|---|
//! | [Landlock](files) | files are open, no thread has begun | named files and folders, named TCP ports, own processes |
//! | [seccomp](calls) | all threads have begun, the guest has not | the system calls that the program makes from then on |
//!
//! Not covered: connections of the user-mode network, whose purpose is to reach any address; UDP; what is done
//! with the files that are open anyway.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod calls;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod files;
#[cfg(all(test, target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests;

use crate::args::values::SerialSpec;
use crate::outcome::Failure;
use crate::setup::Plan;
use nomad86_host::net::hub::server::HubAddress;
use nomad86_host::net::spec::{Backend, HubSpec};
use std::path::{Path, PathBuf};

/// What a run needs of the system while its guest runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Needs {
    /// Files that are only read.
    read: Vec<PathBuf>,
    /// Files that are created now and written later.
    written: Vec<PathBuf>,
    /// Folders in which files are made and replaced.
    folders: Vec<PathBuf>,
    /// Folders in which sockets are made.
    sockets: Vec<PathBuf>,
    /// Devices.
    devices: Vec<PathBuf>,
    /// Connections to any port, and listening on any.
    any_port: bool,
    connect: Vec<u16>,
    listen: Vec<u16>,
    /// Internet sockets are made.
    internet: bool,
    /// Unix-domain sockets are made.
    local: bool,
}

/// Where the system says how names become addresses.
const NAMES: [&str; 8] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/localtime",
    "/usr/share/zoneinfo",
];
/// Where it keeps the certificates that it trusts.
const CERTIFICATES: [&str; 6] = [
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/lib/ssl",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
        _ => PathBuf::from("."),
    }
}

/// The port of `host:port`; 0 when there is none, which allows nothing that would work.
fn port(address: &str) -> u16 {
    address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0)
}

impl Needs {
    fn of(plan: &Plan) -> Self {
        let args = &plan.args;
        let mut needs = Self { folders: args.sandbox_folder.clone(), ..Self::default() };
        needs.folders.extend(
            [&args.save, &args.screenshot, &args.dump_state].into_iter().flatten().map(|f| folder_of(f)),
        );
        needs.written.extend(args.pcap.clone());
        needs.written.extend(args.post_log.iter().map(|log| log.file.clone()));
        if let Some(path) = &args.perf_map {
            let usual = path.as_os_str().is_empty();
            needs.written.push(if usual { crate::stats::perf_map_default() } else { path.clone() });
        }
        for spec in plan.serial.iter().chain([&plan.debugcon]).chain(&args.monitor) {
            needs.line(spec);
        }
        for spec in &plan.nics {
            needs.written.extend(spec.pcap.clone());
            needs.cable(&spec.backend);
        }
        if needs.internet {
            needs.read.extend(NAMES.map(PathBuf::from));
        }
        needs
    }

    fn line(&mut self, spec: &SerialSpec) {
        match spec {
            SerialSpec::None | SerialSpec::Stdio => {}
            SerialSpec::File(path) => self.written.push(path.clone()),
            SerialSpec::Tcp { address, server } => self.tcp(address, *server),
            SerialSpec::Unix { path, server } => self.unix(path, *server),
        }
    }

    fn cable(&mut self, backend: &Backend) {
        match backend {
            Backend::Unplugged | Backend::Hub(HubSpec::Named(_)) => {}
            Backend::User(_) => {
                self.internet = true;
                self.any_port = true;
            }
            Backend::Tap(_) => self.devices.push("/dev/net/tun".into()),
            Backend::Relay(relay) => {
                self.internet = true;
                self.connect.push(relay.url.port);
                match &relay.ca {
                    Some(file) => self.read.push(file.clone()),
                    None if relay.url.tls => {
                        self.read.extend(CERTIFICATES.map(PathBuf::from));
                        let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(std::env::var_os);
                        self.read.extend(named.into_iter().flatten().map(PathBuf::from));
                    }
                    None => {}
                }
            }
            Backend::Hub(HubSpec::Listen(_, address)) => self.hub(address, true),
            Backend::Hub(HubSpec::Connect(address)) => self.hub(address, false),
        }
    }

    fn hub(&mut self, address: &HubAddress, server: bool) {
        match address {
            HubAddress::Tcp(address) => self.tcp(address, server),
            HubAddress::Unix(path) => self.unix(path, server),
        }
    }

    fn tcp(&mut self, address: &str, server: bool) {
        self.internet = true;
        let ports = if server { &mut self.listen } else { &mut self.connect };
        ports.push(port(address));
    }

    fn unix(&mut self, path: &Path, server: bool) {
        self.local = true;
        if server {
            self.sockets.push(folder_of(path));
        }
    }
}

/// Limits the files and TCP ports that this thread, and threads that it starts, can reach.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn files(plan: &Plan) -> Result<(), Failure> {
    files::limit(&Needs::of(plan))
}

/// Limits the system calls of all threads.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn calls(plan: &Plan) -> Result<(), Failure> {
    calls::limit(&Needs::of(plan))
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) fn files(_plan: &Plan) -> Result<(), Failure> {
    Err(Failure::configuration("--sandbox: it needs Linux on x86-64 or AArch64; leave it out"))
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) fn calls(_plan: &Plan) -> Result<(), Failure> {
    Ok(())
}
