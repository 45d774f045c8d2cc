//! The house's rules that can be read off its files: where dependencies come from and under which licences
//! (`deny.toml`, which `cargo deny check` reads as well), what is published, and how large files and how free of
//! hosts the core are.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is built by itself: each has a `Cargo.lock` of its own.
const MANIFESTS: [&str; 5] = [
    "Cargo.toml",
    "core/examples/microcontroller/Cargo.toml",
    "fuzz/Cargo.toml",
    "hosts/bare/Cargo.toml",
    "hosts/wasm/Cargo.toml",
];
const PUBLISHED: [&str; 4] = ["nomad86", "nomad86-host", "nomad86-sdl", "nomad86-cli"];
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Cargo's own view of all packages of one manifest.
fn packages(manifest: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1", "--manifest-path"])
        .arg(root().join(manifest))
        .output()
        .unwrap();
    assert!(output.status.success(), "{manifest}: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn text<'v>(package: &'v Value, key: &str) -> &'v str {
    package[key].as_str().unwrap_or_default()
}

fn policy() -> toml::Table {
    std::fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap()
}

/// Whether an SPDX expression can be satisfied by these licences.
fn satisfied(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    /// Splits at a word that is not within parentheses.
    fn split<'e>(expression: &'e str, word: &str) -> Vec<&'e str> {
        let (mut depth, mut begin, mut parts) = (0, 0, Vec::new());
        for (at, c) in expression.char_indices() {
            depth += i32::from(c == '(') - i32::from(c == ')');
            if depth == 0 && expression[at..].starts_with(word) && at >= begin {
                parts.push(&expression[begin..at]);
                begin = at + word.len();
            }
        }
        parts.push(&expression[begin..]);
        parts
    }
    let expression = expression.trim();
    for word in [" OR ", "/"] {
        let parts = split(expression, word);
        if parts.len() > 1 {
            return parts.iter().any(|part| satisfied(part, allowed));
        }
    }
    let parts = split(expression, " AND ");
    if parts.len() > 1 {
        return parts.iter().all(|part| satisfied(part, allowed));
    }
    match expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => satisfied(inner, allowed),
        None => allowed.contains(expression),
    }
}

#[test]
fn licences_are_read_as_spdx_has_them() {
    let allowed = BTreeSet::from(["MIT", "Apache-2.0 WITH LLVM-exception", "Zlib"]);
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only/MIT", true),
        ("MIT AND Zlib", true),
        ("MIT AND ISC", false),
        ("(ISC OR MIT) AND Zlib", true),
        ("(ISC OR MIT) AND (ISC OR BSD-2-Clause)", false),
        ("Apache-2.0 WITH LLVM-exception OR ISC", true),
        ("Apache-2.0", false),
        ("", false),
    ] {
        assert_eq!(satisfied(expression, &allowed), expected, "{expression}");
    }
}

