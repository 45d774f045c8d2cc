//! The spellings of other emulators' guides: `-hda disk.img` is `--hda=disk.img`.
//!
//! Long options may have one hyphen or two. The value of an option is tied to it here, so that values may
//! begin with hyphens themselves (`-append -v`). Without a subcommand, `run` is meant.

use clap::{ArgAction, Command};

/// Rewrites the arguments behind the program's name for `command`.
pub(crate) fn normalise(command: &Command, arguments: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut rest = arguments.into_iter().peekable();
    let mut result = Vec::new();
    let named = rest.peek().and_then(|first| command.find_subcommand(first));
    let subcommand = match (named, rest.peek().map(String::as_str)) {
        (Some(subcommand), _) => {
            result.extend(rest.next());
            subcommand
        }
        (None, Some("-h" | "--help" | "-help" | "-V" | "--version" | "-version" | "help")) => {
            result.extend(rest.map(|word| match word.as_str() {
                "-help" | "-version" => format!("-{word}"),
                _ => word,
            }));
            return result;
        }
        (None, Some(first)) if first.starts_with('-') => {
            result.push("run".to_owned());
            command.find_subcommand("run").unwrap_or(command)
        }
        // A word that is no subcommand: clap says so.
        (None, _) => return rest.collect(),
    };
    // Subcommands of subcommands have positional words; they are left as they are.
    while let Some(word) = rest.next() {
        if word == "--" {
            result.push(word);
            result.extend(rest);
            break;
        }
        let Some((long, takes_value)) = option(subcommand, &word) else {
            result.push(if is_long(subcommand, &word) { format!("-{word}") } else { word });
            continue;
        };
        match (takes_value, word.contains('=') && word.starts_with("--"), rest.peek()) {
            (true, false, Some(_)) => {
                let value = rest.next().unwrap_or_default();
                result.push(format!("--{long}={value}"));
            }
            (_, true, _) => result.push(word),
            _ => result.push(format!("--{long}")),
        }
    }
    result
}

/// Whether a word with one hyphen can only be a long option: the parser is to name all of it.
fn is_long(command: &Command, word: &str) -> bool {
    let mut letters = word.strip_prefix('-').unwrap_or_default().chars();
    let first = letters.next().filter(char::is_ascii_alphabetic);
    let known = command.get_arguments().any(|arg| first.is_some() && arg.get_short() == first);
    first.is_some() && letters.next().is_some() && !known
}

/// The long name of the option that `word` is and whether it takes a value.
fn option(command: &Command, word: &str) -> Option<(String, bool)> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    let name = if word.starts_with("--") { name.split('=').next().unwrap_or(name) } else { name };
    let arg = command.get_arguments().find(|arg| {
        let long = arg.get_long() == Some(name)
            || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name));
        let mut letters = name.chars();
        let short = letters.next().is_some_and(|c| arg.get_short() == Some(c)) && letters.next().is_none();
        long || short && !word.starts_with("--")
    })?;
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    Some((arg.get_long()?.to_owned(), takes_value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn normal(words: &[&str]) -> Vec<String> {
        normalise(&crate::args::Cli::command(), words.iter().map(|&word| word.to_owned()))
    }

    #[test]
    fn one_hyphen_is_as_good_as_two_and_run_is_meant_without_a_subcommand() {
        assert_eq!(
            normal(&["-m", "64", "-kernel", "a", "-nographic"]),
            ["run", "--memory=64", "--kernel=a", "--nographic"]
        );
        assert_eq!(normal(&["run", "--hda", "x", "-no-reboot"]), ["run", "--hda=x", "--no-reboot"]);
    }

    #[test]
    fn values_may_look_like_options() {
        assert_eq!(normal(&["-append", "-nographic"]), ["run", "--append=-nographic"]);
        assert_eq!(normal(&["--append=-m", "-m", "64"]), ["run", "--append=-m", "--memory=64"]);
        assert_eq!(normal(&["-append", "a=b"]), ["run", "--append=a=b"]);
    }

    #[test]
    fn what_is_not_known_stays_for_the_parser_to_refuse() {
        assert_eq!(normal(&["-nonsense", "x"]), ["run", "--nonsense", "x"]);
        assert_eq!(normal(&["-m64", "-h"]), ["run", "-m64", "-h"]);
        assert_eq!(normal(&["-perf-map=a"]), ["run", "--perf-map=a"]);
        assert_eq!(normal(&["walk", "-m"]), ["walk", "-m"]);
        assert_eq!(normal(&["-m"]), ["run", "--memory"]);
        assert_eq!(normal(&["--help"]), ["--help"]);
    }
}
