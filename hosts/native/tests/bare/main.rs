//! The bare-metal kernel on a PC (QEMU): started by `hosts/bare/test`, which builds it and its CD.
#![cfg(unix)]

mod pc;

use nomad86::config::{Card, CardModel, ClockMode, Config, Kernel};
use nomad86::host::{Host, Null};
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
use nomad86::net::MacAddress;
use nomad86_host::clock::HostClock;
use nomad86_host::console::Line;
use nomad86_host::guest::{self, Guest};
use pc::Pc;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Files that `hosts/bare/test` has built; without it there is nothing to test.
fn built(variable: &str) -> Option<PathBuf> {
    let file = std::env::var_os(variable).map(PathBuf::from);
    if file.is_none() {
        eprintln!("SKIPPED: run hosts/bare/test, which builds the kernel and says where it is ({variable})");
    }
    file
}

fn debian() -> Guest {
    guest::debian(&guest::cache_folder(), &mut |_| ()).expect("a Debian guest")
}

/// Serves `body` to whoever asks, on the host's own loopback; the wire's gateway leads there.
fn serve(body: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    port
}

/// What `sha256sum` says of bytes.
fn sum(bytes: &[u8]) -> String {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    output.split(' ').next().unwrap().to_owned()
}

/// Has the guest fetch 200 kB from the host, and compares what it got.
fn download(pc: &mut Pc) {
    let body: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let sum = sum(&body);
    let port = serve(body);
    pc.send(&format!("wget -q -O - http://10.0.2.2:{port}/ | sha256sum"));
    pc.expect(&sum);
}

/// Types on the PC's own keyboard, which is that of the guest's first text screen.
fn type_keys(pc: &mut Pc) {
    // What is typed before somebody has opened the screen is lost.
    pc.send("{ echo lis''tening; read -r line; } </dev/tty1; echo \"typed: $line\"");
    pc.expect("\nlistening");
    for key in ["shift-h", "i", "minus", "8", "6", "ret"] {
        pc.key(key);
    }
    pc.expect("\ntyped: Hi-86");
}

fn module(file: &std::path::Path, line: &str) -> String {
    format!("{} {line}", file.display()).replace(',', ",,")
}

fn boot(kernel: PathBuf, options: &str, modules: &[String]) -> Vec<String> {
    let modules = modules.join(",");
    let kernel = kernel.display().to_string();
    ["-kernel", &kernel, "-append", options, "-initrd", &modules].map(str::to_owned).to_vec()
}

#[test]
fn debian_boots_to_a_shell_gets_a_lease_and_downloads() {
    let Some(kernel) = built("NOMAD86_BARE") else { return };
    let guest = debian();
    let modules =
        [module(&guest.kernel, "kernel console=tty0 console=ttyS0"), module(&guest.initrd, "initrd")];
    let mut pc = Pc::start("boot", &boot(kernel, "memory=96 icount=4 exit-port=0xf4", &modules));
    pc.expect("nomad86: network: virtio-net, 52:54:00:12:34:56");
    pc.expect("nomad86: a PC with 96 MiB, run by the recompiler");
    pc.expect("Linux version");
    pc.expect("nomad86: eth0 has 10.0.2.");
    pc.expect("nomad86: ready");
    download(&mut pc);

    type_keys(&mut pc);
    let file = std::env::temp_dir().join(format!("nomad86-bare-{}.ppm", std::process::id()));
    let (width, height, pixels) = pc.screen(&file);
    assert_eq!((width, height), (1024, 768));
    let lit = pixels.chunks(3).filter(|pixel| pixel.iter().any(|part| *part > 100)).count();
    assert!(lit > 5_000, "{lit} pixels are lit: the guest's text is not on the screen");
    if let Some(folder) = std::env::var_os("NOMAD86_PICTURES") {
        let pixels = pixels.chunks(3).map(|p| u32::from_be_bytes([0, p[0], p[1], p[2]])).collect();
        let picture =
            nomad86_host::screenshot::Picture { width: width as u32, height: height as u32, pixels };
        picture.save(&PathBuf::from(folder).join("bare-metal.png")).unwrap();
    }
    pc.send("poweroff -f");
    assert_eq!(pc.end(), 0, "{}", pc.text());
}

