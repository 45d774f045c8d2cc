//! What users type and what files they name: options of networks and drives, addresses of relays, kernels.

use crate::input::Input;
use nomad86::config::{Config, Kernel};
use nomad86::machine::Machine;
use nomad86::memory::GuestMemory;
use nomad86_host::disk::DriveSpec;
use nomad86_host::net::Mac;
use nomad86_host::net::relay::RelayUrl;
use nomad86_host::net::spec::NicSpec;

/// Runs an input.
///
/// # Panics
/// When a message does not fit on a line.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte().unwrap_or(0);
    let rest = input.rest();
    let text = String::from_utf8_lossy(rest);
    let message = match kind % 6 {
        0 => NicSpec::parse(&text).err().map(|error| error.to_string()),
        1 => NicSpec::parse_net(&text).err().map(|error| error.to_string()),
        2 => RelayUrl::parse(&text).err().map(str::to_owned),
        3 => {
            let _ = Mac::parse(&text);
            None
        }
        4 => kernel(rest),
        _ => text.parse::<DriveSpec>().err().map(|error| error.to_string()),
    };
    if let Some(message) = message {
        assert!(!message.is_empty() && message.lines().count() == 1, "one clear line: {message:?}");
    }
}

/// A machine that is to start a kernel of any kind.
fn kernel(image: &[u8]) -> Option<String> {
    let kernel =
        Kernel { image: image.to_vec().into(), initrd: Some(vec![1; 600].into()), ..Kernel::default() };
    let config = Config { memory: 2 << 20, video_memory: 1 << 20, kernel: Some(kernel), ..Config::default() };
    let memory = GuestMemory::allocate(config.memory_needed()).ok()?;
    Machine::new(config, memory).err().map(|error| error.to_string())
}
