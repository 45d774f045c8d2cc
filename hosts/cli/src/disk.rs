//! `nomad86 disk`: images made, shown, committed and exported; and the disks of a machine from its options.

use crate::args::disk::DiskCommand;
use crate::args::run::RunArgs;
use crate::outcome::{Failure, Outcome};
use nomad86::config::{Config, IdeSlot};
use nomad86::host::Drives;
use nomad86_host::disk::{
    DiskFileError, DriveSpec, Finding, Format, Info, Interface, Layout, Media, SECTOR, SpecError,
    check_floppy, commit, create_overlay, create_raw, export, info, parse_size,
};

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
            println!("{} KiB written to the base", sectors * SECTOR as u64 >> 10);
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

/// Opens the images and says in the configuration which drives there are.
pub(crate) fn open(layout: &Layout, snapshot: bool, config: &mut Config) -> Result<Drives, Failure> {
    let mut drives = layout.open(snapshot).map_err(|error| wrong(&error))?;
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
    Ok(drives)
}
