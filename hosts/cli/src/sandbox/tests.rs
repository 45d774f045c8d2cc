//! The walls by themselves, each in a process of its own, as they cannot be taken down again.

use super::{Needs, calls, files};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Names the scene that a test's process plays.
const SCENE: &str = "NOMAD86_SANDBOX_SCENE";
const FOLDER: &str = "NOMAD86_SANDBOX_FOLDER";
const PORT: &str = "NOMAD86_SANDBOX_PORT";

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("nomad86-sandbox-{name}-{}", std::process::id()));
    fs::create_dir_all(path.join("own")).unwrap();
    fs::write(path.join("own/there"), "1").unwrap();
    fs::write(path.join("other"), "2").unwrap();
    path
}

/// Plays a scene in a process of its own.
fn play(scene: &str) {
    let folder = folder(scene);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sandbox::tests::scene", "--ignored", "--nocapture", "--test-threads=1"])
        .env(SCENE, scene)
        .env(FOLDER, &folder)
        .env(PORT, listener.local_addr().unwrap().port().to_string())
        .output()
        .unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{scene}: {said}");
}

fn kind<T>(result: io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// Needs of a machine that saves to one folder and has a relay at `port`.
fn relay(folder: &Path, port: u16) -> Needs {
    Needs { folders: vec![folder.join("own")], connect: vec![port], internet: true, ..Needs::default() }
}

fn only_named_files(folder: &Path, port: u16) {
    files::limit(&relay(folder, port)).unwrap();
    assert_eq!(errno(File::open(folder.join("other"))), Some(libc::EACCES));
    assert_eq!(errno(File::open("/etc/passwd")), Some(libc::EACCES));
    assert_eq!(errno(fs::write(folder.join("new"), "x")), Some(libc::EACCES));
    assert_eq!(errno(fs::remove_file(folder.join("other"))), Some(libc::EACCES));
    assert_eq!(errno(fs::read_dir("/")), Some(libc::EACCES));
    // What is made to be replaced can be.
    let (part, whole) = (folder.join("own/part"), folder.join("own/there"));
    fs::write(&part, "3").unwrap();
    OpenOptions::new().write(true).open(&part).unwrap().set_len(0).unwrap();
    fs::rename(&part, &whole).unwrap();
    assert_eq!(fs::read(&whole).unwrap(), b"");
    assert_eq!(kind(Command::new("/bin/true").spawn()), Some(ErrorKind::PermissionDenied));
    // A thread that is started later is no way out.
    let other = folder.join("other");
    assert_eq!(std::thread::spawn(move || errno(File::open(other))).join().unwrap(), Some(libc::EACCES));
}

fn only_named_ports(folder: &Path, port: u16) {
    let other = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    files::limit(&relay(folder, port)).unwrap();
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(errno(TcpStream::connect(other)), Some(libc::EACCES));
    assert_eq!(errno(TcpListener::bind("127.0.0.1:0")), Some(libc::EACCES));
}

fn no_program_and_no_new_code(folder: &Path, port: u16) {
    calls::limit(&relay(folder, port)).unwrap();
    // Processes are refused as well as programs.
    assert_eq!(errno(Command::new("/bin/true").spawn()), Some(libc::EPERM));
    // Threads still start, sleep and end.
    let thread = std::thread::spawn(|| std::thread::sleep(Duration::from_millis(1)));
    thread.join().unwrap();
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(errno(nomad86_host::code::DualMapping::new(4096).map(drop)), Some(libc::EPERM));
    assert_eq!(errno(std::os::unix::fs::symlink("a", folder.join("own/link"))), Some(libc::EPERM));
    assert_eq!(errno(fs::create_dir(folder.join("own/sub"))), Some(libc::EPERM));
    let signalled = Command::new("kill").arg(std::process::id().to_string()).status();
    assert_eq!(errno(signalled), Some(libc::EPERM));
}

fn no_sockets_without_need(_folder: &Path, port: u16) {
    calls::limit(&Needs::default()).unwrap();
    assert_eq!(errno(TcpStream::connect(("127.0.0.1", port))), Some(libc::EPERM));
    assert_eq!(errno(UdpSocket::bind("127.0.0.1:0")), Some(libc::EPERM));
    assert_eq!(errno(std::os::unix::net::UnixDatagram::unbound()), Some(libc::EPERM));
}

/// A system that answers as kernels without these calls do.
fn old_kernel(calls: &[libc::c_long]) {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32), arch);
    apply_filter(&BpfProgram::try_from(filter.unwrap()).unwrap()).unwrap();
}

