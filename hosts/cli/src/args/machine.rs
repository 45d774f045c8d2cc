//! `--machine FILE.toml`: options from a file, whose keys are the names of options.
//!
//! `memory = 64`, `snapshot = true`, `serial = ["stdio", "none"]`. What the command line gives is stronger.

use crate::files;
use crate::outcome::Failure;
use clap::{ArgAction, Command};
use std::path::Path;
use toml::{Table, Value};

/// Replaces `--machine=FILE` in normalised arguments by what the file says.
pub(crate) fn expand(command: &Command, mut words: Vec<String>) -> Result<Vec<String>, Failure> {
    let Some(subcommand) = words.first().and_then(|first| command.find_subcommand(first)) else {
        return Ok(words);
    };
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let Some(place) = words[..end].iter().position(|word| word.starts_with("--machine=")) else {
        return Ok(words);
    };
    if !subcommand.get_arguments().any(|arg| arg.get_long() == Some("machine")) {
        return Ok(words);
    }
    let file = words.remove(place).split_off("--machine=".len());
    let wrong = |why: &str| Failure::configuration(format!("--machine {file}: {why}"));
    let bytes = files::read("--machine", Path::new(&file))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("this is no text: give a TOML file"))?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        wrong(&format!("line {line}: {}", error.message().replace('\n', " ")))
    })?;
    let mut added = Vec::new();
    for (key, value) in &table {
        let name = key.replace('_', "-");
        let arg = subcommand.get_arguments().find(|arg| {
            arg.get_long().is_some_and(|long| long == name)
                || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&key.as_str()))
                || arg.get_short().is_some_and(|short| name.chars().eq([short]))
        });
        let Some(long) = arg.filter(|arg| arg.get_id() != "machine").and_then(clap::Arg::get_long) else {
            return Err(wrong(&format!("'{key}' is no option: keys are the names of options")));
        };
        let is_this =
            |word: &String| word.strip_prefix("--").is_some_and(|w| w.split('=').next() == Some(long));
        if words.iter().any(is_this) {
            continue;
        }
        let takes = |action| matches!(action, &ArgAction::Set | &ArgAction::Append);
        let one = |value: &Value| match value {
            Value::String(text) => Ok(format!("--{long}={text}")),
            Value::Integer(number) => Ok(format!("--{long}={number}")),
            Value::Float(number) => Ok(format!("--{long}={number}")),
            _ => Err(wrong(&format!("{key}: give a text or a number"))),
        };
        match value {
            Value::Boolean(false) => {}
            Value::Boolean(true) if !arg.is_some_and(|arg| takes(arg.get_action())) => {
                added.push(format!("--{long}"));
            }
            _ if !arg.is_some_and(|arg| takes(arg.get_action())) => {
                return Err(wrong(&format!("{key}: give true or false")));
            }
            Value::Array(values) => {
                for value in values {
                    added.push(one(value)?);
                }
            }
            value => added.push(one(value)?),
        }
    }
    words.splice(1..1, added);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn expanded(file: &str, words: &[&str]) -> Result<Vec<String>, String> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nomad86-toml-{}-{number}", std::process::id()));
        std::fs::write(&path, file).unwrap();
        let all = words.iter().map(|word| word.replace("FILE", &path.display().to_string())).collect();
        let result = expand(&crate::args::Cli::command(), all);
        std::fs::remove_file(&path).unwrap();
        result.map_err(|failure| failure.to_string().replace(&path.display().to_string(), "FILE"))
    }

    #[test]
    fn keys_are_options_and_the_command_line_is_stronger() {
        let file = "memory = 64\nsnapshot = true\nno_reboot = false\nserial = [\"stdio\", \"none\"]\nappend = \"-v a\"\ntimeout = 2.5\n";
        let words = expanded(file, &["run", "--machine=FILE", "--memory=32"]).unwrap();
        let sorted = |mut words: Vec<String>| {
            words[1..].sort();
            words
        };
        assert_eq!(
            sorted(words),
            [
                "run",
                "--append=-v a",
                "--memory=32",
                "--serial=none",
                "--serial=stdio",
                "--snapshot",
                "--timeout=2.5"
            ]
        );
        assert_eq!(expanded("m = \"1G\"", &["demo", "--machine=FILE"]).unwrap(), ["demo", "--memory=1G"]);
        let other = ["run", "--append=--machine=x"];
        assert_eq!(expanded("", &other).unwrap(), other);
    }

    #[test]
    fn what_is_wrong_in_a_file_is_said_in_one_line() {
        for (file, says) in [
            ("memory = \n", "line 1"),
            ("\n\nmemory 64\n", "line 3"),
            ("colour = 1", "'colour' is no option"),
            ("machine = \"x\"", "'machine' is no option"),
            ("snapshot = \"on\"", "snapshot: give true or false"),
            ("memory = true", "memory: give a text or a number"),
            ("[memory]\nsize = 1", "memory: give a text or a number"),
            ("serial = [[]]", "serial: give a text or a number"),
        ] {
            let said = expanded(file, &["run", "--machine=FILE"]).unwrap_err();
            assert!(said.contains(says) && said.contains("--machine FILE") && !said.contains('\n'), "{said}");
        }
    }
}
