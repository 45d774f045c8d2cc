//! From options to a machine and the world around it.

use crate::args::run::RunArgs;
use crate::args::values::{Device, DisplaySpec, Engine, Graphics, RtcBase, SerialSpec, WindowUse};
use crate::lines::End;
use crate::network::{self, Cables};
use crate::outcome::Failure;
use crate::script::Step;
use crate::session::Session;
use crate::state::Saver;
use crate::{disk, files, firmware, sandbox, state};
use nomad86::config::{BootDevice, ClockMode, Config, Kernel};
use nomad86::host::Host;
use nomad86::jit::Windows;
use nomad86::machine::Machine;
use nomad86::memory::GuestMemory;
use nomad86_host::clock::{HostClock, wall};
use nomad86_host::code::DualMapping;
use nomad86_host::disk::Layout;
use nomad86_host::input::InputQueue;
use nomad86_host::net::bell::Bedside;
use nomad86_host::net::pcap::Capture;
use nomad86_host::net::spec::NicSpec;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Options, checked against each other, before anything is opened.
pub(crate) struct Plan {
    pub(crate) args: RunArgs,
    pub(crate) steps: Vec<Step>,
    pub(crate) display: DisplaySpec,
    pub(crate) serial: [SerialSpec; 4],
    pub(crate) debugcon: SerialSpec,
    pub(crate) nics: Vec<NicSpec>,
    pub(crate) disks: Layout,
}

impl Plan {
    /// Checks the options against each other.
    pub(crate) fn new(args: RunArgs, steps: Vec<Step>) -> Result<Self, Failure> {
        let wrong = |message: String| Failure::configuration(message);
        if let Some(kind) = args.machine_type.as_deref()
            && !(kind == "pc" || kind.starts_with("pc-i440fx") || kind.starts_with("pc,"))
        {
            return Err(wrong(format!("--machine-type {kind}: there is pc")));
        }
        if args.kernel.is_none() {
            for (given, name) in [(args.initrd.is_some(), "--initrd"), (args.append.is_some(), "--append")] {
                if given {
                    return Err(wrong(format!("{name} goes with --kernel, which is not there")));
                }
            }
        }
        if !args.dump_memory.is_empty() && args.dump_state.is_none() {
            return Err(wrong("--dump-memory goes with --dump-state FILE.json, which is not there".into()));
        }
        if args.serial.len() > 4 {
            return Err(wrong(format!("--serial: {} lines, the machine has 4", args.serial.len())));
        }
        let display = display(&args)?;
        let mut serial = [const { SerialSpec::None }; 4];
        for (place, spec) in serial.iter_mut().zip(&args.serial) {
            place.clone_from(spec);
        }
        if args.serial.is_empty() && display == DisplaySpec::None {
            serial[0] = SerialSpec::Stdio;
        }
        let debugcon = args.debugcon.clone().unwrap_or(SerialSpec::None);
        if serial.iter().filter(|spec| **spec == SerialSpec::Stdio).count() > 1 {
            return Err(wrong("--serial stdio: only one serial line can be the terminal's".into()));
        }
        if matches!(display, DisplaySpec::Terminal(_))
            && serial.iter().chain([&debugcon]).any(|spec| *spec == SerialSpec::Stdio)
        {
            return Err(wrong(
                "the terminal shows the screen, so it cannot be a line's end as well: add -display none"
                    .into(),
            ));
        }
        if args.sandbox && display == DisplaySpec::Window {
            return Err(wrong(
                "--sandbox: what draws windows needs more than it leaves; use --display term or --display none"
                    .into(),
            ));
        }
        if !args.sandbox && !args.sandbox_folder.is_empty() {
            return Err(wrong("--sandbox-folder goes with --sandbox, which is not there".into()));
        }
        if let Some(folder) = args.sandbox_folder.iter().find(|folder| !folder.is_dir()) {
            return Err(wrong(format!(
                "--sandbox-folder {}: that is no folder; make it first",
                folder.display()
            )));
        }
        let nics = network::specs(&args)?;
        let disks = disk::layout(&args)?;
        Ok(Self { args, steps, display, serial, debugcon, nics, disks })
    }

    /// Whether a BIOS is wanted: always, but for kernels whose screen nobody sees.
    fn needs_bios(&self) -> bool {
        self.args.restore.is_none() && (self.args.kernel.is_none() || self.display != DisplaySpec::None)
    }
}

fn display(args: &RunArgs) -> Result<DisplaySpec, Failure> {
    match args.display {
        Some(DisplaySpec::Window) if !cfg!(feature = "sdl") => Err(Failure::configuration(
            "--display sdl: this build has no windows: build with --features sdl, or use term or none",
        )),
        Some(DisplaySpec::Terminal(_)) if args.nographic => {
            Err(Failure::configuration("--display term and --nographic exclude each other: leave one out"))
        }
        Some(DisplaySpec::Terminal(_)) if !std::io::stdout().is_terminal() => {
            Err(Failure::configuration("--display term: standard output is no terminal; use --display none"))
        }
        Some(display) => Ok(display),
        None if args.nographic || !args.serial.is_empty() && args.serial.contains(&SerialSpec::Stdio) => {
            Ok(DisplaySpec::None)
        }
        None if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() => {
            Ok(DisplaySpec::Terminal(Graphics::Auto))
        }
        None => Ok(DisplaySpec::None),
    }
}