#[test]
fn dependencies_are_what_the_policy_allows() {
    let policy = policy();
    let allowed: BTreeSet<&str> =
        policy["licenses"]["allow"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let mut complaints = Vec::new();
    for manifest in MANIFESTS {
        let mut versions = BTreeMap::<String, BTreeSet<String>>::new();
        for package in packages(manifest) {
            let (name, version) = (text(&package, "name"), text(&package, "version"));
            versions.entry(name.to_owned()).or_default().insert(version.to_owned());
            let licence = text(&package, "license");
            if !satisfied(licence, &allowed) {
                complaints.push(format!("{manifest}: {name} {version}: licence '{licence}'"));
            }
            let source = text(&package, "source");
            // What has no source is ours.
            if !source.is_empty() && source != CRATES_IO {
                complaints.push(format!("{manifest}: {name} {version}: from {source}"));
            }
            for dependency in package["dependencies"].as_array().unwrap() {
                if source.is_empty() && dependency["path"].is_null() && text(dependency, "req") == "*" {
                    let of = text(dependency, "name");
                    complaints.push(format!("{manifest}: {name} asks for any version of {of}"));
                }
            }
        }
        let twice = versions.iter().filter(|(_, versions)| versions.len() > 1);
        let twice: Vec<String> = twice.map(|(name, versions)| format!("{name} {versions:?}")).collect();
        println!("{manifest}: {} packages; in several versions: {}", versions.len(), twice.join(", "));
        let lock = root().join(manifest).with_file_name("Cargo.lock");
        let lock: toml::Table = std::fs::read_to_string(lock).unwrap().parse().unwrap();
        for package in lock["package"].as_array().unwrap() {
            if package.get("source").is_some() && package.get("checksum").is_none() {
                complaints.push(format!("{manifest}: {} has no check sum in Cargo.lock", package["name"]));
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn what_is_published_says_what_it_is() {
    let packages = packages(MANIFESTS[0]);
    let ours: Vec<&Value> = packages.iter().filter(|package| package["source"].is_null()).collect();
    for package in &ours {
        let name = text(package, "name");
        // An empty list is `publish = false`.
        let published = package["publish"].as_array().is_none_or(|registries| !registries.is_empty());
        assert_eq!(published, PUBLISHED.contains(&name), "whether {name} is published");
        if !published {
            continue;
        }
        for key in ["description", "license", "repository", "homepage", "readme", "rust_version"] {
            assert!(!text(package, key).is_empty(), "{name}: no {key}");
        }
        let folder = Path::new(text(package, "manifest_path")).parent().unwrap();
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            assert!(folder.join(licence).is_file(), "{name}: no {licence}");
        }
        for key in ["keywords", "categories"] {
            assert!(!package[key].as_array().unwrap().is_empty(), "{name}: no {key}");
        }
        for dependency in package["dependencies"].as_array().unwrap() {
            // crates.io takes development dependencies without a version only as paths, and drops them.
            let needs = dependency["kind"] != "dev" && !dependency["path"].is_null();
            assert!(!needs || text(dependency, "req") != "*", "{name}: {} by path only", dependency["name"]);
        }
    }
    assert_eq!(
        ours.iter().filter(|package| PUBLISHED.contains(&text(package, "name"))).count(),
        PUBLISHED.len()
    );
}

/// Source files below a folder, without what is built or fetched.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_str().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let made =
                ["target", "node_modules", "site", "site.new"].contains(&name) || name.starts_with('.');
            if !made {
                sources(&path, found);
            }
        } else if ["rs", "js", "mjs", "ts", "asm", "inc", "c", "S", "html", "css"]
            .contains(&path.extension().and_then(|end| end.to_str()).unwrap_or_default())
        {
            found.push(path);
        }
    }
}

#[test]
fn no_file_of_a_host_has_more_than_500_lines() {
    let mut files = Vec::new();
    sources(&root().join("hosts"), &mut files);
    assert!(files.len() > 200, "{} files", files.len());
    let long: Vec<String> = files
        .into_iter()
        .map(|file| (std::fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > 500)
        .map(|(lines, file)| format!("{}: {lines}", file.display()))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// The conditions of `cfg(…)`, `cfg!(…)` and `cfg_attr(…)` in a source.
fn conditions(source: &str) -> impl Iterator<Item = &str> {
    let starts = ["cfg(", "cfg!(", "cfg_attr("].into_iter().flat_map(|word| source.match_indices(word));
    starts.map(|(at, word)| {
        let rest = &source[at + word.len()..];
        let mut depth = 1;
        let end = rest.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        &rest[..end.unwrap_or(rest.len())]
    })
}

#[test]
fn the_core_knows_no_host() {
    let mut files = Vec::new();
    sources(&root().join("core/src"), &mut files);
    let mut count = 0;
    for file in files {
        // Compares with the processor that the tests run on.
        if file.components().any(|part| part.as_os_str() == "oracle") {
            continue;
        }
        let source = std::fs::read_to_string(&file).unwrap();
        for condition in conditions(&source) {
            count += 1;
            // The recompiler's instruction set is no host.
            let words = condition.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-' || c == '"'));
            for word in words.filter(|word| !word.is_empty() && !word.starts_with('"')) {
                let known = [
                    "test",
                    "all",
                    "any",
                    "not",
                    "feature",
                    "target_arch",
                    "target_feature",
                    "debug_assertions",
                ];
                let attribute = condition.contains(',') && condition.contains("allow");
                assert!(attribute || known.contains(&word), "{}: cfg({condition})", file.display());
            }
        }
    }
    assert!(count > 20, "{count} conditions");
}
