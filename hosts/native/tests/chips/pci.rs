use super::Pair;
use nomad86::board::Width;
use nomad86::devices::Bus;

/// The functions that both have: host bridge, ISA bridge, IDE, power management.
const FUNCTIONS: [u32; 4] = [0x0000, 0x0800, 0x0900, 0x0B00];

impl Pair {
    fn outl(&mut self, port: u16, value: u32) {
        self.log.push(format!("out {port:03X},{value:08X}"));
        let id = self.ours.board.io.device(port).expect("a device");
        let bus = &mut Bus { board: &mut self.ours.board, host: &mut self.ours.host };
        self.ours.devices.write(id, port, Width::Dword, value, bus);
        self.qemu.command(&format!("outl {port:#x} {value:#x}"));
    }

    fn outw(&mut self, port: u16, value: u16) {
        self.log.push(format!("out {port:03X},{value:04X}"));
        let id = self.ours.board.io.device(port).expect("a device");
        let bus = &mut Bus { board: &mut self.ours.board, host: &mut self.ours.host };
        self.ours.devices.write(id, port, Width::Word, value.into(), bus);
        self.qemu.command(&format!("outw {port:#x} {value:#x}"));
    }

    fn same_word(&mut self, port: u16) -> u16 {
        let id = self.ours.board.io.device(port).expect("a device");
        let bus = &mut Bus { board: &mut self.ours.board, host: &mut self.ours.host };
        let ours = self.ours.devices.read(id, port, Width::Word, bus) as u16;
        let theirs = self.qemu.command(&format!("inw {port:#x}")) as u16;
        assert_eq!(ours, theirs, "port {port:#x}, ours and theirs, after {}", self.story());
        ours
    }

    fn mmio_out(&mut self, at: u64, value: u32) {
        let bus = &mut Bus { board: &mut self.ours.board, host: &mut self.ours.host };
        let id = bus.board.mmio.device(at).expect("a device");
        self.ours.devices.mmio_write(id, at, Width::Dword, value, bus);
        self.qemu.command(&format!("writel {at:#x} {value:#x}"));
        self.log.push(format!("write {at:08X},{value:08X}"));
    }

    fn mmio_in(&mut self, at: u64) -> (u32, u32) {
        let bus = &mut Bus { board: &mut self.ours.board, host: &mut self.ours.host };
        let id = bus.board.mmio.device(at).expect("a device");
        let ours = self.ours.devices.mmio_read(id, at, Width::Dword, bus);
        (ours, self.qemu.command(&format!("readl {at:#x}")) as u32)
    }

    fn config(&mut self, function: u32, at: u32) -> (u8, u8) {
        self.outl(0xCF8, 0x8000_0000 | function | at & 0xFC);
        self.both(0xCFC + (at & 3) as u16)
    }

    fn set_config(&mut self, function: u32, at: u32, value: u8) {
        self.outl(0xCF8, 0x8000_0000 | function | at & 0xFC);
        self.out(0xCFC + (at & 3) as u16, value);
    }
}

/// Header fields that say what a function is, and the bits of them that both have.
const IDENTITY: [(u32, u8); 18] = [
    (0x00, 0xFF),
    (0x01, 0xFF),
    (0x02, 0xFF),
    (0x03, 0xFF),
    (0x06, 0xFF),
    (0x08, 0xFF),
    (0x09, 0xFF),
    (0x0A, 0xFF),
    (0x0B, 0xFF),
    (0x0E, 0xFF),
    (0x0F, 0xFF),
    (0x2C, 0xFF),
    (0x2D, 0xFF),
    (0x2E, 0xFF),
    (0x2F, 0xFF),
    (0x30, 0xFF),
    (0x34, 0xFF),
    (0x3D, 0xFF),
];

#[test]
fn functions_have_the_same_identities_wherever_they_are_looked_for() {
    let Some(mut pair) = Pair::start() else { return };
    for function in FUNCTIONS {
        for (at, bits) in IDENTITY {
            let (ours, theirs) = pair.config(function, at);
            assert_eq!(ours & bits, theirs & bits, "{function:04X}.{at:02X}");
        }
    }
    // Nothing else on the bus: QEMU has no display adapter here, ours sits in slot 2.
    for slot in (0..32).filter(|s| *s != 2) {
        for function in 0..8 {
            let (ours, theirs) = pair.config(slot << 11 | function << 8, 0);
            assert_eq!(ours, theirs, "slot {slot}, function {function}");
        }
    }
}

