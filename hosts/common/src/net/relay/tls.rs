//! TLS for both ends: which certificates are trusted, and which one is shown. There is no way around it:
//! a `wss://` address is never tried without TLS, and no check can be switched off.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::io;
use std::path::Path;
use std::sync::Arc;

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What a client trusts: the certificates in a PEM file, or without one those of the system.
///
/// # Errors
/// When there is no certificate that could be trusted.
pub fn client(roots: Option<&Path>) -> io::Result<Arc<ClientConfig>> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(path) => {
            for certificate in certificates(path)? {
                store.add(certificate).map_err(|error| bad(path, &error))?;
            }
        }
        None => {
            // Single certificates of the system that cannot be read or understood do no harm.
            let found = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                let text = "the system has no root certificates; name some with ca=";
                return Err(io::Error::new(io::ErrorKind::NotFound, text));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What a server shows: a chain of certificates and their key, each in a PEM file.
///
/// # Errors
/// When they cannot be read, or do not belong together.
pub fn server(chain: &Path, key: &Path) -> io::Result<Arc<ServerConfig>> {
    let certificates = certificates(chain)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, &error))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .map_err(|error| bad(chain, &error))?;
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| bad(path, &error))?;
    let list: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| bad(path, &error))?;
    if list.is_empty() {
        return Err(bad(path, &"there is no certificate in it"));
    }
    Ok(list)
}

fn bad(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", path.display()))
}