fn told(result: Result<(), crate::outcome::Failure>, what: &str) {
    let text = result.unwrap_err().text().to_owned();
    assert!(text.starts_with("--sandbox: ") && text.contains(what) && !text.contains('\n'), "{text}");
    assert!(text.contains("leave --sandbox out"), "{text}");
}

fn a_kernel_without_them(folder: &Path, port: u16) {
    old_kernel(&[libc::SYS_landlock_create_ruleset, libc::SYS_seccomp]);
    told(files::limit(&relay(folder, port)), "Landlock");
    told(calls::limit(&relay(folder, port)), "CONFIG_SECCOMP_FILTER");
}

#[test]
#[ignore = "the process that a scene is played in"]
fn scene() {
    let Ok(scene) = std::env::var(SCENE) else { return };
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let port = std::env::var(PORT).unwrap().parse().unwrap();
    match scene.as_str() {
        "files" => only_named_files(&folder, port),
        "ports" => only_named_ports(&folder, port),
        "calls" => no_program_and_no_new_code(&folder, port),
        "kernel" => a_kernel_without_them(&folder, port),
        "sockets" => no_sockets_without_need(&folder, port),
        _ => panic!("no scene {scene}"),
    }
}

#[test]
fn only_the_files_that_were_named_can_be_reached() {
    play("files");
}

#[test]
fn only_the_ports_that_were_named_can_be_reached() {
    play("ports");
}

#[test]
fn no_program_is_started_and_no_code_made() {
    play("calls");
}

#[test]
fn without_a_network_there_are_no_sockets() {
    play("sockets");
}

#[test]
fn a_kernel_that_cannot_is_told_of_in_one_line() {
    play("kernel");
}

#[test]
fn the_options_say_what_is_needed() {
    use crate::args::Cli;
    use clap::Parser;
    let needs = |words: &str| {
        let words = ["nomad86", "run", "--display=none"].into_iter().chain(words.split_whitespace());
        let crate::args::Command::Run(args) = Cli::try_parse_from(words).unwrap().command else {
            unreachable!()
        };
        Needs::of(&crate::setup::Plan::new(*args, Vec::new()).unwrap())
    };
    let none = needs("--sandbox --nic=none");
    assert_eq!(none, Needs::default());
    let user = needs("--sandbox --save=a/b --sandbox-folder=src");
    assert!(user.any_port && user.internet && user.connect.is_empty());
    assert_eq!(user.folders, [PathBuf::from("src"), PathBuf::from("a")]);
    let cable = needs("--sandbox --nic=ws,url=wss://relay.example/x --screenshot=s.png");
    assert_eq!((cable.connect.as_slice(), cable.any_port), ([443].as_slice(), false));
    assert!(cable.read.contains(&PathBuf::from("/etc/ssl")) && cable.folders == [PathBuf::from(".")]);
    let lines = needs(
        "--sandbox --nic=none --serial=tcp:127.0.0.1:70,server --serial=unix:u/s,server --monitor=tcp:h:71",
    );
    assert_eq!((lines.listen.as_slice(), lines.connect.as_slice()), ([70].as_slice(), [71].as_slice()));
    assert_eq!(lines.sockets, [PathBuf::from("u")]);
}
