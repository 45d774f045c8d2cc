//! Mode pages.
//!
//! Spec: MMC-3, 5.3 and annex D (the capabilities page).

use super::command::{be16, op, reply};
use super::sense::Sense;
use super::{Action, Cd, MOST_PARAMETERS, PACKET};

/// Default of the error recovery page: all recovery, five retries.
pub(super) const RECOVERY: [u8; 2] = [0x00, 5];
/// Default of the audio control page: the first two channels left and right at full volume.
pub(super) const AUDIO: [u8; 8] = [0x01, 0xFF, 0x02, 0xFF, 0, 0, 0, 0];

/// Page codes.
mod page {
    pub(super) const RECOVERY: u8 = 0x01;
    pub(super) const CD: u8 = 0x0D;
    pub(super) const AUDIO: u8 = 0x0E;
    pub(super) const POWER: u8 = 0x1A;
    pub(super) const CAPABILITIES: u8 = 0x2A;
    pub(super) const ALL: u8 = 0x3F;
}

/// Which values MODE SENSE asks for.
mod control {
    pub(super) const CHANGEABLE: u8 = 1;
    pub(super) const DEFAULT: u8 = 2;
    pub(super) const SAVED: u8 = 3;
}

/// 24 times 176.4 kB/s.
const SPEED: u16 = 4234;

/// Writes one page and returns its length; 0 when there is no such page.
fn write_page(cd: &Cd, code: u8, which: u8, out: &mut [u8]) -> usize {
    let (recovery, audio) =
        if which == control::DEFAULT { (RECOVERY, AUDIO) } else { (cd.recovery, cd.audio) };
    let changeable = which == control::CHANGEABLE;
    let len = match code {
        page::RECOVERY => {
            out[2..4].copy_from_slice(if changeable { &[0x3F, 0xFF] } else { &recovery });
            12
        }
        page::CD => {
            if !changeable {
                // Inactivity time; seconds in a minute and frames in a second.
                out[3] = 0x0D;
                out[5] = 60;
                out[7] = 75;
            }
            8
        }
        page::AUDIO => {
            if changeable {
                out[8..12].fill(0xFF);
            } else {
                out[2] = 0x04;
                out[8..16].copy_from_slice(&audio);
            }
            16
        }
        page::POWER => 12,
        page::CAPABILITIES => {
            if !changeable {
                // Reads CD-R, CD-RW, method 2, DVD-ROM and DVD-R; writes nothing.
                out[2] = 0x1F;
                // Multisession, mode 2 forms 1 and 2.
                out[4] = 0x70;
                // C2 pointers, no R-W; reads bar code: no.
                out[5] = 0x10;
                // Tray; ejects; can be locked, and is or is not.
                out[6] = 0x29 | u8::from(cd.locked) << 1;
                out[8..10].copy_from_slice(&SPEED.to_be_bytes());
                out[12..14].copy_from_slice(&128u16.to_be_bytes());
                out[14..16].copy_from_slice(&SPEED.to_be_bytes());
            }
            20
        }
        _ => return 0,
    };
    out[0] = code;
    out[1] = len as u8 - 2;
    len
}

/// Medium type of the header.
fn medium_type(cd: &Cd) -> u8 {
    match cd.blocks() {
        _ if cd.tray_open => 0x71,
        Err(_) => 0x70,
        Ok(_) if cd.is_dvd() => 0x00,
        Ok(_) => 0x01,
    }
}

/// MODE SENSE.
pub(super) fn sense(cd: &Cd, p: &[u8; PACKET], out: &mut [u8]) -> Result<Action, Sense> {
    let (header, room) = if p[0] == op::MODE_SENSE_6 { (4, usize::from(p[4])) } else { (8, be16(p, 7)) };
    let (which, code) = (p[2] >> 6, p[2] & 0x3F);
    if which == control::SAVED {
        return Err(Sense::NO_SAVING);
    }
    let mut len = header;
    for known in [page::RECOVERY, page::CD, page::AUDIO, page::POWER, page::CAPABILITIES] {
        if code == known || code == page::ALL {
            len += write_page(cd, known, which, &mut out[len..]);
        }
    }
    if len == header {
        return Err(Sense::INVALID_FIELD);
    }
    if header == 4 {
        out[0] = len as u8 - 1;
        out[1] = medium_type(cd);
    } else {
        out[..2].copy_from_slice(&(len as u16 - 2).to_be_bytes());
        out[2] = medium_type(cd);
    }
    Ok(reply(len, room))
}

/// Whether a parameter list of this length can be taken.
pub(super) fn expect(len: usize) -> Result<Action, Sense> {
    match len {
        0 => Ok(Action::Done),
        n if n <= MOST_PARAMETERS => Ok(Action::Receive(n)),
        _ => Err(Sense::PARAMETER_LENGTH),
    }
}

/// MODE SELECT with its parameter list.
pub(super) fn select(cd: &mut Cd, p: &[u8; PACKET], list: &[u8]) -> Result<(), Sense> {
    let header = if p[0] == op::MODE_SELECT_6 { 4 } else { 8 };
    let mut rest = list.get(header..).ok_or(Sense::PARAMETER_LENGTH)?;
    // A block descriptor is passed over.
    let descriptor = if header == 4 { usize::from(list[3]) } else { be16(list, 6) };
    rest = rest.get(descriptor..).ok_or(Sense::PARAMETER_LENGTH)?;
    while let [code, len, ..] = *rest {
        let page = rest.get(..2 + usize::from(len)).ok_or(Sense::PARAMETER_LENGTH)?;
        match (code & 0x3F, page.len()) {
            (page::RECOVERY, 4..) => cd.recovery = [page[2], page[3]],
            (page::AUDIO, 16) => cd.audio[..4].copy_from_slice(&page[8..12]),
            (page::CD, 8) | (page::POWER, 12) | (page::CAPABILITIES, 20..) => {}
            _ => return Err(Sense::INVALID_PARAMETER),
        }
        rest = &rest[page.len()..];
    }
    if rest.is_empty() { Ok(()) } else { Err(Sense::PARAMETER_LENGTH) }
}
