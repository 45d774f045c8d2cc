//! `--restore`, `--save` and `nomad86 snapshot`.

mod disks;

use crate::args::snapshot::Snapshot;
use crate::disk;
use crate::outcome::{Failure, Outcome};
use crate::setup::{self, Plan};
use nomad86::config::Config;
use nomad86::host::Host;
use nomad86::jit::Windows;
use nomad86::machine::{Machine, Removable};
use nomad86::net::{MacAddress, MacPolicy};
use nomad86::snapshot::{self, RestoreOptions, Restored, Tag};
use nomad86_host::disk::{DriveSpec, Layout, Written};
use nomad86_host::net::Mac;
use nomad86_host::net::spec::{Backend, NicSpec};
use nomad86_host::state::{self, Image, StateError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where a key or a signal saves to when `--save` names no file.
const USUAL: &str = "nomad86.state";

fn wrong(error: StateError) -> Failure {
    Failure::configuration(error.to_string())
}

/// What becomes of addresses.
fn policy(plan: &Plan) -> MacPolicy {
    match &plan.args {
        args if args.preserve_mac_from_state_image => MacPolicy::Preserve,
        args if args.mac_address_translation => MacPolicy::Translate,
        args => args.mac.unwrap_or_default(),
    }
}

/// The machine of an image. What the options say of it must agree with the image.
pub(crate) fn restore(
    plan: &mut Plan,
    options: Config,
    path: &Path,
    written: &[Written; 6],
    windows: &mut Option<Box<dyn Windows>>,
) -> Result<Machine, Failure> {
    let mut image = Image::open(path).map_err(wrong)?;
    image.read(|image| disks::load_written(image, written)).map_err(wrong)?;
    let mut config = image.read(snapshot::config).map_err(wrong)?;
    adopt(plan, options, &mut config);
    attach(plan, &config, path)?;
    let memory = setup::memory(&plan.args, config.memory_needed(), windows)?;
    let mac = policy(plan);
    let seed = plan.args.seed.unwrap_or_else(|| RandomState::new().hash_one(std::process::id()));
    let Restored { mut machine, unknown, missing } = image
        .read(|image| Machine::restore(config, memory, image, RestoreOptions { mac, seed }))
        .map_err(wrong)?;
    if !unknown.is_empty() {
        eprintln!("nomad86: {}: parts of a newer program are left out: {}", path.display(), tags(&unknown));
    }
    if !missing.is_empty() {
        eprintln!("nomad86: {}: parts that it lacks begin anew: {}", path.display(), tags(&missing));
    }
    address(plan, &mut machine, mac)?;
    Ok(machine)
}

fn tags(tags: &[Tag]) -> String {
    tags.iter().map(Tag::to_string).collect::<Vec<_>>().join(", ")
}

/// Lets options that were given stand in place of the image's: they are compared when it is restored.
fn adopt(plan: &Plan, options: Config, config: &mut Config) {
    let args = &plan.args;
    if args.memory.is_some() {
        config.memory = options.memory;
    }
    if args.cpu.is_some() {
        config.cpu = options.cpu;
    }
    if args.icount.is_some() {
        config.clock = options.clock;
    }
    if args.bios.is_some() {
        config.bios = options.bios;
    }
    if args.vga_bios.is_some() {
        config.vga_bios = options.vga_bios;
    }
    if args.post_log.is_some() {
        config.post_port = options.post_port;
    }
    // The drives are open by now.
    (config.ide, config.floppies) = (options.ide, options.floppies);
    // A kernel that was too long for the image.
    config.kernel = config.kernel.take().or(options.kernel);
}

/// The disks of an image's machine, where the options name none; each file must be as it was.
pub(crate) fn adopt_disks(plan: &mut Plan, path: &Path) -> Result<(), Failure> {
    let contents = Image::open(path).and_then(|mut image| image.inspect()).map_err(wrong)?;
    let Some(saved) = disks::Saved::find(&contents.host) else {
        // Saved by a host that keeps its disks elsewhere.
        return Ok(());
    };
    let saved = saved.map_err(|why| Failure::configuration(format!("{}: {why}", path.display())))?;
    if !disk::are_named(&plan.args) {
        plan.disks =
            saved.layout().map_err(|why| Failure::configuration(format!("{}: {why}", path.display())))?;
    }
    if !plan.args.changed_disks {
        saved.check(&plan.disks).map_err(Failure::configuration)?;
    }
    Ok(())
}

/// A cable for each card of the image.
fn attach(plan: &mut Plan, config: &Config, path: &Path) -> Result<(), Failure> {
    let cards = config.cards.len();
    if plan.args.nic.is_empty() && plan.args.net.is_empty() {
        plan.nics = (0..cards).map(|_| NicSpec::new(Backend::User(Box::default()))).collect();
    }
    if plan.nics.len() != cards {
        return Err(Failure::configuration(format!(
            "{}: its machine has {cards} network cards, the options --nic give {}: give one for each",
            path.display(),
            plan.nics.len()
        )));
    }
    Ok(())
}

/// Addresses that options give, and those that back ends are to know.
fn address(plan: &mut Plan, machine: &mut Machine, policy: MacPolicy) -> Result<(), Failure> {
    for (number, spec) in plan.nics.iter_mut().enumerate() {
        let given = plan.args.nic.iter().chain(&plan.args.net).any(|text| text.contains("mac="));
        if let Some(mac) = spec.mac.filter(|_| given) {
            if policy == MacPolicy::Preserve {
                return Err(Failure::configuration(
                    "--nic mac= and --mac preserve exclude each other: leave one out",
                ));
            }
            machine.devices.ne2k.restored(number, policy, MacAddress(mac.0));
        }
        spec.mac = machine.devices.ne2k.macs(number).map(|macs| Mac(macs.wire.0));
    }
    Ok(())
}

/// Saves states of one machine.
pub(crate) struct Saver {
    path: PathBuf,
    at_end: bool,
    layout: Layout,
    snapshot: bool,
    written: [Written; 6],
}

impl Saver {
    pub(crate) fn new(plan: &Plan, written: [Written; 6]) -> Self {
        let path = plan.args.save.clone();
        Self {
            at_end: path.is_some(),
            path: path.unwrap_or_else(|| PathBuf::from(USUAL)),
            layout: plan.disks.clone(),
            snapshot: plan.args.snapshot,
            written,
        }
    }

    /// Another medium is in a drive.
    pub(crate) fn exchanged(&mut self, place: Removable, spec: DriveSpec) {
        let drive = match place {
            Removable::Cdrom(slot) => self.layout.ide.get_mut(slot),
            Removable::Floppy(number) => self.layout.floppy.get_mut(number),
        };
        if let Some(drive) = drive {
            *drive = Some(spec);
        }
    }

    /// Saves, and says what became of it.
    pub(crate) fn save(
        &self,
        machine: &mut Machine,
        host: &mut Host,
        path: Option<&Path>,
    ) -> Result<String, String> {
        let path = path.unwrap_or(&self.path);
        let begun = Instant::now();
        let mut shown = begun;
        let watched = io::stderr().is_terminal();
        let mut progress = |bytes: u64| {
            if watched && shown.elapsed() > Duration::from_millis(200) {
                shown = Instant::now();
                eprint!("\r\x1B[Ksaving {}: {} MiB", path.display(), bytes >> 20);
                let _ = io::stderr().flush();
            }
        };
        let host_sections = disks::save(&self.layout, self.snapshot, &self.written, host)?;
        let bytes =
            state::save(machine, path, &host_sections, &mut progress).map_err(|error| error.to_string())?;
        if shown != begun {
            eprint!("\r\x1B[K");
        }
        let left_out = machine.left_out_of_images();
        let note = if left_out.is_empty() {
            String::new()
        } else {
            let what = tags(&left_out);
            format!("; without {what}, too large for it: once restored, the guest cannot reboot from them")
        };
        Ok(format!(
            "saved to {}: {:.1} MiB in {:.2} s{note}",
            path.display(),
            bytes as f64 / (1 << 20) as f64,
            begun.elapsed().as_secs_f64()
        ))
    }

    /// `--save`: what the run ended with, or why its state is lost.
    pub(crate) fn end(
        &self,
        machine: &mut Machine,
        host: &mut Host,
        outcome: Outcome,
    ) -> Result<Outcome, Failure> {
        if !self.at_end || outcome == Outcome::PowerOff {
            return Ok(outcome);
        }
        let said = self.save(machine, host, None).map_err(|why| Failure::host(format!("--save {why}")))?;
        eprintln!("nomad86: {said}");
        Ok(outcome)
    }
}

/// `nomad86 snapshot`.
pub(crate) fn command(command: &Snapshot) -> Result<Outcome, Failure> {
    let Snapshot::Info { file } = command;
    let contents = Image::open(file).and_then(|mut image| image.inspect()).map_err(wrong)?;
    let mut out = io::stdout().lock();
    // Nobody reads what cannot be written.
    let _ = out.write_all(describe(&contents).as_bytes());
    Ok(Outcome::Done)
}

fn describe(contents: &snapshot::Contents) -> String {
    use std::fmt::Write;
    let config = &contents.config;
    let mut text = String::new();
    let cards: Vec<String> =
        config.cards.iter().map(|card| format!("{:?} {}", card.model, card.mac)).collect();
    let rows = [
        ("format", contents.format.to_string()),
        ("RAM", format!("{} MiB", config.memory >> 20)),
        ("video RAM", format!("{} MiB", config.video_memory >> 20)),
        ("processor", format!("{:?}", config.cpu)),
        ("clock", format!("{:?}", config.clock)),
        ("drives", format!("{:?}, {} floppy", config.ide, config.floppies)),
        ("cards", if cards.is_empty() { "none".to_owned() } else { cards.join(", ") }),
        ("BIOS", format!("{} KiB", config.bios.len() >> 10)),
        ("kernel", config.kernel.as_ref().map_or("none".into(), |k| format!("{} KiB", k.image.len() >> 10))),
    ];
    for (name, value) in rows {
        let _ = writeln!(text, "{name:<12}{value}");
    }
    let _ = writeln!(text, "\nsection  version  parts      bytes");
    let mut rest = &contents.sections[..];
    while let [(tag, version, _), ..] = rest {
        let same = rest.iter().take_while(|one| one.0 == *tag).count();
        let bytes: usize = rest[..same].iter().map(|one| one.2).sum();
        let _ = writeln!(text, "{:<9}{version:>7}  {same:>5}  {bytes:>9}", tag.to_string());
        rest = &rest[same..];
    }
    text
}