/// `FILE [ARGUMENTS][,FILE ...]`, a double comma standing for itself.
fn modules(text: &str) -> Vec<(PathBuf, String)> {
    let parts = text.replace(",,", "\0");
    let parts = parts.split(',').map(|part| part.replace('\0', ","));
    parts
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (file, _) = part.split_once(' ').unwrap_or((&part, ""));
            (PathBuf::from(file), part.clone())
        })
        .collect()
}

fn kernel(args: &RunArgs) -> Result<Option<Kernel>, Failure> {
    let Some(path) = &args.kernel else { return Ok(None) };
    let image = files::read("kernel", path)?.into();
    let mut kernel =
        Kernel { image, command_line: args.append.clone().unwrap_or_default(), ..Kernel::default() };
    // The kind of kernel decides what an initial RAM disk is: bzImages say "HdrS" in their header.
    let linux = kernel.image.get(0x202..0x206) == Some(b"HdrS");
    match &args.initrd {
        Some(file) if linux => kernel.initrd = Some(files::read("initrd", Path::new(file))?.into()),
        Some(list) => {
            for (file, line) in modules(list) {
                kernel.modules.push((files::read("module", &file)?.into(), line));
            }
        }
        None => {}
    }
    Ok(Some(kernel))
}

/// Builds the machine and all around it.
pub(crate) fn build(mut plan: Plan) -> Result<Session, Failure> {
    let args = &plan.args;
    let perf_map = args.perf_map.as_ref().filter(|path| !path.as_os_str().is_empty());
    for (option, path) in [
        ("--save", args.save.as_ref()),
        ("--screenshot", args.screenshot.as_ref()),
        ("--dump-state", args.dump_state.as_ref()),
        ("--perf-map", perf_map),
    ] {
        path.map_or(Ok(()), |path| files::check_place(option, path))?;
    }
    let kernel = kernel(args)?;
    let firmware = firmware::load(
        args.bios.as_deref(),
        args.vga_bios.as_deref(),
        args.firmware_folder.as_deref(),
        plan.needs_bios(),
    )?;
    let boot = args.boot.as_ref().map(|boot| boot.0.clone()).unwrap_or_default();
    let mut config = Config {
        network_rom: firmware::network(
            args.option_rom.as_deref(),
            args.firmware_folder.as_deref(),
            boot.contains(&BootDevice::Network),
        )?,
        bios: firmware.bios,
        vga_bios: firmware.vga_bios,
        kernel,
        memory: args.memory.map_or(128 << 20, |size| size.0),
        cpu: args.cpu.map(|cpu| cpu.0).unwrap_or_default(),
        clock: args.icount.map(|clock| clock.mode).unwrap_or_default(),
        boot,
        post_port: args.post_log.as_ref().map(|log| log.port),
        uuid: args.uuid.map(|uuid| uuid.0).unwrap_or_default(),
        ..Config::default()
    };
    for device in &args.device {
        match device {
            Device::DebugExit(exit) => config.debug_exit = Some(*exit),
            Device::DebugConsole(port) => config.debug_port = Some(*port),
        }
    }
    let offset = rtc_offset(args);
    for spec in &mut plan.nics {
        config.cards.push(network::card(spec)?);
    }
    if let Some(path) = plan.args.restore.clone() {
        state::adopt_disks(&mut plan, &path)?;
    }
    let (drives, written) = disk::open(&plan.disks, plan.args.snapshot, &mut config)?;
    let mut windows = None;
    let mut machine = match plan.args.restore.clone() {
        Some(path) => state::restore(&mut plan, config, &path, &written, &mut windows)?,
        None => {
            let memory = memory(&plan.args, config.memory_needed(), &mut windows)?;
            Machine::new(config, memory).map_err(|error| Failure::configuration(error.to_string()))?
        }
    };
    let args = &plan.args;
    let clock = machine.config().clock;
    recompile(&mut machine, args, windows);
    if args.sandbox {
        // Before the first thread: what is forbidden to one is forbidden to those that it starts.
        sandbox::files(&plan)?;
    }

    let bedside = Bedside::default();
    let bell = bedside.bell();
    let mut host = Host::null();
    host.drives = drives;
    host.clock = Box::new(HostClock::new(offset));
    let input = InputQueue::default();
    host.input = Box::new(input.clone());
    let mut ends = Vec::new();
    for (spec, place) in plan.serial.iter().zip(&mut host.serial) {
        let end = End::open("--serial", spec, &bell)?;
        *place = Box::new(end.line.clone());
        ends.push(end);
    }
    let end = End::open("--debugcon", &plan.debugcon, &bell)?;
    host.debug = Box::new(end.line.clone());
    ends.push(end);
    if let Some(log) = &plan.args.post_log {
        let end = End::codes(files::create("--post-log", &log.file)?);
        host.post = Box::new(end.line.clone());
        ends.push(end);
    }
    if let Some(spec) = &plan.args.monitor {
        ends.push(End::open("--monitor", spec, &bell)?);
    }
    let capture = match &plan.args.pcap {
        Some(path) => Some(Capture::create(path).map_err(|error| {
            Failure::configuration(format!("--pcap {}: {}", path.display(), files::reason(&error)))
        })?),
        None => None,
    };
    let mut cables = Cables::default();
    for spec in &plan.nics {
        cables.plug(spec, capture.as_ref(), &bell)?;
    }
    host.networks = std::mem::take(&mut cables.networks);
    if plan.args.restore.is_none() {
        // Power on: drives look at their media.
        machine.reset(&mut host);
    }
    let paced = match clock {
        ClockMode::Host => false,
        ClockMode::Virtual { .. } => plan.args.icount.is_some_and(|clock| clock.sleep),
    };
    #[cfg(feature = "sdl")]
    let screen = match plan.display {
        DisplaySpec::Window => Some(window(&mut host, &input)?),
        _ => None,
    };
    #[cfg(not(feature = "sdl"))]
    let screen = None;
    let saver = Saver::new(&plan, written);
    let mut session = Session::new(plan, machine, host, ends, input, bedside, cables, saver, paced)?;
    session.screen = screen;
    Ok(session)
}

