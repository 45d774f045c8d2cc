//! SeaBIOS on the machine: what it finds and says. Skipped, with a word on standard error, where Debian's
//! package `seabios` is not installed.
#![allow(missing_docs)]

use nomad86::config::{ClockMode, Config, DebugExit, Kernel};
use nomad86::host::{Console, Host};
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Keeps what is written.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<u8>>>);

impl Console for Log {
    fn write(&mut self, byte: u8) {
        self.0.borrow_mut().push(byte);
    }
    fn read(&mut self) -> Option<u8> {
        None
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }
}

fn firmware(name: &str) -> Option<Vec<u8>> {
    let file = std::fs::read(format!("/usr/share/seabios/{name}"));
    if file.is_err() {
        eprintln!("SKIPPED: SeaBIOS is not installed (package seabios)");
    }
    file.ok()
}

fn config(bios: Vec<u8>) -> Config {
    Config {
        memory: 64 << 20,
        video_memory: 4 << 20,
        clock: ClockMode::Virtual { picoseconds: 20_000 },
        bios,
        floppies: 0,
        debug_exit: Some(DebugExit { base: 0xF4, size: 4 }),
        vga_bios: firmware("vgabios-stdvga.bin").unwrap_or_default(),
        // SeaBIOS's own debug port.
        debug_port: Some(0x402),
        ..Config::default()
    }
}

/// Runs until `done` says so, or for two minutes.
fn run(machine: &mut Machine, host: &mut Host, mut done: impl FnMut(&Machine) -> bool) -> Option<Exit> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(120) {
        let exit = machine.run(host, Duration::from_millis(10));
        if done(machine) {
            return None;
        }
        if !matches!(exit, Exit::Budget | Exit::Idle { .. }) {
            return Some(exit);
        }
    }
    None
}

#[test]
fn seabios_finds_the_chipset_and_uses_our_tables() {
    let Some(bios) = firmware("bios-256k.bin") else { return };
    let config = config(bios);
    let memory = GuestMemory::allocate(config.memory_needed()).unwrap();
    let mut machine = Machine::new(config, memory).unwrap();
    let log = Log::default();
    let mut host = Host { debug: Box::new(log.clone()), ..Host::null() };
    let exit = run(&mut machine, &mut host, |_| log.text().contains("No bootable device"));
    let text = log.text();
    for part in [
        "Running on QEMU (i440fx)",
        "Found QEMU fw_cfg",
        "QEMU fw_cfg DMA interface supported",
        "qemu/e820: addr 0x0000000000000000 len 0x0000000004000000 [RAM]",
        "PIIX3/PIIX4 init: elcr=00 0c",
        "PCI: init bdf=00:01.3 id=8086:7113",
        "Using pmtimer, ioport 0x608",
        "Found 1 cpu(s) max supported 1 cpu(s)",
        "VBE DISPI: bdf 00:02.0, bar 0",
        "No bootable device",
    ] {
        assert!(text.contains(part), "{part:?} is missing ({exit:?}) in\n{text}");
    }
    assert_eq!(text.matches("Start SeaVGABIOS").count(), 1, "the video BIOS runs once");
}

/// Starts a kernel from the BIOS: how it ended, and what was written to the debug port.
fn start(kernel: Kernel) -> Option<(Machine, Option<Exit>, String)> {
    let config = Config { kernel: Some(kernel), ..config(firmware("bios-256k.bin")?) };
    let memory = GuestMemory::allocate(config.memory_needed()).unwrap();
    let mut machine = Machine::new(config, memory).unwrap();
    let log = Log::default();
    let mut host = Host { debug: Box::new(log.clone()), ..Host::null() };
    let exit = run(&mut machine, &mut host, |_| log.text().contains("No bootable device"));
    let text = log.text();
    Some((machine, exit, text))
}

