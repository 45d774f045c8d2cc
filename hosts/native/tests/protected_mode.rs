//! Protected mode: a BIOS of our own (`protected/rom.asm`) walks through segments, gates, tasks, paging,
//! breakpoints, faults and virtual-8086 mode and says what happened. The listing that it has to give is what
//! Bochs gives (`protected/expected.txt`), the most exact peer there is; where Bochs is installed it is asked
//! again. Needs `nasm`; the comparison needs `bochs` and `bochs-term`.

use nomad86::config::{Config, CpuModel, DebugExit};
use nomad86::host::{Console, Host};
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
use nomad86_host::clock::HostClock;
use nomad86_host::code::DualMapping;
use nomad86_native::bench;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use std::{env, fs};

const EXPECTED: &str = include_str!("protected/expected.txt");
/// The longest that the walk may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The BIOS, assembled; `None` without an assembler.
fn rom() -> Option<&'static [u8]> {
    static ROM: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    ROM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/protected");
        let target = folder().join("rom.bin");
        let mut nasm = Command::new("nasm");
        nasm.current_dir(source).args(["-w-number-overflow", "-f", "bin", "rom.asm", "-o"]).arg(&target);
        match nasm.status() {
            Ok(status) => assert!(status.success(), "nasm does not assemble the BIOS"),
            Err(_) => return None,
        }
        fs::read(target).ok()
    })
    .as_deref()
}

fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("protected-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

struct Capture(Arc<Mutex<Vec<u8>>>);

impl Console for Capture {
    fn write(&mut self, byte: u8) {
        self.0.lock().unwrap().push(byte);
    }
    fn read(&mut self) -> Option<u8> {
        None
    }
}

/// What our machine says.
fn listing(rom: &[u8], recompiled: bool) -> String {
    let config = Config {
        memory: 16 << 20,
        cpu: CpuModel::Max,
        bios: rom.to_vec(),
        firmware_tables: false,
        debug_exit: Some(DebugExit { base: 0xF4, size: 4 }),
        ..Config::default()
    };
    let memory = GuestMemory::allocate(config.memory_needed()).unwrap();
    let mut machine = Machine::new(config, memory).unwrap();
    if recompiled {
        let code = DualMapping::new(16 << 20).expect("executable memory");
        assert!(machine.use_jit(Box::new(code), true), "this processor has a recompiler");
        machine.jit.as_mut().unwrap().set_threshold(1);
    }
    let said = Arc::new(Mutex::new(Vec::new()));
    let mut host = Host::null();
    host.clock = Box::new(HostClock::new(0));
    host.debug = Box::new(Capture(Arc::clone(&said)));
    let begun = Instant::now();
    let exit = loop {
        match machine.run(&mut host, Duration::from_millis(10)) {
            Exit::Budget | Exit::Idle { .. } if begun.elapsed() < PATIENCE => {}
            exit => break exit,
        }
    };
    let said = String::from_utf8_lossy(&said.lock().unwrap()).into_owned();
    assert_eq!(exit, Exit::Exit(0), "the walk comes to its end, which is after: {:?}", said.lines().last());
    said
}

/// Both engines say of a case what is expected.
fn check(case: &str) {
    let Some(rom) = rom() else { return bench::skipped(case, &"there is no nasm") };
    static OURS: OnceLock<[String; 2]> = OnceLock::new();
    let ours = OURS.get_or_init(|| [listing(rom, false), listing(rom, cfg!(target_arch = "x86_64"))]);
    let of_case = |listing: &str| {
        // Lines that a case gives beside its own come behind it and begin with a blank.
        let mut inside = false;
        let lines = listing.lines().filter(|line| {
            if !line.starts_with(' ') {
                inside = line.starts_with(case);
            }
            inside
        });
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let expected = of_case(EXPECTED);
    assert!(!expected.is_empty(), "the BIOS has cases of {case}");
    for (engine, ours) in ["interpreter", "recompiler"].iter().zip(ours) {
        for (ours, expected) in of_case(ours).iter().zip(&expected) {
            assert_eq!(ours, expected, "{engine}");
        }
        assert_eq!(of_case(ours).len(), expected.len(), "{engine}");
    }
    println!("{case}: {} results", expected.len());
}

macro_rules! cases {
    ($($name:ident $number:literal;)*) => { $(#[test] fn $name() { check($number); })* };
}

cases! {
    case_45_long_instructions_and_code_across_pages "45";
    case_48_page_tables_that_map_themselves "48";
    case_49_page_faults_and_their_error_codes "49";
    case_50_translations_change_when_the_guest_says_so "50";
    case_51_segment_limits_rights_and_virtual_8086_mode "51";
    case_52_descriptors_gates_and_returns "52";
    case_53_tasks "53";
    case_54_repeated_instructions_steps_and_breakpoints "54";
    case_55_floating_point_faults "55";
    case_56_privileged_instructions_ports_and_system_calls "56";
    case_57_undefined_instructions_and_divisions "57";
    case_58_faults_while_faults_are_delivered "58";
}

#[test]
fn bochs_gives_the_listing_that_is_expected() {
    let name = "bochs_gives_the_listing_that_is_expected";
    if rom().is_none() {
        return bench::skipped(name, &"there is no nasm");
    }
    let folder = folder();
    let here = |file: &str| folder.join(file).display().to_string();
    let settings = format!(
        "romimage: file={}, address=0xffff0000\nvgaromimage: file={}\nmegs: 32\ncpu: model=corei7_sandy_bridge_2600k, \
         reset_on_triple_fault=0\ncom1: enabled=1, mode=file, dev={}\ndisplay_library: term\nlog: {}\n\
         panic: action=fatal\nboot: disk\n",
        here("rom.bin"),
        here("vga.bin"),
        here("listing.txt"),
        here("bochs.log")
    );
    // Nobody calls it, but Bochs wants one, and its package does not always bring it: a ROM of 512 bytes whose
    // entry is RETF.
    let mut vga = vec![0; 512];
    vga[..4].copy_from_slice(&[0x55, 0xAA, 1, 0xCB]);
    vga[511] = vga.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    fs::write(here("vga.bin"), vga).unwrap();
    fs::write(here("bochsrc"), settings).unwrap();
    fs::write(here("start"), "c\n").unwrap();
    // Bochs draws its screen on a terminal, which `script` plays.
    let line = format!("exec bochs -q -f {} -rc {}", here("bochsrc"), here("start"));
    let bochs = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let known = Command::new("bochs").arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let (Ok(mut bochs), Ok(_)) = (bochs, known) else {
        return bench::absent(name, &"there is no bochs with bochs-term");
    };
    let begun = Instant::now();
    while bochs.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            let _ = bochs.kill();
            panic!("bochs does not end");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = fs::read_to_string(here("bochs.log")).unwrap_or_default();
    let theirs = fs::read_to_string(here("listing.txt")).unwrap_or_else(|error| {
        panic!("bochs wrote no serial line: {error}\n{log}");
    });
    for (theirs, expected) in theirs.lines().zip(EXPECTED.lines()) {
        assert_eq!(theirs, expected);
    }
    assert_eq!(theirs.lines().count(), EXPECTED.lines().count());
}
