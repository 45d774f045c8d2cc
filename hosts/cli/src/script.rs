//! `--expect`, `--type`, `--send` and `--send-keys`: steps in the order in which they were given.

use clap::ArgMatches;
use nomad86::host::Key;
use nomad86_host::input::{InputQueue, chord_named};

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Wait until this is seen.
    Expect(String),
    /// Type this on the keyboard.
    Type(String),
    /// Send this down the first serial line.
    Send(Vec<u8>),
    /// Press these keys, one chord after another.
    Keys(Vec<Vec<Key>>),
}

/// Reads the steps from the command line, in its order.
pub(crate) fn steps(matches: &ArgMatches) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for id in ["expect", "type_text", "send", "send_keys"] {
        let Ok(Some(values)) = matches.try_get_many::<String>(id) else { continue };
        for (text, index) in values.zip(matches.indices_of(id).into_iter().flatten()) {
            steps.push((index, step(id, text)?));
        }
    }
    steps.sort_by_key(|(index, _)| *index);
    Ok(steps.into_iter().map(|(_, step)| step).collect())
}

fn step(id: &str, text: &str) -> Result<Step, String> {
    Ok(match id {
        "expect" if text.is_empty() => return Err("--expect: give the text to wait for".to_owned()),
        "expect" => Step::Expect(text.to_owned()),
        "type_text" => Step::Type(unescape(text)),
        "send" => Step::Send(unescape(text).into_bytes()),
        _ => {
            let chords = text.split(',').map(|chord| {
                chord_named(chord).ok_or_else(|| {
                    format!("--send-keys: there is no key chord '{chord}', name keys as in ctrl-alt-delete")
                })
            });
            Step::Keys(chords.collect::<Result<_, _>>()?)
        }
    })
}

/// `\n`, `\r`, `\t`, `\e`, `\\` and `\xHH`; other backslashes stand for themselves.
fn unescape(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        result.push_str(&rest[..place]);
        let behind = &rest[place + 1..];
        let (c, used) = match behind.chars().next() {
            Some('n') => ('\n', 1),
            Some('r') => ('\r', 1),
            Some('t') => ('\t', 1),
            Some('e') => ('\x1B', 1),
            Some('\\') => ('\\', 1),
            Some('x') => match behind.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(code) if code < 0x80 => (char::from(code), 3),
                _ => ('\\', 0),
            },
            _ => ('\\', 0),
        };
        result.push(c);
        rest = &behind[used..];
    }
    result.push_str(rest);
    result
}

/// Finds a text in a stream that comes in pieces.
#[derive(Clone, Debug, Default)]
struct Tail(Vec<u8>);

impl Tail {
    /// Whether `wanted` ends somewhere in `bytes` and began after the last reset. What is behind it is kept.
    fn feed(&mut self, bytes: &[u8], wanted: &[u8]) -> bool {
        self.0.extend_from_slice(bytes);
        if let Some(place) = self.0.windows(wanted.len().max(1)).position(|window| window == wanted) {
            self.0.drain(..place + wanted.len());
            return true;
        }
        let keep = wanted.len().saturating_sub(1);
        let from = self.0.len().saturating_sub(keep);
        self.0.drain(..from);
        false
    }
}

/// The steps, and how far they have come.
#[derive(Debug, Default)]
pub(crate) struct Script {
    steps: Vec<Step>,
    at: usize,
    /// One for each line that is watched.
    tails: Vec<Tail>,
    had_expect: bool,
}

impl Script {
    /// `lines` lines are watched.
    pub(crate) fn new(steps: Vec<Step>, lines: usize) -> Self {
        let had_expect = steps.iter().any(|step| matches!(step, Step::Expect(_)));
        Self { steps, at: 0, tails: vec![Tail::default(); lines], had_expect }
    }

    /// The text that is waited for.
    pub(crate) fn awaited(&self) -> Option<&str> {
        match self.steps.get(self.at) {
            Some(Step::Expect(text)) => Some(text),
            _ => None,
        }
    }

