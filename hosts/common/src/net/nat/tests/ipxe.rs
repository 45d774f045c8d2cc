//! iPXE in a machine of QEMU, plugged into our hub: a whole other stack, and another end of the cable.

use super::*;
use crate::net::hub::Hub;
use crate::net::hub::server::{HubAddress, HubServer};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;

/// A machine that goes away with it.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Bytes of the file that is fetched.
const LEN: usize = 4 << 20;

#[test]
fn ipxe_gets_a_lease_and_fetches_megabytes_from_the_host() {
    if Command::new("qemu-system-x86_64").arg("--version").stdout(Stdio::null()).status().is_err() {
        return eprintln!("skipped: there is no QEMU");
    }
    let (sender, requests) = channel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            // Several requests may come through one connection.
            loop {
                let mut path = String::new();
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|len| len > 2) {
                    if let Some(rest) = line.strip_prefix("GET ") {
                        path = rest.split(' ').next().unwrap().to_owned();
                    }
                    line.clear();
                }
                if path.is_empty() {
                    break;
                }
                let body = match path.as_str() {
                    "/script" => b"#!ipxe\nimgfetch /large || exit\nimgfetch /done || exit\nexit\n".to_vec(),
                    "/large" => (0..LEN).map(|n| n as u8).collect(),
                    _ => b"#!ipxe\nexit\n".to_vec(),
                };
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                let written = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
                drop(sender.send(path));
                if written.is_err() {
                    break;
                }
            }
            drop(stream.read(&mut [0]));
        }
    });

    let hub = Hub::default();
    let door = HubServer::start(hub.clone(), &HubAddress::parse("127.0.0.1:0").unwrap()).unwrap();
    let config =
        NatConfig { bootfile: Some(format!("http://10.0.2.2:{port}/script")), ..NatConfig::default() };
    let mut nat = Nat::start(config, Bell::default()).unwrap();
    let mut uplink = hub.port(Bell::default());
    let netdev = format!(
        "stream,id=n,server=off,addr.type=inet,addr.host=127.0.0.1,addr.port={}",
        door.address().unwrap().port()
    );
    let machine = Command::new("qemu-system-x86_64")
        .args(["-nodefaults", "-display", "none", "-m", "64", "-boot", "n", "-netdev", &netdev])
        .args(["-device", "e1000,netdev=n,mac=52:54:00:12:34:56"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _machine = Machine(machine);

    let (start, mut paths, mut buffer) = (Instant::now(), Vec::new(), [0; 1600]);
    while paths.last().is_none_or(|path| path != "/done") {
        assert!(start.elapsed() < 3 * PATIENCE, "{paths:?} {:?}", nat.stats());
        let mut idle = true;
        while let Some(frame) = nat.receive(&mut buffer) {
            uplink.transmit(frame);
            idle = false;
        }
        while let Some(frame) = uplink.receive(&mut buffer) {
            nat.transmit(frame);
            idle = false;
        }
        paths.extend(requests.try_iter());
        if idle {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    assert_eq!(paths, ["/script", "/large", "/done"]);
    assert_eq!(nat.stats().leases, 1);
    assert!(nat.stats().tcp_bytes_in > LEN as u64);
    eprintln!("{:.1} s", start.elapsed().as_secs_f64());
}
