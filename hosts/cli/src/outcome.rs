//! How it ended: messages and exit codes. Odd codes are the guest's, even ones ours.

use std::process::ExitCode;

/// Exit codes of our own; isa-debug-exit has the odd ones.
pub(crate) mod code {
    pub(crate) const CONFIGURATION: u8 = 2;
    pub(crate) const TRIPLE_FAULT: u8 = 4;
    pub(crate) const HALTED: u8 = 6;
    pub(crate) const TIMEOUT: u8 = 8;
    pub(crate) const LIMIT: u8 = 10;
    pub(crate) const NOT_SEEN: u8 = 12;
    pub(crate) const HOST: u8 = 14;
    pub(crate) const SIGNAL: u8 = 128;
}

/// Why nothing could be run, or running broke off.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// An option, file or combination that cannot be used.
    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self { code: code::CONFIGURATION, message: message.into() }
    }

    /// Something of the host that failed later.
    pub(crate) fn host(message: impl Into<String>) -> Self {
        Self { code: code::HOST, message: message.into() }
    }

    /// The message.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.message
    }

    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("nomad86: {}", self.message);
        ExitCode::from(self.code)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// How a machine's run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// All went well: nothing to say.
    Done,
    /// The guest switched the machine off.
    PowerOff,
    /// The guest reset the machine and `--no-reboot` was given.
    Reset,
    /// All texts of `--expect` were seen.
    Expected,
    /// The user ended it.
    Quit,
    /// The guest wrote to isa-debug-exit.
    Exit(u32),
    /// Triple fault, with the state of the processor.
    TripleFault(String),
    /// HLT with interrupts off, with the state of the processor.
    Halted(String),
    /// `--timeout`; what was still expected.
    Timeout(Option<String>),
    /// `--limit`.
    Limit,
    /// It ended before this text was seen.
    NotSeen(String),
    /// A signal.
    Signal(i32),
}

impl Outcome {
    /// Says what there is to say, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let (code, message) = match self {
            Self::Done | Self::PowerOff | Self::Reset | Self::Expected | Self::Quit => (0, None),
            Self::Exit(value) => ((value << 1 | 1) as u8, None),
            Self::TripleFault(state) => {
                (code::TRIPLE_FAULT, Some(format!("triple fault: the processor has shut down\n{state}")))
            }
            Self::Halted(state) => {
                (code::HALTED, Some(format!("the processor halted with interrupts off\n{state}")))
            }
            Self::Timeout(None) => (code::TIMEOUT, Some("the time of --timeout is over".to_owned())),
            Self::Timeout(Some(text)) => {
                (code::TIMEOUT, Some(format!("the time of --timeout is over, {text:?} was not seen")))
            }
            Self::Limit => (code::LIMIT, Some("the number of instructions of --limit is reached".to_owned())),
            Self::NotSeen(text) => {
                (code::NOT_SEEN, Some(format!("the machine ended, {text:?} was not seen")))
            }
            Self::Signal(number) => (code::SIGNAL.saturating_add(*number as u8), None),
        };
        if let Some(message) = message {
            eprintln!("nomad86: {message}");
        }
        ExitCode::from(code)
    }
}