    /// Any text that is still to be seen.
    pub(crate) fn unseen(&self) -> Option<&str> {
        self.steps.get(self.at..)?.iter().find_map(|step| match step {
            Step::Expect(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Whether there was something to expect, nothing is left to do, and the last step was to expect.
    pub(crate) fn fulfilled(&self) -> bool {
        self.had_expect && self.at == self.steps.len() && matches!(self.steps.last(), Some(Step::Expect(_)))
    }

    /// A watched line has brought these bytes.
    pub(crate) fn heard(&mut self, line: usize, bytes: &[u8]) {
        let mut bytes = bytes;
        while let Some(Step::Expect(text)) = self.steps.get(self.at) {
            let Some(tail) = self.tails.get_mut(line) else { return };
            if !tail.feed(bytes, text.as_bytes()) {
                return;
            }
            bytes = &[];
            self.at += 1;
            for other in self.tails.iter_mut().enumerate().filter(|(n, _)| *n != line) {
                other.1.0.clear();
            }
        }
    }

    /// The screen shows this now: rows without the blanks at their ends, which a text may ask for all the same.
    pub(crate) fn seen(&mut self, screen: &str) {
        let Some(text) = self.awaited() else { return };
        let cut = text.trim_end_matches(' ');
        let blanks = text.len() - cut.len();
        let ends = blanks > 0 && !cut.is_empty() && screen.lines().any(|row| row.ends_with(cut));
        if ends || screen.contains(text) {
            self.at += 1;
        }
    }

    /// Does the steps that wait for nothing; `send` takes bytes for the serial line.
    pub(crate) fn act(&mut self, input: &InputQueue, mut send: impl FnMut(&[u8])) {
        while let Some(step) = self.steps.get(self.at) {
            match step {
                Step::Expect(_) => return,
                Step::Type(text) => input.type_text(text),
                Step::Send(bytes) => send(bytes),
                Step::Keys(chords) => chords.iter().for_each(|chord| input.chord(chord)),
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(text: &str) -> Step {
        Step::Expect(text.to_owned())
    }

    #[test]
    fn a_text_is_found_across_pieces_and_each_once() {
        let mut script = Script::new(vec![expect("login: "), expect("# "), expect("# ")], 1);
        script.heard(0, b"debian log");
        assert_eq!(script.awaited(), Some("login: "));
        script.heard(0, b"in: root\n# ");
        assert!(!script.fulfilled());
        script.heard(0, b"ls\n#");
        assert_eq!(script.unseen(), Some("# "));
        script.heard(0, b" ");
        assert!(script.fulfilled());
    }

    #[test]
    fn steps_between_are_done_in_their_turn() {
        let mut sent = Vec::new();
        let input = InputQueue::default();
        let mut script =
            Script::new(vec![Step::Type("a".into()), expect("b"), Step::Send(b"c".to_vec()), expect("d")], 2);
        script.act(&input, |bytes| sent.extend_from_slice(bytes));
        assert!(input.waiting() > 0 && sent.is_empty());
        script.heard(1, b"xbx");
        script.act(&input, |bytes| sent.extend_from_slice(bytes));
        assert_eq!(sent, b"c");
        script.seen("abcd");
        assert!(script.fulfilled());
    }

    #[test]
    fn blanks_at_the_end_of_a_row_are_seen() {
        let mut script = Script::new(vec![expect("login: "), expect("# "), expect("a\nb")], 0);
        script.seen("login:x\n");
        assert_eq!(script.awaited(), Some("login: "));
        script.seen("debian login:\n\n");
        assert_eq!(script.awaited(), Some("# "));
        script.seen("#!\n");
        assert_eq!(script.awaited(), Some("# "));
        script.seen("~ # ls\n");
        script.seen("a\nb\n");
        assert!(script.fulfilled());
        // A row of blanks is none that shows anything.
        let mut script = Script::new(vec![expect("  ")], 0);
        script.seen("\n\n");
        assert!(!script.fulfilled());
    }

    #[test]
    fn typing_last_leaves_the_machine_running() {
        let mut script = Script::new(vec![expect("a"), Step::Type("b".into())], 1);
        script.heard(0, b"a");
        script.act(&InputQueue::default(), |_| ());
        assert!(!script.fulfilled() && script.unseen().is_none());
        assert!(!Script::new(Vec::new(), 1).fulfilled());
    }

    #[test]
    fn escapes_are_those_that_people_know() {
        assert_eq!(unescape(r"a\nb\t\\\e\x03\q\"), "a\nb\t\\\x1B\x03\\q\\");
        assert_eq!(unescape(r"\xff\x4"), "\\xff\\x4");
    }

    #[test]
    fn keys_must_exist() {
        assert!(matches!(step("send_keys", "ctrl-c,ret"), Ok(Step::Keys(chords)) if chords.len() == 2));
        assert!(step("send_keys", "ctrl-any").is_err());
        assert!(step("expect", "").is_err());
    }
}
