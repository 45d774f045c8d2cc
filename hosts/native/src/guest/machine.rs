//! The thread of one machine.

use super::{Engine, Setup};
use nomad86::config::{Config, Kernel};
use nomad86::host::Host;
use nomad86::machine::{Exit, Machine};
use nomad86::memory::GuestMemory;
use nomad86::snapshot::{self, RestoreOptions};
use nomad86_host::clock::HostClock;
use nomad86_host::console::Line;
use nomad86_host::guest;
use nomad86_host::net::bell::Bedside;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

/// RAM of a guest.
const MEMORY: usize = 256 << 20;
/// How long the machine runs between two looks at its orders.
const BUDGET: Duration = Duration::from_millis(10);
/// The longest sleep of an idle machine.
const NAP: Duration = Duration::from_millis(500);
/// Room for translated code.
#[cfg(target_os = "linux")]
const CODE: usize = 64 << 20;

/// What a test asks of a machine.
pub(super) enum Order {
    Type(Vec<u8>),
    Inspect(Box<dyn FnOnce(&mut Machine) + Send>),
    /// The number of the process that the machine runs in.
    Id(Sender<u32>),
    Stop,
}

/// Builds the machine and runs it until it is stopped or ends.
pub(super) fn live(
    mut setup: Setup,
    files: &guest::Guest,
    bedside: &Bedside,
    orders: &Receiver<Order>,
    output: &Sender<Vec<u8>>,
) {
    let mut machine = match &setup.state {
        Some((image, options)) => restored(image, *options),
        None => built(&mut setup, files),
    };
    #[cfg(target_os = "linux")]
    if setup.engine == Engine::Recompiler
        && let Ok(code) = nomad86_host::code::DualMapping::new(CODE)
    {
        machine.use_jit(Box::new(code), false);
    }
    let line = Line::default();
    let mut host = Host::null();
    host.clock = Box::new(HostClock::default());
    host.serial[0] = Box::new(line.clone());
    host.networks = setup.plugs.into_iter().map(|plug| plug(bedside.bell())).collect();
    loop {
        for order in orders.try_iter() {
            match order {
                Order::Type(bytes) => {
                    line.give(&bytes);
                }
                Order::Inspect(look) => look(&mut machine),
                Order::Id(asked) => drop(asked.send(std::process::id())),
                Order::Stop => return,
            }
        }
        let exit = machine.run(&mut host, BUDGET);
        let mut bytes = Vec::new();
        line.take(&mut bytes);
        if !bytes.is_empty() && output.send(bytes).is_err() {
            return;
        }
        match exit {
            Exit::Budget | Exit::Reset => {}
            Exit::Idle { until } => {
                let pause = Duration::from_nanos(until.since(machine.now())).min(NAP);
                let _ = bedside.sleep(pause);
            }
            Exit::PowerOff | Exit::Exit(_) | Exit::TripleFault | Exit::Halted => return,
        }
    }
}

/// A machine with power on.
fn built(setup: &mut Setup, files: &guest::Guest) -> Machine {
    let read = |path| std::fs::read(path).expect("the guest's files are readable");
    let mut initrd = read(&files.initrd);
    // The kernel unpacks archives that stand one behind another.
    initrd.extend(setup.extra.take().map(nomad86_host::guest::cpio::Cpio::finish).unwrap_or_default());
    let kernel = Kernel {
        image: read(&files.kernel).into(),
        initrd: Some(initrd.into()),
        // On a busy host ticks are lost, and Linux then distrusts the one clock that is right.
        command_line: format!("console=ttyS0 quiet tsc=reliable{}", setup.append),
        ..Kernel::default()
    };
    let cards = std::mem::take(&mut setup.cards);
    let config = Config { memory: MEMORY, kernel: Some(kernel), cards, ..Config::default() };
    let memory = GuestMemory::allocate(config.memory_needed()).expect("there is memory for a guest");
    Machine::new(config, memory).expect("the configuration is right")
}

/// The machine of an image.
fn restored(image: &[u8], options: RestoreOptions) -> Machine {
    let config = snapshot::config(&mut &*image).expect("the image has a configuration");
    let memory = GuestMemory::allocate(config.memory_needed()).expect("there is memory for a guest");
    Machine::restore(config, memory, &mut &*image, options).expect("the image is whole").machine
}
