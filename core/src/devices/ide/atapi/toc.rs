//! What is on the disc: table of contents, track and disc information, position.

use super::command::{be16, be32, reply};
use super::sector::to_msf;
use super::sense::Sense;
use super::{Action, Cd, PACKET};

/// Q channel: the address field holds a position; a data track.
const ADR_CONTROL: u8 = 0x14;
const LEAD_OUT: u8 = 0xAA;

/// An address in the form that the guest wants.
fn address(lba: u32, msf: bool) -> [u8; 4] {
    if msf {
        let [m, s, f] = to_msf(lba);
        [0, m, s, f]
    } else {
        lba.to_be_bytes()
    }
}

pub(super) fn read_toc(cd: &Cd, p: &[u8; PACKET], out: &mut [u8]) -> Result<Action, Sense> {
    let blocks = cd.blocks()?;
    let msf = p[1] & 2 != 0;
    // SFF-8020i had the format in the last byte.
    let format = if p[2] & 0x0F == 0 { p[9] >> 6 } else { p[2] & 0x0F };
    let len = match format {
        0 => {
            let mut at = 4;
            for (track, lba) in [(1, 0), (LEAD_OUT, blocks)] {
                if track >= p[6] {
                    out[at + 1] = ADR_CONTROL;
                    out[at + 2] = track;
                    out[at + 4..at + 8].copy_from_slice(&address(lba, msf));
                    at += 8;
                }
            }
            if p[6] > 1 && p[6] != LEAD_OUT {
                return Err(Sense::INVALID_FIELD);
            }
            at
        }
        1 => {
            out[5] = ADR_CONTROL;
            out[6] = 1;
            out[8..12].copy_from_slice(&address(0, msf));
            12
        }
        2 => {
            let points = [(0xA0, [1, 0, 0]), (0xA1, [1, 0, 0]), (0xA2, to_msf(blocks)), (1, to_msf(0))];
            for (entry, (point, time)) in out[4..].chunks_exact_mut(11).zip(points) {
                entry[0] = 1;
                entry[1] = ADR_CONTROL;
                entry[3] = point;
                entry[8..11].copy_from_slice(&time);
            }
            4 + 4 * 11
        }
        _ => return Err(Sense::INVALID_FIELD),
    };
    out[..2].copy_from_slice(&(len as u16 - 2).to_be_bytes());
    // First and last track, or session.
    out[2] = 1;
    out[3] = 1;
    Ok(reply(len, be16(p, 7)))
}

pub(super) fn subchannel(cd: &Cd, p: &[u8; PACKET], out: &mut [u8]) -> Result<Action, Sense> {
    cd.blocks()?;
    let msf = p[1] & 2 != 0;
    // No audio is being played.
    out[1] = 0x15;
    let len = if p[2] & 0x40 == 0 {
        4
    } else {
        out[4] = p[3];
        match p[3] {
            1 => {
                out[5] = ADR_CONTROL;
                out[6] = 1;
                out[7] = 1;
                out[8..12].copy_from_slice(&address(0, msf));
                // The time within the track, which for MSF has no lead of two seconds.
                16
            }
            // Neither a catalogue number nor a recording code.
            2 | 3 => 24,
            _ => return Err(Sense::INVALID_FIELD),
        }
    };
    out[3] = len as u8 - 4;
    Ok(reply(len, be16(p, 7)))
}

pub(super) fn header(cd: &Cd, p: &[u8; PACKET], out: &mut [u8]) -> Result<Action, Sense> {
    let lba = be32(p, 2);
    if lba >= cd.blocks()? {
        return Err(Sense::OUT_OF_RANGE);
    }
    out[0] = 1;
    out[4..8].copy_from_slice(&address(lba, p[1] & 2 != 0));
    Ok(reply(8, be16(p, 7)))
}

pub(super) fn disc_information(cd: &Cd, p: &[u8; PACKET], out: &mut [u8]) -> Result<Action, Sense> {
    cd.blocks()?;
    if p[1] & 7 != 0 {
        return Err(Sense::INVALID_FIELD);
    }
    out[1] = 32;
    // A complete disc whose last session is complete.
    out[2] = 0x0E;
    out[3..7].copy_from_slice(&[1, 1, 1, 1]);
    out[7] = 0x20;
    // Neither another session's lead-in nor its lead-out can come.
    out[16..24].fill(0xFF);
    Ok(reply(34, be16(p, 7)))
}

pub(super) fn track_information(cd: &Cd, p: &[u8; PACKET], out: &mut [u8]) -> Result<Action, Sense> {
    let blocks = cd.blocks()?;
    let number = be32(p, 2);
    let known = match p[1] & 3 {
        0 => number < blocks,
        1 | 2 => number == 1,
        _ => false,
    };
    if !known {
        return Err(Sense::INVALID_FIELD);
    }
    out[1] = 34;
    out[2] = 1;
    out[3] = 1;
    out[5] = 0x04;
    out[6] = 0x01;
    out[24..28].copy_from_slice(&blocks.to_be_bytes());
    Ok(reply(36, be16(p, 7)))
}
