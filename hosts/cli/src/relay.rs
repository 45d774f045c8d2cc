//! `nomad86 relay`.

use crate::args::relay::RelayArgs;
use crate::outcome::{Failure, Outcome};
use crate::{files, terminal};
use nomad86_host::net::bell::Bedside;
use nomad86_host::net::relay::server::{Limits, RelayServer, RelayServerConfig, Uplink};
use nomad86_host::net::spec::{Backend, NicSpec};
use std::time::{Duration, Instant};

/// Serves until a signal comes.
pub(crate) fn run(args: &RelayArgs) -> Result<Outcome, Failure> {
    let bedside = Bedside::default();
    terminal::watch_signals(bedside.bell());
    let config = config(args)?;
    let listen: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    let scheme = if config.tls.is_some() { "wss" } else { "ws" };
    let mut server = RelayServer::start(config).map_err(|error| {
        Failure::configuration(format!("relay on {}: {}", listen.join(", "), files::reason(&error)))
    })?;
    for address in server.addresses() {
        println!("relay: {scheme}://{address}/");
    }
    if let Some(address) = server.metrics_address() {
        println!("metrics: http://{address}/metrics");
    }
    let begun = Instant::now();
    loop {
        let left = args.timeout.map_or(Duration::from_secs(3600), |t| t.saturating_sub(begun.elapsed()));
        if left.is_zero() {
            break;
        }
        let _ = bedside.sleep(left);
        if let Some(number) = terminal::signal() {
            server.stop();
            return Ok(Outcome::Signal(number));
        }
    }
    server.stop();
    Ok(Outcome::Done)
}

fn config(args: &RelayArgs) -> Result<RelayServerConfig, Failure> {
    let token = match &args.token_file {
        Some(path) => {
            let text = String::from_utf8_lossy(&files::read("token file", path)?).trim().to_owned();
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Failure::configuration(format!(
                    "token file {}: it must hold one word of visible ASCII characters",
                    path.display()
                )));
            }
            Some(text)
        }
        None => None,
    };
    // Checked here, so that a name that is wrong is told as such.
    for path in args.tls_cert.iter().chain(&args.tls_key) {
        files::read("TLS file", path)?;
    }
    if args.clients == 0 || args.rooms == 0 {
        return Err(Failure::configuration("--clients and --rooms: give at least 1"));
    }
    Ok(RelayServerConfig {
        listen: args.listen.clone(),
        tls: args.tls_cert.clone().zip(args.tls_key.clone()),
        token,
        origins: (!args.origin.is_empty()).then(|| args.origin.clone()),
        addresses: (!args.allow.is_empty()).then(|| args.allow.clone()),
        clients: args.clients,
        rooms: args.rooms,
        limits: Limits { bytes: args.limit_bytes, frames: args.limit_frames },
        uplink: uplink(&args.uplink)?,
        metrics_listen: args.metrics,
        ..RelayServerConfig::default()
    })
}

/// Cables are named as for cards; a relay can lead to some of them.
pub(crate) fn uplink(text: &str) -> Result<Uplink, Failure> {
    match text {
        "none" => return Ok(Uplink::None),
        "dhcp" => return Ok(Uplink::Dhcp),
        _ => {}
    }
    let wrong = || {
        Failure::configuration(format!(
            "--uplink {text}: give none, dhcp, user[,OPTION=VALUE...] or tap[,ifname=NAME]"
        ))
    };
    match NicSpec::parse(text) {
        Ok(Some(spec)) => match spec.backend {
            Backend::User(config) => Ok(Uplink::Nat(config)),
            Backend::Tap(name) => Ok(Uplink::Tap(name)),
            _ => Err(wrong()),
        },
        Ok(None) => Err(wrong()),
        Err(error) => Err(Failure::configuration(error.to_string().replacen("--nic", "--uplink", 1))),
    }
}
