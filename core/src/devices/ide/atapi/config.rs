//! What the drive can do, what happened to it, and what a DVD is made of.
//!
//! Spec: MMC-3, 5.2 (features), 6.6 (events), 6.9 (mechanism), 6.22 (DVD structure).

use super::command::{be16, reply};
use super::sense::Sense;
use super::{Action, Cd, PACKET, event};

/// Profiles.
mod profile {
    pub(super) const CD_ROM: u16 = 0x0008;
    pub(super) const DVD_ROM: u16 = 0x0010;
}

/// A feature: code, version with persistent and current bits, and its data.
type Feature<'a> = (u16, u8, &'a [u8]);

pub(super) fn get_configuration(cd: &Cd, p: &[u8; PACKET], out: &mut [u8]) -> Result<Action, Sense> {
    let (wanted, first) = (p[1] & 3, be16(p, 2));
    if wanted == 3 {
        return Err(Sense::INVALID_FIELD);
    }
    let loaded = cd.blocks().is_ok();
    let dvd = cd.is_dvd();
    let current = match (loaded, dvd) {
        (false, _) => 0,
        (true, false) => profile::CD_ROM,
        (true, true) => profile::DVD_ROM,
    };
    let [dvd_high, dvd_low] = profile::DVD_ROM.to_be_bytes();
    let [cd_high, cd_low] = profile::CD_ROM.to_be_bytes();
    let profiles = [dvd_high, dvd_low, u8::from(dvd), 0, cd_high, cd_low, u8::from(loaded && !dvd), 0];
    let on = u8::from(loaded);
    let features: [Feature<'_>; 9] = [
        (0x0000, 0x03, &profiles),
        // Core: ATAPI.
        (0x0001, 0x0B, &[0, 0, 0, 2, 1, 0, 0, 0]),
        // Morphing: events are polled.
        (0x0002, 0x07, &[0x02, 0, 0, 0]),
        // Removable medium: tray, ejects, locks.
        (0x0003, 0x03, &[0x29, 0, 0, 0]),
        // Random readable: 2048-byte blocks, as many as there are in one ECC block.
        (0x0010, on, &[0, 0, 8, 0, 0, 1, 1, 0]),
        (0x001E, 0x08 | u8::from(loaded && !dvd), &[0, 0, 0, 0]),
        (0x001F, u8::from(dvd), &[]),
        // Power management.
        (0x0100, 0x03, &[]),
        // Commands may time out.
        (0x0105, 0x03, &[]),
    ];
    let mut len = 8;
    for (code, flags, data) in features {
        let take = match wanted {
            0 => usize::from(code) >= first,
            1 => usize::from(code) >= first && flags & 1 != 0,
            _ => usize::from(code) == first,
        };
        if take {
            out[len..len + 2].copy_from_slice(&code.to_be_bytes());
            out[len + 2] = flags;
            out[len + 3] = data.len() as u8;
            out[len + 4..len + 4 + data.len()].copy_from_slice(data);
            len += 4 + data.len();
        }
    }
    out[..4].copy_from_slice(&(len as u32 - 4).to_be_bytes());
    out[6..8].copy_from_slice(&current.to_be_bytes());
    Ok(reply(len, be16(p, 7)))
}

pub(super) fn event_status(cd: &mut Cd, p: &[u8; PACKET], out: &mut [u8]) -> Result<Action, Sense> {
    const MEDIA: u8 = 4;
    // Only polling: nothing is queued for later.
    if p[1] & 1 == 0 {
        return Err(Sense::INVALID_FIELD);
    }
    out[3] = 1 << MEDIA;
    if p[4] & 1 << MEDIA == 0 {
        // None of the classes asked for.
        out[1] = 2;
        out[2] = 0x80;
        return Ok(reply(4, be16(p, 7)));
    }
    out[1] = 6;
    out[2] = MEDIA;
    out[4] = core::mem::replace(&mut cd.event, event::NONE) & 0x0F;
    out[5] = u8::from(cd.medium.is_some_and(|n| n > 0) && !cd.tray_open) << 1 | u8::from(cd.tray_open);
    Ok(reply(8, be16(p, 7)))
}

pub(super) fn mechanism_status(cd: &Cd, p: &[u8; PACKET], out: &mut [u8]) -> Action {
    out[1] = u8::from(cd.tray_open) << 4;
    // No slots of a changer.
    out[5] = 1;
    reply(8, be16(p, 8))
}

pub(super) fn dvd_structure(cd: &Cd, p: &[u8; PACKET], out: &mut [u8]) -> Result<Action, Sense> {
    let blocks = cd.blocks()?;
    if !cd.is_dvd() {
        return Err(Sense::INCOMPATIBLE);
    }
    if p[6] != 0 {
        return Err(Sense::INVALID_FIELD);
    }
    let len = match p[7] {
        // Physical format: DVD-ROM part 1, 120 mm, one layer, sectors from 30000h on.
        0x00 => {
            out[4..8].copy_from_slice(&[0x01, 0x0F, 0x01, 0x00]);
            out[8..12].copy_from_slice(&0x0003_0000u32.to_be_bytes());
            let last = 0x0003_0000u32.saturating_add(blocks - 1);
            out[12..16].copy_from_slice(&last.min(0x00FF_FFFF).to_be_bytes());
            2048 + 4
        }
        // Copyright: none, all regions.
        0x01 => 8,
        // Which structures there are.
        0xFF => {
            out[4..12].copy_from_slice(&[0x00, 0x40, 0x08, 0x04, 0x01, 0x40, 0x00, 0x08]);
            12
        }
        _ => return Err(Sense::INVALID_FIELD),
    };
    out[..2].copy_from_slice(&(len as u16 - 2).to_be_bytes());
    Ok(reply(len, be16(p, 8)))
}
