//! A kernel that runs a nomad86 machine on a PC without an operating system.
//!
//! | file | what |
//! |---|---|
//! | `boot` | from the loader to Rust |
//! | `multiboot`, `options` | what the loader tells, and the machine that it asks for |
//! | `heap`, `paging`, `physical` | memory |
//! | `interrupts`, `clock`, `acpi` | interrupts and time |
//! | `screen`, `log`, `serial`, `ps2` | the user |
//! | `pci`, `virtio`, `disk` | network and disks |
#![no_std]
#![no_main]
extern crate alloc;

mod acpi;
mod boot;
mod clock;
mod disk;
mod heap;
mod interrupts;
mod log;
mod multiboot;
mod options;
mod paging;
mod pci;
mod physical;
mod port;
mod ps2;
mod ring;
mod screen;
mod serial;
mod virtio;

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use nomad86::config::{Card, CardModel, ClockMode, Config};
use nomad86::host::Host;
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
use nomad86::net::{MacAddress, MacPolicy};
use nomad86::snapshot::{self, RestoreOptions, SnapshotError};
use nomad86::time::Duration;
use options::Options;
use screen::{Picture, Screen};

/// Memory for translated code.
const CODE: usize = 64 << 20;
/// How long the machine runs between two looks at its text screen.
const BUDGET: Duration = Duration::from_millis(50);
/// The same where time passes with instructions: when nothing is executed for so long, the PC sleeps for so long,
/// so that the world outside keeps up.
const STEP: Duration = Duration::from_millis(2);
/// Result when nothing was run.
const REFUSED: u32 = 3;
/// The card's address where the PC has none.
const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x86, 0x00, 0x01];

/// Entered by `boot`, once, in long mode with interrupts off.
extern "C" fn start(magic: u32, info: u32) -> ! {
    serial::init();
    if magic != boot::MAGIC {
        "nomad86: boot this by multiboot (GRUB: multiboot, QEMU: -kernel)\r\n".bytes().for_each(serial::send);
        interrupts::stop();
    }
    #[allow(unsafe_code)]
    // SAFETY: a multiboot loader has left the block there; nothing has been allocated or written so far.
    let (info, memory) = unsafe {
        let info = multiboot::Info::new(info);
        let memory = heap::init(&info);
        (info, memory)
    };
    if memory == 0 {
        "nomad86: the loader tells of no memory to use\r\n".bytes().for_each(serial::send);
        interrupts::stop();
    }
    let (result, message) = run(&info, memory).unwrap_or_else(|message| (REFUSED, message));
    log!("{message}");
    log!("this is the end; the PC can be switched off");
    serial::flush();
    if let Some(port) = options::exit_port(&info) {
        port::out32(port, result);
    }
    interrupts::stop();
}

