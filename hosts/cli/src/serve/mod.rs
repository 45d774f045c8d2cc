//! `nomad86 serve`: the page that runs machines in a browser, and what its machines may want to load.
//!
//! Only files are served, for reading, each in whole or by range; everything has its place in a table that is
//! made when the server starts, but for two folders, whose files are found by plain names below them.

use crate::args::serve::ServeArgs;
use crate::demo::ProgressLine;
use crate::outcome::{Failure, Outcome};
use crate::{files, firmware, relay, terminal};
use nomad86_host::guest;
use nomad86_host::net::bell::Bedside;
use nomad86_host::net::relay::server::{RelayServer, RelayServerConfig};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

mod http;

use http::{Body, Site};

/// Where the page is when nobody says.
fn site(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let beside =
        std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("../share/nomad86/site")));
    let usual = [beside, Some(PathBuf::from("hosts/wasm/site"))];
    let mut places = given
        .map(Path::to_path_buf)
        .into_iter()
        .chain(usual.into_iter().flatten().filter(|_| given.is_none()));
    places.find(|folder| folder.join("index.html").is_file()).ok_or_else(|| match given {
        Some(folder) => Failure::configuration(format!(
            "--site {}: there is no index.html in it; hosts/wasm/build makes such a folder",
            folder.display()
        )),
        None => Failure::configuration(
            "the page is not here: build it with hosts/wasm/build, or say where it is with --site FOLDER",
        ),
    })
}

/// What can be asked for.
struct Catalogue {
    site: PathBuf,
    images: Option<PathBuf>,
    /// Files by their path in the address.
    files: BTreeMap<String, PathBuf>,
    /// What the page asks for first.
    served: String,
}

impl Catalogue {
    fn new(args: &ServeArgs, relay: Option<u16>) -> Result<Self, Failure> {
        let mut catalogue = Self {
            site: site(args.site.as_deref())?,
            images: args.images.clone(),
            files: BTreeMap::new(),
            served: String::new(),
        };
        if let Some(folder) = args.images.as_deref().filter(|folder| !folder.is_dir()) {
            return Err(Failure::configuration(format!(
                "--images {}: there is no such folder",
                folder.display()
            )));
        }
        let mut served = serde_json::Map::new();
        let mut offer = |key: &str, name: &str, path: PathBuf| {
            catalogue.files.insert(name.to_owned(), path);
            served.insert(key.to_owned(), name.into());
        };
        let (bios, vga_bios) = firmware::installed();
        if let Some(path) = bios {
            offer("bios", "firmware/bios.bin", path);
        }
        if let Some(path) = vga_bios {
            offer("vga_bios", "firmware/vgabios.bin", path);
        }
        if !args.no_demo {
            let mut line = ProgressLine::default();
            let found =
                guest::debian(&guest::cache_folder(), &mut |progress| line.show(&progress.to_string()));
            line.finish();
            match found {
                Ok(guest) => {
                    offer("kernel", "guest/vmlinuz", guest.kernel);
                    offer("initrd", "guest/initrd", guest.initrd);
                    served.insert("name".to_owned(), format!("Debian {}", guest.version).into());
                }
                Err(error) => eprintln!("nomad86: no demo guest: {error}"),
            }
        }
        if let Some(port) = relay {
            served.insert("relay_port".to_owned(), port.into());
        }
        catalogue.served = serde_json::Value::Object(served).to_string();
        Ok(catalogue)
    }

    /// The file that a path in an address means.
    fn find(&self, path: &str) -> Option<PathBuf> {
        if let Some(file) = self.files.get(path) {
            return Some(file.clone());
        }
        let (folder, name) = match path.strip_prefix("images/") {
            Some(name) => (self.images.as_ref()?, name),
            None => (&self.site, if path.is_empty() { "index.html" } else { path }),
        };
        let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        let file = folder.join(name);
        (plain && file.is_file()).then_some(file)
    }
}

/// Serves until a signal comes.
pub(crate) fn run(args: &ServeArgs) -> Result<Outcome, Failure> {
    let bedside = Bedside::default();
    terminal::watch_signals(bedside.bell());
    let mut cables = match args.no_relay {
        true => None,
        false => {
            let config = RelayServerConfig {
                listen: vec![args.relay],
                uplink: relay::uplink(&args.uplink)?,
                ..RelayServerConfig::default()
            };
            Some(RelayServer::start(config).map_err(|error| {
                Failure::configuration(format!(
                    "relay on {}: {}; choose another with --relay, or --no-relay",
                    args.relay,
                    files::reason(&error)
                ))
            })?)
        }
    };
    let port = cables.as_ref().and_then(|relay| relay.addresses().first().map(|address| address.port()));
    let catalogue = Arc::new(Catalogue::new(args, port)?);
    let failed = |error: io::Error| {
        Failure::configuration(format!(
            "--listen {}: {}; choose another port",
            args.listen,
            files::reason(&error)
        ))
    };
    let listener = TcpListener::bind(args.listen).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    http::start(listener, catalogue).map_err(failed)?;
    println!("nomad86: http://{address}/");
    if let Some(port) = port {
        println!("relay: ws://{}:{port}/", args.relay.ip());
    }
    let number = loop {
        if let Some(number) = terminal::signal() {
            break number;
        }
        let _ = bedside.sleep(Duration::from_secs(3600));
    };
    if let Some(relay) = &mut cables {
        relay.stop();
    }
    Ok(Outcome::Signal(number))
}

impl Site for Catalogue {
    fn open(&self, path: &str) -> Option<(&'static str, Body)> {
        if path == "served.json" {
            return Some(("application/json", Body::Text(self.served.clone())));
        }
        let path = self.find(path)?;
        let file = File::open(&path).ok()?;
        Some((http::kind(&path), Body::File(file)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_below_the_folders_are_found() {
        let folder = std::env::temp_dir().join(format!("nomad86-serve-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("site/js")).expect("it can be made");
        for name in ["site/index.html", "site/js/a.js", "secret"] {
            std::fs::write(folder.join(name), name).expect("it can be written");
        }
        let catalogue = Catalogue {
            site: folder.join("site"),
            images: None,
            files: BTreeMap::from([("guest/initrd".to_owned(), folder.join("secret"))]),
            served: String::new(),
        };
        assert_eq!(catalogue.find(""), Some(folder.join("site/index.html")));
        assert_eq!(catalogue.find("js/a.js"), Some(folder.join("site/js/a.js")));
        assert_eq!(catalogue.find("guest/initrd"), Some(folder.join("secret")));
        for bad in ["../secret", "js/../../secret", "/etc/hostname", "js", "images/a", "./index.html", "none"]
        {
            assert_eq!(catalogue.find(bad), None, "{bad}");
        }
        std::fs::remove_dir_all(&folder).expect("it is ours");
    }
}
