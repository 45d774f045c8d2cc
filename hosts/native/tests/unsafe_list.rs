//! `.github/UNSAFE.md` lists each `unsafe` block and implementation with its reason. A new one without a reason,
//! and a file with new ones of which the list does not say why it needs any, fail.
//!
//! `NOMAD86_BLESS=1 cargo test -p nomad86-native --test unsafe_list` writes the list anew; what stands in the
//! column "why any at all" is kept, and is written by hand.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const LIST: &str = ".github/UNSAFE.md";
const HEAD: &str = "\
# Unsafe code

All `unsafe` blocks and implementations of the core and its hosts, with the reason that each is sound, as its
`SAFETY` comment gives it. Everything else is checked by the compiler: the lint `unsafe_code` is denied, and the
files below are those that allow it.

This file is written by `NOMAD86_BLESS=1 cargo test -p nomad86-native --test unsafe_list`; the last column of the
table is written by hand. The test fails when this file does not say what the sources say.
";
const TABLE: &str = "\n| file | uses | why any at all |\n|---|---:|---|\n";
/// How far above its use a reason may begin.
const FAR: usize = 12;

/// A use: its line, and its reason when it has one.
type Use = (usize, Option<String>);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the project's folders are readable").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if !matches!(name.to_str(), Some("target" | "node_modules")) {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// A line without its comment. Quotes do not matter: no text of the project has this word in it.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

/// Whether a line has an unsafe block or implementation.
fn is_use(line: &str) -> bool {
    let code = code(line);
    code.match_indices("unsafe").any(|(at, word)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].trim_start();
        let whole = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"');
        // A block whose brace is on the next line does not pass the formatter.
        whole && (after.starts_with('{') || after.starts_with("impl"))
    })
}

/// The comment that begins with SAFETY at or above line `at`.
fn reason(lines: &[&str], at: usize) -> Option<String> {
    let start = (at.saturating_sub(FAR)..=at).rev().find(|n| lines[*n].contains("SAFETY:"))?;
    let mut text = lines[start].split("SAFETY:").nth(1)?.trim().to_owned();
    for line in &lines[start + 1..at.max(start + 1)] {
        let Some(more) = line.trim().strip_prefix("//") else { break };
        text.push(' ');
        text.push_str(more.trim());
    }
    Some(text)
}

fn uses(text: &str) -> Vec<Use> {
    let lines: Vec<&str> = text.lines().collect();
    (0..lines.len()).filter(|n| is_use(lines[*n])).map(|n| (n + 1, reason(&lines, n))).collect()
}

/// Files with uses, by their names in the project.
fn found() -> BTreeMap<String, Vec<Use>> {
    let root = root();
    let mut paths = Vec::new();
    for folder in ["core", "hosts", "fuzz"] {
        sources(&root.join(folder), &mut paths);
    }
    let mut found = BTreeMap::new();
    for path in paths {
        let uses = uses(&fs::read_to_string(&path).expect("sources are text"));
        let name = path.strip_prefix(&root).expect("it is in the project").display().to_string();
        // This file speaks of little else.
        if !uses.is_empty() && !name.ends_with("unsafe_list.rs") {
            found.insert(name, uses);
        }
    }
    found
}

/// What the list's table says by hand.
fn whys(list: &str) -> BTreeMap<String, String> {
    let rows = list.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let mut cells = row.split(" | ");
        let file = cells.next()?.trim_end_matches('`').to_owned();
        let why = cells.nth(1)?.trim_end_matches('|').trim().to_owned();
        Some((file, why))
    })
    .collect()
}

fn written(found: &BTreeMap<String, Vec<Use>>, whys: &BTreeMap<String, String>) -> String {
    let mut text = format!("{HEAD}{TABLE}");
    for (file, uses) in found {
        let why = whys.get(file).map_or("", String::as_str);
        let _ = writeln!(text, "| `{file}` | {} | {why} |", uses.len());
    }
    for (file, uses) in found {
        let _ = write!(text, "\n## `{file}`\n\n");
        for (_, reason) in uses {
            let _ = writeln!(text, "- {}", reason.as_deref().unwrap_or("?"));
        }
    }
    text
}

#[test]
fn every_unsafe_block_is_listed_with_its_reason() {
    let path = root().join(LIST);
    let list = fs::read_to_string(&path).unwrap_or_default();
    let (found, whys) = (found(), whys(&list));
    let now = written(&found, &whys);
    if std::env::var_os("NOMAD86_BLESS").is_some() {
        fs::write(&path, &now).expect("the list is writable");
    }
    let mut wrong = Vec::new();
    for (file, uses) in &found {
        let without = uses.iter().filter(|(_, reason)| reason.is_none());
        wrong.extend(without.map(|(line, _)| format!("{file}:{line}: unsafe without a SAFETY comment")));
        if whys.get(file).is_none_or(String::is_empty) {
            wrong.push(format!("{file}: {LIST} does not say why it needs unsafe code at all"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let list = fs::read_to_string(&path).unwrap_or_default();
    let differs = now.lines().zip(list.lines()).find(|(a, b)| a != b);
    assert!(
        list == now,
        "{LIST} is not what the sources say (first: {differs:?}); look at what was added, then write it with \
         NOMAD86_BLESS=1"
    );
    println!("{} uses in {} files", found.values().map(Vec::len).sum::<usize>(), found.len());
}

#[test]
fn uses_and_reasons_are_recognised() {
    let text = "\
// SAFETY: it is ours,
// and stays.
let a = unsafe { *p };
#[unsafe(no_mangle)]
unsafe fn f() {}
// unsafe { in a comment }
unsafe impl Send for X {}
";
    let found = uses(text);
    assert_eq!(found[0], (3, Some("it is ours, and stays.".to_owned())));
    assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 7]);
    assert_eq!(uses("\n\nlet a = unsafe { *p };"), [(3, None)]);
}
