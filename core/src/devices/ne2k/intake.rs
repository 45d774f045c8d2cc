//! When a card takes frames from its back end.
//!
//! On a wire, frames come when they come: at least 67 µs apart, and lost when the ring is full. A back end can
//! wait, and hands over many at once, so the card takes a batch only when its driver is ready for it: the ring
//! has room, and the last batch was acknowledged (ISR.PRX is clear). Both matter. Drivers look for the end of
//! the ring first and acknowledge afterwards: what arrives in between raises no interrupt. Linux's 8390 driver
//! moreover takes nine packets at most before it acknowledges. On a wire the next frame wakes such a driver up;
//! a ring that was filled in that moment would never see a next frame, and stay full for ever.
//!
//! A driver that does not do its part for [`PATIENCE`] gets its frames as from a wire. Those that poll and
//! never acknowledge live on that.

use super::chip::Chip;
use super::regs::isr;

/// Packets of one batch: all that a driver takes before it acknowledges them.
pub(super) const BATCH: usize = 8;
/// How often a card looks whether the guest is ready before it loses patience. Regular looks are 250 µs apart
/// while the machine runs, and the time in which the host does not let it run does not count.
const PATIENCE: u16 = 200;

/// How long frames have been waiting for the guest, in looks.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Intake {
    /// To acknowledge the last batch.
    acknowledgement: u16,
    /// To make room in the ring.
    room: u16,
}
crate::archive_fields!(Intake { acknowledgement, room });

/// What may be taken now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Take {
    /// Nothing yet: the guest is about to do its part.
    Nothing,
    /// As many packets as the ring has room for.
    Room,
    /// Packets, whether there is room for them or not.
    Anything,
}

impl Intake {
    /// Looks at the chip's state.
    pub(super) fn look(&mut self, chip: &Chip) -> Take {
        let (acknowledged, room) = (is_acknowledged(chip), chip.can_receive());
        if wait(&mut self.acknowledgement, !acknowledged) | wait(&mut self.room, !room) {
            Take::Nothing
        } else if room {
            Take::Room
        } else {
            Take::Anything
        }
    }
}

/// Whether the guest has done its part.
pub(super) fn is_ready(chip: &Chip) -> bool {
    is_acknowledged(chip) && chip.can_receive()
}

fn is_acknowledged(chip: &Chip) -> bool {
    !chip.is_listening() || chip.isr & isr::PRX == 0
}

/// Counts the looks at something that is awaited; whether to wait for it still.
fn wait(looks: &mut u16, awaited: bool) -> bool {
    *looks = if awaited { looks.saturating_add(1) } else { 0 };
    awaited && *looks <= PATIENCE
}
