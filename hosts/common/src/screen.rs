//! What shows a machine to its user and takes the user's doing, between two runs of the machine.

use std::time::Duration;

/// What the user asked of the program around the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// End the machine, whatever the guest does.
    Quit,
    /// Write the screen to a file.
    Screenshot,
    /// Write the machine's state to a file.
    Save,
    /// Stop the machine, or let it go on.
    Pause,
}

/// What the program says about the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    /// Instructions are executed, or an interrupt is waited for.
    #[default]
    Running,
    /// The user has stopped it.
    Paused,
    /// The processor has halted with interrupts off.
    Halted,
}

/// A window, a terminal, or whatever else shows the machine.
///
/// The picture itself comes through [`nomad86::host::Display`] while the machine runs.
pub trait Screen {
    /// Shows what is new, takes what the user did; called after each run of the machine.
    fn turn(&mut self, state: State) -> Option<Wish>;
    /// Tells the user how a wish went: one line.
    fn tell(&mut self, message: &str);
    /// How long the user may wait for the next turn.
    fn patience(&self) -> Duration;
}
