//! Disks in a state image: which they are and how their files were (`disk`, JSON), and what was written to
//! those that forget (`writ`: the place, then blocks).

use nomad86::host::{Disk, Host};
use nomad86::snapshot::{HostSection, Reader, SnapshotError, Source, Tag};
use nomad86_host::disk::{DriveSpec, Identity, Layout, Written};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::task::Poll;
use std::time::{Duration, Instant};

const DISKS: Tag = Tag(*b"disk");
const WRITTEN: Tag = Tag(*b"writ");
const VERSION: u16 = 1;
/// How long a disk may take to make its data durable.
const PATIENCE: Duration = Duration::from_secs(30);

/// The machine's disks as they were.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct Saved {
    drives: Vec<Drive>,
}

#[derive(Serialize, Deserialize, Debug)]
struct Drive {
    /// As a drive option, with its place.
    option: String,
    files: Vec<File>,
}

#[derive(Serialize, Deserialize, Debug)]
struct File {
    path: PathBuf,
    bytes: u64,
    modified: i64,
}

impl File {
    fn identity(&self) -> Identity {
        Identity { path: self.path.clone(), bytes: self.bytes, modified: self.modified }
    }
}

/// The sections for a machine's disks, whose data are made durable first.
pub(super) fn save(
    layout: &Layout,
    snapshot: bool,
    written: &[Written; 6],
    host: &mut Host,
) -> Result<Vec<HostSection>, String> {
    host.drives.ide.iter_mut().chain(&mut host.drives.floppy).flatten().try_for_each(flush)?;
    let drives = layout.specs(snapshot).into_iter().map(|spec| {
        let files = spec.files().map_err(|error| error.to_string())?;
        let file = |one: Identity| File { path: one.path, bytes: one.bytes, modified: one.modified };
        Ok(Drive { option: spec.to_string(), files: files.into_iter().map(file).collect() })
    });
    let saved = Saved { drives: drives.collect::<Result<_, String>>()? };
    let contents = serde_json::to_vec(&saved).map_err(|error| error.to_string())?;
    let mut sections = vec![HostSection { tag: DISKS, version: VERSION, contents }];
    for (place, written) in (0..).zip(written) {
        sections.extend(written.save().into_iter().map(|piece| {
            let mut contents = vec![place];
            contents.extend(piece);
            HostSection { tag: WRITTEN, version: VERSION, contents }
        }));
    }
    Ok(sections)
}

fn flush(disk: &mut Box<dyn Disk>) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        match disk.flush() {
            Poll::Ready(Ok(())) => return Ok(()),
            Poll::Pending if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(1)),
            _ => return Err("a disk cannot make its data durable: is there room on the host?".to_owned()),
        }
    }
}

/// Reads what was written to disks that forget.
pub(super) fn load_written(image: &mut impl Source, written: &[Written; 6]) -> Result<(), SnapshotError> {
    let mut reader = Reader::new(image)?;
    while let Some(section) = reader.next_section()? {
        if section.tag != WRITTEN {
            continue;
        }
        let loaded = section.contents.split_first().is_some_and(|(place, piece)| {
            written.get(usize::from(*place)).is_some_and(|written| written.load(piece))
        });
        if !loaded || section.version != VERSION {
            return Err(SnapshotError::Malformed { tag: WRITTEN, why: "these are no blocks of a disk" });
        }
    }
    Ok(())
}

impl Saved {
    /// The section among those of an image.
    pub(super) fn find(sections: &[HostSection]) -> Option<Result<Self, String>> {
        let section = sections.iter().find(|section| section.tag == DISKS)?;
        Some(match section.version {
            VERSION => serde_json::from_slice(&section.contents)
                .map_err(|error| format!("its list of disks cannot be read: {error}")),
            version => Err(format!("its list of disks has version {version}, this program reads {VERSION}")),
        })
    }

    fn specs(&self) -> Result<Vec<DriveSpec>, String> {
        let spec = |drive: &Drive| {
            drive
                .option
                .parse()
                .map_err(|error| format!("its disk \"{}\": {error}", drive.option.escape_default()))
        };
        self.drives.iter().map(spec).collect()
    }

    /// The drives as they were.
    pub(super) fn layout(&self) -> Result<Layout, String> {
        Layout::new(self.specs()?).map_err(|error| error.to_string())
    }

    /// Refuses files that are not as they were, by their names: those of `layout`, place by place.
    pub(super) fn check(&self, layout: &Layout) -> Result<(), String> {
        let place = |spec: &DriveSpec| (spec.interface, spec.index);
        for (spec, drive) in self.specs()?.iter().zip(&self.drives) {
            let now = layout.specs(false).into_iter().find(|now| place(now) == place(spec));
            let Some(now) = now else { continue };
            let files = now.files().map_err(|error| error.to_string())?;
            if files.len() != drive.files.len() {
                return Err(format!("{}: the saved machine had another disk here", now));
            }
            if let Some((now, _)) =
                files.iter().zip(&drive.files).find(|(now, then)| !now.is_same(&then.identity()))
            {
                return Err(format!(
                    "{}: the file was changed since the machine was saved; give it back as it was, or add \
                     --changed-disks if it holds the same",
                    now.path.display()
                ));
            }
        }
        Ok(())
    }
}
