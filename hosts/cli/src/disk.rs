//! `nomad86 disk`: images made, shown, committed and exported; and the disks of a machine from its options.

use crate::args::disk::DiskCommand;
use crate::args::run::RunArgs;
use crate::monitor;
use crate::outcome::{Failure, Outcome};
use nomad86::config::{Config, IdeSlot};
use nomad86::host::{Drives, Host};
use nomad86::machine::{Machine, Refusal, Removable};
use nomad86_host::disk::{
    DiskFileError, DriveSpec, Finding, Format, Info, Interface, Layout, Media, SECTOR, SpecError, Written,
    check_floppy, commit, create_overlay, create_raw, export, info, parse_size,
};
use std::path::Path;

/// Place of the CD-ROM drive that a machine has unless something else is there.
const CDROM: usize = 2;

fn wrong(error: &DiskFileError) -> Failure {
    Failure::configuration(error.to_string())
}

/// Does what the command says.
pub(crate) fn run(command: &DiskCommand) -> Result<Outcome, Failure> {
    let done = match command {
        DiskCommand::Create { file, base: Some(base), .. } => create_overlay(file, base),
        DiskCommand::Create { file, size, .. } => {
            parse_size(size.as_deref().unwrap_or_default()).and_then(|bytes| create_raw(file, bytes))
        }
        DiskCommand::Info { file } => info(file).map(|info| print!("{}", describe(&info))),
        DiskCommand::Commit { file } => commit(file).map(|sectors| {
            println!("{} KiB written to the base", sectors / 2);
        }),
        DiskCommand::Export { file, to } => export(file, to),
    };
    done.map(|()| Outcome::Done).map_err(|error| wrong(&error))
}

fn describe(info: &Info) -> String {
    let mut text = format!(
        "format    {}\nsize      {} bytes ({} sectors)\n",
        match info.format {
            Format::Overlay => "overlay",
            _ => "raw",
        },
        info.sectors * SECTOR as u64,
        info.sectors
    );
    if let Some(bytes) = info.allocated {
        text += &format!("on disk   {bytes} bytes\n");
    }
    if let Some(base) = &info.base {
        text += &format!("base      {}\nwritten   {} sectors\n", base.display(), info.written);
    }
    for finding in &info.findings {
        text += &format!("note      {finding}\n");
    }
    text
}

/// Finds a place for each drive that the options name.
pub(crate) fn layout(args: &RunArgs) -> Result<Layout, Failure> {
    let mut specs = Vec::new();
    for (index, file) in [&args.hda, &args.hdb, &args.hdc, &args.hdd].into_iter().enumerate() {
        specs.extend(file.iter().map(|file| DriveSpec::hard_disk(index as u8, file)));
    }
    specs.extend(args.cdrom.iter().map(DriveSpec::cdrom));
    for (index, file) in [&args.fda, &args.fdb].into_iter().enumerate() {
        specs.extend(file.iter().map(|file| DriveSpec::floppy(index as u8, file)));
    }
    specs.extend(args.drive.iter().cloned());
    if let Some(overlay) = &args.overlay {
        if args.snapshot {
            return Err(Failure::configuration("--overlay and --snapshot exclude each other: leave one out"));
        }
        let first =
            specs.iter_mut().find(|spec| spec.interface == Interface::Ide && spec.media == Media::Disk);
        let Some(first) = first else {
            return Err(Failure::configuration("--overlay goes with a hard disk (-hda), which is not there"));
        };
        first.overlay = Some(overlay.clone());
        first.check().map_err(spec_failure)?;
    }
    let mut layout = Layout::new(specs).map_err(spec_failure)?;
    // Where a CD can be put in later.
    let no_cdrom = !layout.ide_slots().contains(&IdeSlot::Cdrom);
    if let Some(place) = layout.ide.get_mut(CDROM).filter(|place| no_cdrom && place.is_none()) {
        *place = Some(DriveSpec { media: Media::Cdrom, ..DriveSpec::empty() });
    }
    Ok(layout)
}

fn spec_failure(error: SpecError) -> Failure {
    Failure::configuration(error.to_string())
}

/// Whether the options name any drive.
pub(crate) fn are_named(args: &RunArgs) -> bool {
    let files = [&args.hda, &args.hdb, &args.hdc, &args.hdd, &args.cdrom, &args.fda, &args.fdb];
    !args.drive.is_empty() || files.iter().any(|file| file.is_some())
}

/// Opens the images and says in the configuration which drives there are; with what each will forget.
pub(crate) fn open(
    layout: &Layout,
    snapshot: bool,
    config: &mut Config,
) -> Result<(Drives, [Written; 6]), Failure> {
    let (mut drives, written) = layout.open_keeping(snapshot).map_err(|error| wrong(&error))?;
    config.ide = layout.ide_slots();
    config.floppies = if layout.floppy[1].is_some() { 2 } else { 1 };
    for (spec, disk) in layout.floppy.iter().zip(&mut drives.floppy) {
        let (Some(spec), Some(disk)) = (spec, disk) else { continue };
        for finding in check_floppy(disk.as_mut()) {
            if let (Finding::FloppyMismatch(..), Some(file)) = (finding.clone(), &spec.file) {
                eprintln!("nomad86: {}: {finding}", file.display());
            }
        }
    }
    Ok((drives, written))
}

/// Puts another medium into a drive of the running machine, or takes it out.
pub(crate) fn exchange(
    machine: &mut Machine,
    host: &mut Host,
    drive: monitor::Drive,
    path: Option<&Path>,
) -> Result<(Removable, DriveSpec), String> {
    let (place, spec) = match drive {
        monitor::Drive::Cdrom => {
            let slot = machine.config().ide.iter().position(|slot| *slot == IdeSlot::Cdrom);
            (Removable::Cdrom(slot.unwrap_or(CDROM)), DriveSpec::cdrom(path.unwrap_or(Path::new(""))))
        }
        monitor::Drive::Floppy(n) => {
            (Removable::Floppy(n), DriveSpec::floppy(n as u8, path.unwrap_or(Path::new(""))))
        }
    };
    // An empty drive has no file.
    let spec = DriveSpec { file: spec.file.clone().filter(|_| path.is_some()), ..spec };
    let medium = nomad86_host::disk::open(&spec).map_err(|error| error.to_string())?;
    match machine.exchange(place, medium, host) {
        Ok(_) => Ok((place, spec)),
        Err(error) => Err(match error.why {
            Refusal::NoDrive => "this machine has no such drive".to_owned(),
            Refusal::Locked => "the guest has locked the drive; it has been asked to let go".to_owned(),
        }),
    }
}
