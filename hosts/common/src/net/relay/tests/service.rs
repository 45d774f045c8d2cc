//! What people who run a relay see of it.

use super::server::{close_code, join, relay, url};
use super::*;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use tungstenite::protocol::frame::coding::CloseCode;

#[test]
fn metrics_are_served_on_both_ports_and_nothing_else_is() {
    let relay = relay(|config| config.metrics_listen = Some("127.0.0.1:0".parse().unwrap()));
    let _client = join(&relay, "/");
    let get = |address, path: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    for address in [relay.addresses()[0], relay.metrics_address().unwrap()] {
        let text = get(address, "/metrics");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.contains("# TYPE nomad86_relay_clients gauge\nnomad86_relay_clients 1\n"), "{text}");
        assert!(text.contains("# TYPE nomad86_relay_frames_in_total counter\n"));
        let body = text.split_once("\r\n\r\n").unwrap().1;
        assert!(text.contains(&format!("Content-Length: {}\r\n", body.len())));
    }
    assert!(get(relay.addresses()[0], "/").starts_with("HTTP/1.1 426"));
    assert!(get(relay.metrics_address().unwrap(), "/").starts_with("HTTP/1.1 404"));
}

#[test]
fn a_relay_that_stops_says_good_bye_and_its_clients_find_the_next_one() {
    let mut relay = relay(|_| ());
    let address = relay.addresses()[0];
    let mut page = join(&relay, "/");
    let native = client(&url(&relay, "/"));
    connected(&native);
    // Somebody who will not answer the good bye.
    let rude = join(&relay, "/");
    rude.get_ref().shutdown(Shutdown::Read).unwrap();
    let start = Instant::now();
    relay.stop();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(close_code(&mut page), Some(CloseCode::Away));
    until("it is noticed", || !native.link());
    let _next =
        RelayServer::start(RelayServerConfig { listen: vec![address], ..Default::default() }).unwrap();
    connected(&native);
}

#[test]
fn a_relay_that_cannot_listen_says_where() {
    let first = relay(|_| ());
    let address = first.addresses()[0];
    let error =
        RelayServer::start(RelayServerConfig { listen: vec![address], ..Default::default() }).unwrap_err();
    assert!(error.to_string().contains(&address.to_string()));
}