#[test]
fn the_option_rom_enters_a_linux_kernel_in_real_mode() {
    let mut image = vec![0_u8; 3 * 512];
    image[0x1F1] = 2;
    image[0x1FE..0x202].copy_from_slice(&[0x55, 0xAA, 0xEB, 0x66]);
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&[3, 2]);
    image[0x211] = 1;
    image[0x22C..0x230].copy_from_slice(&0x37FF_FFFF_u32.to_le_bytes());
    // Prints the command line and exits with 21h if DS is the set-up segment.
    image[0x268..0x290].copy_from_slice(&[
        0x8C, 0xD8, // mov ax, ds
        0x3D, 0x00, 0x10, // cmp ax, 0x1000
        0x75, 0x1A, // jne bad
        0x50, // push ax
        0xB8, 0x00, 0x20, // mov ax, 0x2000
        0x8E, 0xC0, // mov es, ax
        0x31, 0xF6, // xor si, si
        0xBA, 0x02, 0x04, // mov dx, 0x402
        0x26, 0x8A, 0x04, // next: mov al, [es:si]
        0x46, // inc si
        0x84, 0xC0, // test al, al
        0x74, 0x03, // jz done
        0xEE, // out dx, al
        0xEB, 0xF5, // jmp next
        0xB0, 0x21, // done: mov al, 0x21
        0xEB, 0x02, // jmp exit
        0xB0, 0x66, // bad: mov al, 0x66
        0xBA, 0xF4, 0x00, // exit: mov dx, 0xF4
        0xEE, // out dx, al
        0xF4, // hlt
    ]);
    // Longer than one transfer of the loader.
    image.extend((0..0x110_0000_u32).map(|n| (n >> 3) as u8));
    let initrd = vec![0x5A; 100_000];
    let command_line = "panic=1 says the guest".to_string();
    let kernel = Kernel {
        image: image.clone().into(),
        initrd: Some(initrd.into()),
        command_line,
        ..Kernel::default()
    };
    let Some((machine, exit, text)) = start(kernel) else { return };
    assert_eq!(exit, Some(Exit::Exit(0x21)), "{text}");
    assert!(text.ends_with("panic=1 says the guest"), "{text}");
    let mut loaded = vec![0; 0x110_0000];
    machine.read_memory(0x10_0000, &mut loaded);
    assert!(loaded == image[3 * 512..], "the kernel is not whole");
    let mut header = [0; 8];
    machine.read_memory(0x1_0218, &mut header);
    let initrd = u64::from(u32::from_le_bytes(header[..4].try_into().unwrap()));
    assert_eq!(header[4..], 100_000_u32.to_le_bytes());
    let mut last = [0; 2];
    machine.read_memory(initrd + 99_999, &mut last);
    assert_eq!(last, [0x5A, 0]);
}

#[test]
fn the_option_rom_enters_a_multiboot_kernel_in_protected_mode() {
    let (magic, flags) = (0x1BAD_B002_u32, 0x1_0003_u32);
    let mut image = Vec::new();
    for word in [magic, flags, 0_u32.wrapping_sub(magic).wrapping_sub(flags)] {
        image.extend(word.to_le_bytes());
    }
    for word in [0x10_0000, 0x10_0000, 0, 0x300_0000, 0x10_0020_u32] {
        image.extend(word.to_le_bytes());
    }
    // Prints the command line and the first module and exits with the memory above 1 MiB, in KiB.
    image.extend([
        0x3D, 0x02, 0xB0, 0xAD, 0x2B, // cmp eax, 0x2BADB002
        0x75, 0x34, // jne bad
        0x8B, 0x73, 0x10, // mov esi, [ebx+0x10]
        0xE8, 0x1F, 0x00, 0x00, 0x00, // call print
        0x8B, 0x73, 0x18, // mov esi, [ebx+0x18]
        0x8B, 0x36, // mov esi, [esi]
        0xE8, 0x15, 0x00, 0x00, 0x00, // call print
        0x8B, 0x4B, 0x2C, // mov ecx, [ebx+0x2C]
        0x85, 0xC9, // test ecx, ecx
        0x74, 0x1B, // jz bad
        0x66, 0x8C, 0xD0, // mov ax, ss
        0x66, 0x83, 0xF8, 0x10, // cmp ax, 0x10
        0x75, 0x12, // jne bad
        0x8B, 0x43, 0x08, // mov eax, [ebx+8]
        0xEB, 0x12, // jmp exit
        0x66, 0xBA, 0x02, 0x04, // print: mov dx, 0x402
        0xAC, // next: lodsb
        0x84, 0xC0, // test al, al
        0x74, 0x03, // jz done
        0xEE, // out dx, al
        0xEB, 0xF8, // jmp next
        0xC3, // done: ret
        0xB8, 0x66, 0x00, 0x00, 0x00, // bad: mov eax, 0x66
        0x66, 0xBA, 0xF4, 0x00, // exit: mov dx, 0xF4
        0xEF, // out dx, eax
        0xF4, // hlt
    ]);
    let kernel = Kernel {
        image: image.into(),
        modules: vec![(b" and its module\0".to_vec().into(), "module".into())],
        command_line: "the kernel".into(),
        ..Kernel::default()
    };
    // The kernel's zeros reach over most of memory, more than one transfer.
    let config = config(Vec::new());
    let direct = {
        let config = Config { kernel: Some(kernel.clone()), ..config };
        let memory = GuestMemory::allocate(config.memory_needed()).unwrap();
        let mut machine = Machine::new(config, memory).unwrap();
        let log = Log::default();
        let mut host = Host { debug: Box::new(log.clone()), ..Host::null() };
        (run(&mut machine, &mut host, |_| false), log.text())
    };
    assert_eq!(direct, (Some(Exit::Exit(63 << 10)), "the kernel and its module".into()), "without a BIOS");
    let Some((_, exit, text)) = start(kernel) else { return };
    assert!(text.ends_with("the kernel and its module"), "{text}");
    let Some(Exit::Exit(kib)) = exit else { panic!("{exit:?}: {text}") };
    assert!((62 << 10..63 << 10).contains(&kib), "{kib} KiB: the BIOS keeps some for its tables");
}