/// Runs Debian natively to its shell and saves the machine.
fn saved() -> Vec<u8> {
    let guest = debian();
    let read = |path| std::fs::read(path).unwrap();
    let config = Config {
        memory: 64 << 20,
        kernel: Some(Kernel {
            image: read(guest.kernel).into(),
            initrd: Some(read(guest.initrd).into()),
            command_line: "console=ttyS0 quiet".into(),
            ..Kernel::default()
        }),
        clock: ClockMode::Virtual { picoseconds: 16_000 },
        cards: vec![Card { model: CardModel::Ne2kPci, mac: MacAddress([0x52, 0x54, 0, 1, 2, 3]) }],
        ..Config::default()
    };
    let memory = GuestMemory::allocate(config.memory_needed()).unwrap();
    let mut machine = Machine::new(config, memory).unwrap();
    #[cfg(target_os = "linux")]
    machine.use_jit(Box::new(nomad86_host::code::DualMapping::new(64 << 20).unwrap()), false);
    let line = Line::default();
    let mut host = Host::null();
    host.clock = Box::new(HostClock::default());
    host.serial[0] = Box::new(line.clone());
    host.networks.push(Box::new(Null));
    let (mut heard, begun) = (Vec::new(), Instant::now());
    while !heard.windows(14).any(|window| window == b"nomad86: ready") {
        assert!(begun.elapsed() < Duration::from_secs(240), "{}", String::from_utf8_lossy(&heard));
        let exit = machine.run(&mut host, Duration::from_millis(10));
        assert!(matches!(exit, Exit::Budget | Exit::Idle { .. }), "{exit:?}");
        line.take(&mut heard);
    }
    // The shell takes its variable with it.
    line.give(b"before=41\n");
    for _ in 0..100 {
        machine.run(&mut host, Duration::from_millis(10));
    }
    let mut image = Vec::new();
    machine.save(&mut image).unwrap();
    image
}

#[test]
fn a_machine_saved_natively_goes_on_on_bare_metal() {
    let Some(kernel) = built("NOMAD86_BARE") else { return };
    let file = std::env::temp_dir().join(format!("nomad86-bare-{}.state", std::process::id()));
    std::fs::write(&file, saved()).unwrap();
    let mut pc = Pc::start("state", &boot(kernel, "exit-port=0xf4", &[module(&file, "state")]));
    pc.expect("nomad86: state: 64 MiB restored; the guest's card is 52:54:00:01:02:03");
    pc.send("echo after-$((before+1))");
    pc.expect("\nafter-42");
    std::fs::remove_file(file).unwrap();
    // There was no network before; the wire sees the PC's own address in place of the guest's.
    pc.send("udhcpc -i eth0 -q -n -s /etc/udhcpc.sh && echo leased");
    pc.expect("\nleased");
    download(&mut pc);
    type_keys(&mut pc);
    pc.send("poweroff -f");
    assert_eq!(pc.end(), 0, "{}", pc.text());
}

#[test]
fn a_cd_made_with_grub_boots() {
    let Some(cd) = built("NOMAD86_BARE_CD") else { return };
    let arguments = ["-cdrom".to_owned(), cd.display().to_string(), "-boot".to_owned(), "d".to_owned()];
    let mut pc = Pc::start("cd", &arguments);
    pc.expect("screen: 1024 by 768 pixels of 32 bits");
    pc.expect("nomad86: a PC with 8 MiB, run by the interpreter");
    pc.expect("hello from the guest");
    pc.expect("nomad86: the processor has halted with interrupts off");
    assert_eq!(pc.end(), 2);
}

#[test]
fn what_is_lacking_is_said() {
    let Some(kernel) = built("NOMAD86_BARE") else { return };
    let kernel = kernel.display().to_string();
    let start = |name: &str, options: &str, more: &[&str]| {
        let all = ["-kernel", &kernel, "-append", options].into_iter().chain(more.iter().copied());
        Pc::start(name, &all.map(str::to_owned).collect::<Vec<_>>())
    };
    start("nothing", "", &[]).expect("no BIOS and no kernel: give one of them");
    start("option", "colour=red", &[]).expect("option 'colour' is not known");
    start("vga", "", &["-vga", "cirrus"]).expect("text only, as there is no framebuffer");
    start("old", "", &["-cpu", "qemu64,-lm"]).expect("this processor has no 64-bit mode");
}