/// Opens a window.
#[cfg(feature = "sdl")]
fn window(host: &mut Host, input: &InputQueue) -> Result<Box<dyn nomad86_host::screen::Screen>, Failure> {
    let window = nomad86_sdl::Window::open("nomad86", host, input.clone()).map_err(|error| {
        Failure::configuration(format!("--display sdl: {error}; use --display term or --display none"))
    })?;
    Ok(Box::new(window))
}

/// Memory for a machine, with windows for translated code where they are wanted and the host has them.
pub(crate) fn memory(
    args: &RunArgs,
    needed: usize,
    windows: &mut Option<Box<dyn Windows>>,
) -> Result<GuestMemory, Failure> {
    let wanted = args.engine != Some(Engine::Interpreter) && args.windows != Some(WindowUse::Off);
    let memory = if wanted {
        nomad86_host::window::allocate(needed).map(|(memory, found)| {
            *windows = found;
            memory
        })
    } else {
        GuestMemory::allocate(needed)
    };
    memory.map_err(|error| Failure::configuration(error.to_string()))
}

/// Gives the machine its recompiler: by default wherever there is one. Without executable memory the machine
/// goes on interpreting, and says so.
fn recompile(machine: &mut Machine, args: &RunArgs, windows: Option<Box<dyn Windows>>) {
    const CODE: usize = 64 << 20;
    let asked = args.engine == Some(Engine::Recompiler);
    if args.engine == Some(Engine::Interpreter) || !asked && !cfg!(target_arch = "x86_64") {
        return;
    }
    // Where time is counted in instructions, runs repeat to the last bit, under either engine.
    let precise = matches!(machine.config().clock, ClockMode::Virtual { .. });
    match DualMapping::new(args.code_cache.map_or(CODE, |size| size.0)) {
        Ok(memory) => {
            if !machine.use_jit(Box::new(memory), precise) {
                eprintln!("nomad86: this processor has no recompiler; the machine interprets");
            }
        }
        Err(error) => eprintln!(
            "nomad86: no executable memory for translated code ({}); the machine interprets, several times slower",
            files::reason(&error)
        ),
    }
    let used = windows.is_some_and(|windows| machine.use_windows(windows));
    if !used && args.windows == Some(WindowUse::On) {
        eprintln!("nomad86: --windows on: this host has none; translated code looks each address up");
    }
    if let Some(jit) = &mut machine.jit
        && args.stats
    {
        jit.set_clock(nomad86_host::clock::thread_nanoseconds);
    }
    if let (Some(jit), Some(threshold)) = (&mut machine.jit, args.jit_threshold) {
        jit.set_threshold(threshold);
    }
}

/// What is added to the host's civil time, in nanoseconds.
fn rtc_offset(args: &RunArgs) -> i64 {
    const SECOND: i64 = 1_000_000_000;
    match args.rtc.unwrap_or_default().base {
        RtcBase::Utc => 0,
        RtcBase::LocalTime => i64::from(jiff::ZonedDateTime::now().offset().seconds()) * SECOND,
        RtcBase::At(seconds) => seconds.saturating_mul(SECOND).saturating_sub(wall()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_files_with_arguments() {
        let module = |file: &str, line: &str| (PathBuf::from(file), line.to_owned());
        assert_eq!(modules("a -x,b,,c,d"), [module("a", "a -x"), module("b,c", "b,c"), module("d", "d")]);
        assert_eq!(modules(""), []);
    }
}
