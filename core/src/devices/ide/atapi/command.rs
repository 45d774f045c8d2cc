//! Which packet does what, and the short commands.

use super::sense::Sense;
use super::{Action, BLOCK, Cd, PACKET, config, mode, read, toc};
use crate::devices::ide::identify;

/// Operation codes.
pub(super) mod op {
    pub(crate) const TEST_UNIT_READY: u8 = 0x00;
    pub(crate) const REZERO_UNIT: u8 = 0x01;
    pub(crate) const REQUEST_SENSE: u8 = 0x03;
    pub(crate) const INQUIRY: u8 = 0x12;
    pub(crate) const MODE_SELECT_6: u8 = 0x15;
    pub(crate) const MODE_SENSE_6: u8 = 0x1A;
    pub(crate) const START_STOP_UNIT: u8 = 0x1B;
    pub(crate) const PREVENT_ALLOW: u8 = 0x1E;
    pub(crate) const READ_FORMAT_CAPACITIES: u8 = 0x23;
    pub(crate) const READ_CAPACITY: u8 = 0x25;
    pub(crate) const READ_10: u8 = 0x28;
    pub(crate) const SEEK_10: u8 = 0x2B;
    pub(crate) const VERIFY_10: u8 = 0x2F;
    pub(crate) const SYNCHRONIZE_CACHE: u8 = 0x35;
    pub(crate) const READ_SUBCHANNEL: u8 = 0x42;
    pub(crate) const READ_TOC: u8 = 0x43;
    pub(crate) const READ_HEADER: u8 = 0x44;
    pub(crate) const PLAY_AUDIO_10: u8 = 0x45;
    pub(crate) const GET_CONFIGURATION: u8 = 0x46;
    pub(crate) const PLAY_AUDIO_MSF: u8 = 0x47;
    pub(crate) const GET_EVENT_STATUS: u8 = 0x4A;
    pub(crate) const PAUSE_RESUME: u8 = 0x4B;
    pub(crate) const STOP_PLAY: u8 = 0x4E;
    pub(crate) const READ_DISC_INFORMATION: u8 = 0x51;
    pub(crate) const READ_TRACK_INFORMATION: u8 = 0x52;
    pub(crate) const MODE_SELECT_10: u8 = 0x55;
    pub(crate) const MODE_SENSE_10: u8 = 0x5A;
    pub(crate) const PLAY_AUDIO_12: u8 = 0xA5;
    pub(crate) const READ_12: u8 = 0xA8;
    pub(crate) const READ_DVD_STRUCTURE: u8 = 0xAD;
    pub(crate) const READ_CD_MSF: u8 = 0xB9;
    pub(crate) const SCAN: u8 = 0xBA;
    pub(crate) const SET_CD_SPEED: u8 = 0xBB;
    pub(crate) const MECHANISM_STATUS: u8 = 0xBD;
    pub(crate) const READ_CD: u8 = 0xBE;
}

pub(super) fn be16(p: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([p[at], p[at + 1]]))
}

pub(super) fn be32(p: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([p[at], p[at + 1], p[at + 2], p[at + 3]])
}