/// Builds the machine and runs it to its end; the result is for the exit port, and the
/// message says what it means.
fn run(info: &multiboot::Info, memory: usize) -> Result<(u32, String), String> {
    #[allow(unsafe_code)]
    // SAFETY: the only call.
    let screen = unsafe { Screen::new(info.framebuffer()) };
    let (pixels, description) = (screen.pixels(), screen.describe());
    log::show_on(screen);
    log!("on bare metal; {} MiB of memory; screen: {description}", memory >> 20);
    let clock = clock::Counter::measure();
    let mut space = paging::AddressSpace::new(4 << 30, pixels);
    #[allow(unsafe_code)]
    // SAFETY: the only call; what the handlers use is static.
    unsafe {
        interrupts::init();
    }
    serial::listen();

    let mut options = Options::read(info)?;
    let mut host = Host::null();
    let mut mac = MAC;
    match virtio::Card::find() {
        Ok(card) => {
            mac = card.mac();
            log!("network: virtio-net, {}; the guest's card has its address", MacAddress(mac));
            host.networks.push(Box::new(card));
        }
        Err(lack) => {
            log!("network: {lack}; the guest's cable is unplugged");
            host.networks.push(Box::new(nomad86::host::Null));
        }
    }
    options.config.cards.push(Card { model: CardModel::Ne2kPci, mac: MacAddress(mac) });
    host.clock = Box::new(clock);
    host.input = Box::new(ps2::Ps2::init());
    host.drives = options.drives;
    if options.serial {
        host.serial[0] = Box::new(serial::Line);
    }
    let seed = clock.nanoseconds();
    let mut machine = match options.state {
        Some(image) => restore(image, options.mac, seed, mac)?,
        None => {
            let memory = memory_for(&options.config)?;
            Machine::new(options.config, memory).map_err(|error| error.to_string())?
        }
    };
    let megabytes = machine.config().memory >> 20;
    let mut engine = "the interpreter";
    if options.recompile {
        match space.code(CODE) {
            Some(code) => {
                if machine.use_jit(Box::new(code), false) {
                    engine = "the recompiler";
                }
            }
            None => log!("recompiler: no {} MiB of memory for its code", CODE >> 20),
        }
    }
    log!("a PC with {megabytes} MiB, run by {engine}");

    let mut text = None;
    if let Some(screen) = log::take_screen() {
        if screen.has_pixels() {
            host.display = Box::new(Picture::new(screen));
        } else {
            text = Some(screen);
        }
    }
    let end = live(&mut machine, &mut host, text.as_mut());
    if let Some(screen) = text {
        log::show_on(screen);
    }
    Ok(end)
}

fn memory_for(config: &Config) -> Result<GuestMemory, String> {
    let needed = config.memory_needed();
    GuestMemory::allocate(needed).map_err(|_| {
        alloc::format!("the guest wants {} MiB, the PC has {} left", needed >> 20, heap::free_bytes() >> 20)
    })
}

/// The machine of a state image; `wire` is the address of the PC's card.
fn restore(image: &'static [u8], policy: MacPolicy, seed: u64, wire: [u8; 6]) -> Result<Machine, String> {
    let wrong = |error: SnapshotError| alloc::format!("state: {error}");
    let config = snapshot::config(&mut &*image).map_err(wrong)?;
    let memory = memory_for(&config)?;
    let options = RestoreOptions { mac: policy, seed };
    let restored = Machine::restore(config, memory, &mut &*image, options).map_err(wrong)?;
    let mut machine = restored.machine;
    if policy != MacPolicy::Preserve {
        machine.devices.ne2k.restored(0, policy, MacAddress(wire));
    }
    if let Some(macs) = machine.devices.ne2k.macs(0) {
        log!("state: {} MiB restored; the guest's card is {}", machine.config().memory >> 20, macs.guest);
    }
    Ok(machine)
}

/// Runs the machine until it ends; 0 is a good end.
fn live(machine: &mut Machine, host: &mut Host, mut text: Option<&mut Screen>) -> (u32, String) {
    let counts = machine.config().clock != ClockMode::Host;
    let budget = if counts { STEP } else { BUDGET };
    loop {
        let events = interrupts::events();
        let exit = machine.run(host, budget);
        if let Some(screen) = text.as_mut()
            && let Some(shown) = machine.devices.vga.text_screen(&machine.board.memory)
        {
            screen.show_text(&shown);
        }

        match exit {
            Exit::Budget | Exit::Reset => {}
            Exit::Idle { .. } if counts => interrupts::sleep(events, budget.as_nanos() as u64),
            Exit::Idle { until } => {
                interrupts::sleep(events, until.since(machine.now()));
            }
            Exit::PowerOff => return (0, "the guest has switched the machine off".to_string()),
            Exit::Exit(value) => {
                return (value, alloc::format!("the guest has ended the machine with {value}"));
            }
            Exit::TripleFault => {
                return (1, alloc::format!("triple fault at {:08X}", machine.cpu.eip));
            }
            Exit::Halted => {
                return (2, "the processor has halted with interrupts off".to_string());
            }
        }
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    log!("{info}");
    interrupts::stop();
}
