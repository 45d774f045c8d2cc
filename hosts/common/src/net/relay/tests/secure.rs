//! TLS: what is trusted, what is not, and that nothing goes without it.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that go away with it.
pub(crate) struct Papers {
    pub(crate) folder: PathBuf,
}

impl Papers {
    /// A root of trust, and a certificate that it has signed for `name`.
    pub(crate) fn new(label: &str, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let folder = std::env::temp_dir().join(format!("nomad86-tls-{label}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let papers = Self { folder };
        std::fs::write(papers.root(), issuer.pem()).unwrap();
        std::fs::write(papers.chain(), certificate.pem()).unwrap();
        std::fs::write(papers.key(), key.serialize_pem()).unwrap();
        papers
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.join("root.pem")
    }

    pub(crate) fn chain(&self) -> PathBuf {
        self.folder.join("chain.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }
}

impl Drop for Papers {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A relay that returns what comes, with another sender.
fn server(papers: &Papers) -> u16 {
    let config = tls::server(&papers.chain(), &papers.key()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let stream = rustls::StreamOwned::new(connection, stream);
            let Ok(mut socket) = tungstenite::accept(stream) else { continue };
            while let Ok(message) = socket.read() {
                let mut data = message.into_data().to_vec();
                data[11] ^= 1;
                socket.send(tungstenite::Message::Binary(data.into())).unwrap();
            }
        }
    });
    port
}

fn start(url: &str, ca: Option<&Path>) -> RelayClient {
    RelayClient::start(RelayConfig { ca: ca.map(Path::to_owned), ..config(url) }, Bell::default()).unwrap()
}

fn fails(url: &str, ca: Option<&Path>, expected: &str) {
    let mut client = start(url, ca);
    client.transmit(&frame(0xFFFF, 1, b"secret"));
    until("it gives up", || client.stats().failed >= 2);
    let error = client.error().unwrap();
    assert!(error.contains(expected), "{error}");
    assert_eq!((client.stats().connected, client.stats().frames_out), (0, 0));
}

#[test]
fn frames_go_through_tls_when_the_certificate_is_trusted() {
    let papers = Papers::new("good", "localhost", |_| ());
    let port = server(&papers);
    let mut client = start(&format!("wss://localhost:{port}/"), Some(&papers.root()));
    connected(&client);
    for n in 0..200u8 {
        client.transmit(&frame(0xFFFF, 2, &[n; 1400]));
        assert_eq!(next(&mut client), frame(0xFFFF, 3, &[n; 1400]));
    }
}

#[test]
fn case_69_bad_certificates_are_refused_by_name() {
    let good = Papers::new("other", "localhost", |_| ());
    let port = server(&good);
    fails(&format!("wss://127.0.0.1:{port}/"), Some(&good.root()), "for another name");
    let stranger = Papers::new("stranger", "localhost", |_| ());
    fails(&format!("wss://localhost:{port}/"), Some(&stranger.root()), "signed by nobody who is trusted");
    let old = Papers::new("old", "localhost", |params| {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let port = server(&old);
    fails(&format!("wss://localhost:{port}/"), Some(&old.root()), "expired");
    if let Ok(client) = RelayClient::start(config(&format!("wss://localhost:{port}/")), Bell::default()) {
        until("it gives up", || client.stats().failed >= 1);
        assert!(client.error().unwrap().contains("certificate"));
    }
}

#[test]
fn case_69_tls_is_never_left_away() {
    // A relay without TLS, one that hangs up in the handshake, and one that sends megabytes of it.
    let papers = Papers::new("plain", "localhost", |_| ());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers: [Vec<u8>; 3] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        Vec::new(),
        [0x16, 3, 3, 0x40, 0].iter().copied().chain([11, 0xA0, 0, 0]).chain(vec![0; 10 << 20]).collect(),
    ];
    std::thread::spawn(move || {
        for answer in answers.iter().cycle() {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let _ = stream.write_all(answer);
            finish(stream);
        }
    });
    let client = start(&format!("wss://localhost:{port}/"), Some(&papers.root()));
    until("all of them, twice", || client.stats().failed >= 6);
    until("it is named", || client.error().is_some_and(|error| error.contains("TLS failed")));
    assert_eq!(client.stats().connected, 0);
}

fn finish(stream: TcpStream) {
    drop(stream.shutdown(std::net::Shutdown::Write));
}

#[test]
fn certificates_that_cannot_be_used_are_named_before_anything_starts() {
    let url = "wss://localhost:1/";
    for (name, text) in [("missing", None), ("empty", Some("")), ("nonsense", Some("hello"))] {
        let path = std::env::temp_dir().join(format!("nomad86-{name}-{}.pem", std::process::id()));
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let error =
            RelayClient::start(RelayConfig { ca: Some(path.clone()), ..config(url) }, Bell::default());
        assert!(error.unwrap_err().to_string().contains(name));
        drop(std::fs::remove_file(path));
    }
}