/// QEMU lets software write every bit from 40h on; we keep reserved and read-only bits as the data sheets say,
/// and have their reset values. What both let it write reads the same.
#[test]
fn registers_that_can_be_written_read_the_same() {
    let Some(mut pair) = Pair::start() else { return };
    let registers: [(u32, u8); 24] = [
        (0x0004, 0xF8),
        (0x005A, 0xFF),
        (0x005B, 0xFF),
        (0x005F, 0xFF),
        (0x0059, 0xF0),
        (0x0072, 0x40),
        (0x0804, 0xF8),
        (0x0860, 0x8F),
        (0x0861, 0x8F),
        (0x0862, 0x8F),
        (0x0863, 0x8F),
        (0x084E, 0xFF),
        (0x0869, 0xFF),
        (0x0904, 0x07),
        (0x0920, 0xFF),
        (0x0921, 0xFF),
        (0x0922, 0xFF),
        (0x0923, 0xFF),
        (0x093C, 0xFF),
        (0x0940, 0xFF),
        (0x0943, 0xFF),
        (0x0B04, 0x07),
        (0x0B3C, 0xFF),
        (0x0B58, 0xFF),
    ];
    for _ in 0..3000 {
        let (register, bits) = pair.pick(&registers);
        let value = pair.random(256) as u8;
        // Neither opens SMRAM for good nor does the host bridge stop answering.
        let value = if register == 0x0072 { value & 0x40 } else { value };
        pair.set_config(register & 0xFF00, register & 0xFF, value);
        let (ours, theirs) = pair.config(register & 0xFF00, register & 0xFF);
        assert_eq!(ours & bits, theirs & bits, "{register:04X}: {}", pair.story());
    }
}

#[test]
fn power_management_registers_and_timer_read_the_same() {
    let Some(mut pair) = Pair::start() else { return };
    for (at, value) in [(0x40, 0x01), (0x41, 0xB0), (0x80, 0x01)] {
        pair.set_config(0x0B00, at, value);
    }
    pair.step(1000);
    // QEMU begins with an overflow that never was.
    pair.outw(0xB000, 1);
    // The global lock, power button and RTC enables, and SCI on and off through the command port.
    for round in 0..1000 {
        match pair.random(5) {
            0 | 1 => {
                let value = pair.random(0x1_0000) as u16 & 0x0521;
                pair.outw(0xB002, value);
            }
            2 => {
                let command = pair.pick(&[0xF0, 0xF1, 0x12]);
                pair.out(0xB2, command);
            }
            3 => {
                let value = pair.random(256) as u8;
                pair.out(0xAFE2, value);
            }
            _ => {
                if round % 50 == 0 {
                    pair.step(1_000_000);
                }
            }
        }
        for port in [0xAFE0, 0xAFE2, 0xB2] {
            pair.same(port);
        }
        for port in [0xB000, 0xB002, 0xB004, 0xB008] {
            pair.same_word(port);
        }
    }
    // The timer's top bit has changed: bit 0 of the status, cleared by writing it.
    pair.step(2_500_000_000);
    assert_eq!(pair.same_word(0xB000) & 1, 1);
    pair.outw(0xB000, 1);
    assert_eq!(pair.same_word(0xB000) & 1, 0);
}

#[test]
fn the_ioapic_holds_the_same() {
    let Some(mut pair) = Pair::start() else { return };
    for _ in 0..3000 {
        // Masked, so that nothing is sent; the status bits belong to the chip.
        let index = pair.pick(&[0x00, 0x01, 0x10, 0x11, 0x2E, 0x2F, 0x3E, 0x3F]);
        let bits = match index {
            0 => 0x0F00_0000,
            1 => 0xFFFF_FFFF,
            n if n & 1 == 0 => 0x1_AFFF,
            _ => 0xFF00_0000,
        };
        let value = pair.random(u32::MAX) | 0x1_0000;
        pair.mmio_out(0xFEC0_0000, index);
        pair.mmio_out(0xFEC0_0010, value);
        let (ours, theirs) = pair.mmio_in(0xFEC0_0010);
        // QEMU's version register says 20h, a chip with an EOI register; ours is the 82093AA.
        let bits = if index == 1 { bits & !0xFF } else { bits };
        assert_eq!(ours & bits, theirs & bits, "register {index:02X}: {}", pair.story());
    }
}