/// Runs a packet. Replies are made in `out`, whose first 4096 bytes are zero.
pub(super) fn run(cd: &mut Cd, slot: u8, p: &[u8; PACKET], out: &mut [u8]) -> Result<Action, Sense> {
    // What tells about the drive itself goes on under a unit attention; all else ends with it.
    let quiet =
        matches!(p[0], op::INQUIRY | op::REQUEST_SENSE | op::GET_EVENT_STATUS | op::GET_CONFIGURATION);
    if !quiet && let Some(sense) = cd.attention.take() {
        return Err(sense);
    }
    if p[0] != op::REQUEST_SENSE {
        cd.sense = Sense::NONE;
    }
    match p[0] {
        op::TEST_UNIT_READY | op::REZERO_UNIT => cd.blocks().map(|_| Action::Done),
        op::REQUEST_SENSE => {
            let sense = match core::mem::take(&mut cd.sense) {
                Sense::NONE => cd.attention.take().unwrap_or_default(),
                sense => sense,
            };
            out[..18].copy_from_slice(&sense.data());
            Ok(reply(18, usize::from(p[4])))
        }
        op::INQUIRY => inquiry(slot, p, out),
        op::START_STOP_UNIT => start_stop(cd, p[4]),
        op::PREVENT_ALLOW => {
            cd.locked = p[4] & 1 != 0;
            Ok(Action::Done)
        }
        op::READ_CAPACITY => {
            let last = cd.blocks()? - 1;
            out[..4].copy_from_slice(&last.to_be_bytes());
            out[4..8].copy_from_slice(&(BLOCK as u32).to_be_bytes());
            Ok(Action::Reply(8))
        }
        op::READ_FORMAT_CAPACITIES => {
            // One descriptor: formatted medium (2), or no medium with the most there can be (3).
            let (blocks, kind) = cd.blocks().map_or((super::CD_BLOCKS, 3), |n| (n, 2));
            out[3] = 8;
            out[4..8].copy_from_slice(&blocks.to_be_bytes());
            out[8..12].copy_from_slice(&(BLOCK as u32).to_be_bytes());
            out[8] = kind;
            Ok(reply(12, be16(p, 7)))
        }
        op::READ_10 => read::plain(cd, be32(p, 2), be16(p, 7) as u32),
        op::READ_12 => read::plain(cd, be32(p, 2), be32(p, 6)),
        op::READ_CD => read::raw(cd, p),
        op::READ_CD_MSF => read::raw_msf(cd, p),
        op::SEEK_10 => read::plain(cd, be32(p, 2), 0),
        // Byte-by-byte comparison would need data from the host.
        op::VERIFY_10 if p[1] & 0x02 != 0 => Err(Sense::INVALID_FIELD),
        op::VERIFY_10 => {
            read::plain(cd, be32(p, 2), be16(p, 7) as u32)?;
            Ok(Action::Done)
        }
        op::SYNCHRONIZE_CACHE | op::SET_CD_SPEED => Ok(Action::Done),
        op::READ_TOC => toc::read_toc(cd, p, out),
        op::READ_SUBCHANNEL => toc::subchannel(cd, p, out),
        op::READ_HEADER => toc::header(cd, p, out),
        op::READ_DISC_INFORMATION => toc::disc_information(cd, p, out),
        op::READ_TRACK_INFORMATION => toc::track_information(cd, p, out),
        // There is no audio track to play.
        op::PLAY_AUDIO_10 | op::PLAY_AUDIO_MSF | op::PLAY_AUDIO_12 | op::SCAN => {
            cd.blocks().and(Err(Sense::WRONG_TRACK_MODE))
        }
        // Nothing is being played, so there is nothing to pause; stopping is always right.
        op::PAUSE_RESUME => cd.blocks().and(Err(Sense { asc: 0x2C, ..Sense::INVALID_FIELD })),
        op::STOP_PLAY => cd.blocks().map(|_| Action::Done),
        op::GET_CONFIGURATION => config::get_configuration(cd, p, out),
        op::GET_EVENT_STATUS => config::event_status(cd, p, out),
        op::MECHANISM_STATUS => Ok(config::mechanism_status(cd, p, out)),
        op::READ_DVD_STRUCTURE => config::dvd_structure(cd, p, out),
        op::MODE_SENSE_6 | op::MODE_SENSE_10 => mode::sense(cd, p, out),
        op::MODE_SELECT_6 => mode::expect(usize::from(p[4])),
        op::MODE_SELECT_10 => mode::expect(be16(p, 7)),
        _ => Err(Sense::INVALID_COMMAND),
    }
}

/// A reply cut to what the guest has room for.
pub(super) fn reply(len: usize, room: usize) -> Action {
    Action::Reply(len.min(room))
}

fn inquiry(slot: u8, p: &[u8; PACKET], out: &mut [u8]) -> Result<Action, Sense> {
    let room = be16(p, 3);
    if p[1] & 1 == 0 {
        if p[2] != 0 {
            return Err(Sense::INVALID_FIELD);
        }
        out[0] = 0x05;
        // Removable; ATAPI; the response format that it asks for.
        out[1] = 0x80;
        out[2] = 0x00;
        out[3] = 0x21;
        out[4] = 31;
        fill(&mut out[8..16], "NOMAD86");
        fill(&mut out[16..32], "CD-ROM");
        fill(&mut out[32..36], identify::FIRMWARE);
        return Ok(reply(36, room));
    }
    // Vital product data.
    out[0] = 0x05;
    out[1] = p[2];
    let len = match p[2] {
        0x00 => {
            out[4..7].copy_from_slice(&[0x00, 0x80, 0x83]);
            3
        }
        0x80 => {
            let serial = identify::serial(slot);
            fill(&mut out[4..4 + serial.len()], serial);
            serial.len()
        }
        0x83 => {
            // One identification descriptor: ASCII, vendor's own.
            let serial = identify::serial(slot);
            out[4] = 0x02;
            out[7] = serial.len() as u8;
            fill(&mut out[8..8 + serial.len()], serial);
            4 + serial.len()
        }
        _ => return Err(Sense::INVALID_FIELD),
    };
    out[3] = len as u8;
    Ok(reply(4 + len, room))
}

/// Text padded with blanks.
fn fill(out: &mut [u8], text: &str) {
    for (to, from) in out.iter_mut().zip(text.bytes().chain(core::iter::repeat(b' '))) {
        *to = from;
    }
}

fn start_stop(cd: &mut Cd, what: u8) -> Result<Action, Sense> {
    const START: u8 = 1;
    const LOAD_EJECT: u8 = 2;
    match what & (START | LOAD_EJECT) {
        LOAD_EJECT if cd.locked => return Err(Sense::LOCKED),
        LOAD_EJECT => cd.open_tray(),
        3 => cd.close_tray(),
        // Power conditions in the high half need no medium.
        START if what & 0xF0 == 0 => return cd.blocks().map(|_| Action::Done),
        _ => {}
    }
    Ok(Action::Done)
}
