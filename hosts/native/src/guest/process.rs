//! The same guest in another emulator: a program whose standard input and output are the serial line.

use super::machine::Order;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender};

/// Runs the program until it is stopped or ends.
pub(super) fn live(mut command: Command, orders: &Receiver<Order>, output: Sender<Vec<u8>>) {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else { return };
    let (Some(mut input), Some(mut from)) = (child.stdin.take(), child.stdout.take()) else { return };
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if output.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    for order in orders {
        match order {
            // It shows as an end of the output when the program has gone.
            Order::Type(bytes) => drop(input.write_all(&bytes).and_then(|()| input.flush())),
            Order::Inspect(_) => {}
            Order::Id(asked) => drop(asked.send(child.id())),
            Order::Stop => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    let _ = reader.join();
}
