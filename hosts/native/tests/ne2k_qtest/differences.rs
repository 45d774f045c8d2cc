//! Every known difference to QEMU 7.2's `ne2k_pci`, with what the data sheets say.

use super::pair::{MAC, Pair, START, STOP};
use nomad86::devices::ne2k::regs::{cr, page0_read, page0_write, page1, page2, page3};
use std::time::Duration;

pub(crate) struct Difference {
    pub(crate) what: &'static str,
    /// Section of DP8390D, RTL8029AS (LS009.0) or the NE2000, and what it says.
    pub(crate) sheet: &'static str,
    pub(crate) ours: u32,
    pub(crate) theirs: u32,
    /// Runs on cards that were just brought up.
    pub(crate) probe: fn(&mut Pair) -> [u32; 2],
}

const PAGE2: u8 = START | 2 << cr::PS_SHIFT;
const PAGE3: u8 = START | 3 << cr::PS_SHIFT;
const MOMENT: Duration = Duration::from_millis(100);

fn read(pair: &mut Pair, command: u8, offset: u16) -> [u32; 2] {
    pair.outb(0, command);
    pair.read_both(offset, 1)
}

fn memory(pair: &mut Pair, at: u16) -> [u32; 2] {
    pair.outb(0, START);
    pair.outb(page0_write::DCR, 0x48);
    pair.remote(cr::RD_READ, at, 1);
    pair.read_both(0x10, 1)
}

/// Whether each card has put `frame` into its ring.
fn stored(pair: &mut Pair, frame: &[u8]) -> [u32; 2] {
    pair.outb(0, START | 1 << cr::PS_SHIFT);
    let before = pair.read_both(page1::CURR, 1);
    pair.arrive(frame);
    std::thread::sleep(MOMENT);
    let after = pair.read_both(page1::CURR, 1);
    [0, 1].map(|n| u32::from(before[n] != after[n]))
}

fn frame(destination: [u8; 6]) -> [u8; 60] {
    let mut frame = [0x5A; 60];
    frame[..6].copy_from_slice(&destination);
    frame
}

/// Lengths of what each card sent.
fn sent(pair: &mut Pair, page: u8, count: u16) -> [u32; 2] {
    pair.transmit_command(page, count);
    pair.take_sent(MOMENT).map(|frame| frame.map_or(0, |frame| frame.len() as u32))
}

fn set_par(pair: &mut Pair, par: [u8; 6]) {
    pair.outb(0, START | 1 << cr::PS_SHIFT);
    for (offset, octet) in (page1::PAR0..).zip(par) {
        pair.outb(offset, octet);
    }
}

pub(crate) const ALL: &[Difference] = &[
    Difference {
        what: "CR after reset",
        sheet: "DP8390D 11: reset sets RD2 and STP and resets TXP and STA",
        ours: 0x21,
        theirs: 0x22,
        probe: |pair| {
            pair.read_both(0x1F, 1);
            pair.read_both(0, 1)
        },
    },
    Difference {
        what: "the interrupt pin after a reset, with a mask from before it",
        sheet: "DP8390D 11: reset clears all bits of IMR",
        ours: 0,
        theirs: 1,
        probe: |pair| {
            pair.outb(page0_write::IMR, 0x02);
            pair.read_both(0x1F, 1);
            sent(pair, 0x40, 60);
            let pins = pair.pins();
            pair.outb(page0_write::IMR, 0);
            pins
        },
    },
    Difference {
        what: "stopping sets RST",
        sheet: "DP8390D 10.3, ISR bit 7: set when the chip enters the reset state",
        ours: 0x80,
        theirs: 0x00,
        probe: |pair| read(pair, STOP, page0_read::ISR),
    },
    Difference {
        what: "the first of the reset port's aliases",
        sheet: "RTL8029AS 5.1: reset port 18 to 1F",
        ours: 0x80,
        theirs: 0x00,
        probe: |pair| {
            pair.read_both(0x18, 1);
            read(pair, STOP, page0_read::ISR).map(|isr| isr & 0x80)
        },
    },
    Difference {
        what: "the last of the data port's aliases",
        sheet: "RTL8029AS 5.1: remote DMA port 10 to 17",
        ours: 0x52,
        theirs: 0xFF,
        probe: |pair| {
            pair.outb(page0_write::DCR, 0x48);
            pair.remote(cr::RD_READ, 0, 1);
            pair.read_both(0x17, 1)
        },
    },
    Difference {
        what: "a 16-bit access to two registers",
        sheet: "PCI: each byte enabled is a register of its own",
        ours: 0x4350,
        theirs: 0xFFFF,
        probe: |pair| {
            pair.outb(0, START);
            pair.read_both(page0_read::ID0, 2)
        },
    },
    Difference {
        what: "clearing STP without setting STA leaves RST",
        sheet: "DP8390D 10.3, ISR bit 7: cleared when a start command is issued",
        ours: 0x80,
        theirs: 0x00,
        probe: |pair| {
            pair.outb(0, STOP);
            // QEMU sets no RST when it stops: both get it by a reset.
            pair.read_both(0x1F, 1);
            read(pair, cr::RD_ABORT, page0_read::ISR)
        },
    },
    Difference {
        what: "TSR bit 1",
        sheet: "RTL8029AS 5.1.2.1, TSR: bit 1 is always 1",
        ours: 0x03,
        theirs: 0x01,
        probe: |pair| {
            sent(pair, 0x40, 60);
            read(pair, START, page0_read::TSR)
        },
    },
    Difference {
        what: "CLDA after a packet was sent",
        sheet: "DP8390D 10.3: CLDA0 and CLDA1 give the current local DMA address",
        ours: 0x413C,
        theirs: 0,
        probe: |pair| {
            sent(pair, 0x41, 60);
            let [low, high] = [page0_read::CLDA0, page0_read::CLDA1].map(|offset| pair.read_both(offset, 1));
            [0, 1].map(|n| low[n] | high[n] << 8)
        },
    },
    Difference {
        what: "page 2 TPSR",
        sheet: "RTL8029AS 5.1.1: TPSR reads in page 2",
        ours: 0x40,
        theirs: 0,
        probe: |pair| read(pair, PAGE2, page2::TPSR),
    },
    Difference {
        what: "page 2 RCR",
        sheet: "RTL8029AS 5.1.2.1, RCR: reads in page 2, bits 6 and 7 always 1",
        ours: 0xC4,
        theirs: 0,
        probe: |pair| read(pair, PAGE2, page2::RCR),
    },
    Difference {
        what: "page 2 TCR",
        sheet: "RTL8029AS 5.1.2.1, TCR: reads in page 2, bits 5 to 7 always 1",
        ours: 0xE0,
        theirs: 0,
        probe: |pair| read(pair, PAGE2, page2::TCR),
    },
    Difference {
        what: "page 2 DCR",
        sheet: "RTL8029AS 5.1.2.1, DCR: reads in page 2, bit 7 always 1",
        ours: 0xC9,
        theirs: 0,
        probe: |pair| read(pair, PAGE2, page2::DCR),
    },
    Difference {
        what: "page 3 9346CR",
        sheet: "RTL8029AS 5.1.2.2: bit 0 is the serial EEPROM's output, which idles high",
        ours: 0x01,
        theirs: 0,
        probe: |pair| read(pair, PAGE3, page3::CR9346),
    },
    Difference {
        what: "page 3 identity",
        sheet: "RTL8029AS 5.1.2.2: 8029ASID0 reads 29",
        ours: 0x29,
        theirs: 0,
        probe: |pair| read(pair, PAGE3, page3::ASID0),
    },
    Difference {
        what: "the PROM cannot be written",
        sheet: "NE2000: an address PROM",
        ours: 0x00,
        theirs: 0x99,
        probe: |pair| {
            pair.outb(page0_write::DCR, 0x48);
            pair.remote(cr::RD_WRITE, 26, 1);
            pair.outb(0x10, 0x99);
            let read = memory(pair, 26);
            pair.remote(cr::RD_WRITE, 26, 1);
            pair.outb(0x10, 0);
            read
        },
    },
    Difference {
        what: "the PROM between address and signature after several resets",
        sheet: "NE2000: an address PROM; QEMU doubles what it doubled before",
        ours: 0x00,
        theirs: 0x56,
        probe: |pair| {
            pair.reset();
            pair.reset();
            memory(pair, 20)
        },
    },
    Difference {
        what: "packet RAM ends at 7FFF",
        sheet: "RTL8029AS 1: 16 KiB of built-in SRAM",
        ours: 0xFF,
        theirs: 0x00,
        probe: |pair| memory(pair, 0x8100),
    },
    Difference {
        what: "an 8-bit access under word transfers moves one byte",
        sheet: "DP8390D 9: remote DMA address and count advance by what is transferred",
        ours: 1,
        theirs: 2,
        probe: |pair| {
            pair.outb(page0_write::DCR, 0x49);
            pair.remote(cr::RD_READ, 0, 8);
            pair.read_both(0x10, 1);
            pair.read_both(page0_read::CRDA0, 1)
        },
    },
    Difference {
        what: "reading past the count",
        sheet: "DP8390D 9: the transfer ends when the byte count is zero",
        ours: 0xFFFF,
        theirs: 0x5252,
        probe: |pair| {
            pair.outb(page0_write::DCR, 0x49);
            pair.remote(cr::RD_READ, 0, 0);
            pair.read_both(0x10, 2)
        },
    },
    Difference {
        what: "the data port without a remote read command",
        sheet: "DP8390D 10.3, CR: RD selects read, write or abort",
        ours: 0xFFFF,
        theirs: 0x5252,
        probe: |pair| {
            pair.outb(page0_write::DCR, 0x49);
            pair.remote(cr::RD_ABORT, 0, 8);
            pair.read_both(0x10, 2)
        },
    },
    Difference {
        what: "the high byte of a 16-bit access under byte transfers",
        sheet: "NE2000: nothing drives it",
        ours: 0xFF52,
        theirs: 0x0052,
        probe: |pair| {
            pair.outb(page0_write::DCR, 0x48);
            pair.remote(cr::RD_READ, 0, 8);
            pair.read_both(0x10, 2)
        },
    },
    Difference {
        what: "remote DMA wraps at FFFF",
        sheet: "DP8390D 9: a 16-bit address",
        ours: 0x52,
        theirs: 0xFF,
        probe: |pair| {
            pair.outb(page0_write::DCR, 0x48);
            pair.remote(cr::RD_READ, 0xFFFF, 2);
            pair.read_both(0x10, 1);
            pair.read_both(0x10, 1)
        },
    },
    Difference {
        what: "a frame sent in loopback",
        sheet: "DP8390D 12: the packet is looped back inside the chip",
        ours: 0,
        theirs: 60,
        probe: |pair| {
            pair.outb(page0_write::TCR, 0x02);
            sent(pair, 0x40, 60)
        },
    },
    Difference {
        what: "a transmit count of no frame",
        sheet: "our choice: too short and too long frames are aborted, see ne2k::transmit",
        ours: 0x08,
        theirs: 0x02,
        probe: |pair| {
            sent(pair, 0x40, 0x4001);
            read(pair, START, page0_read::ISR)
        },
    },
    Difference {
        what: "the station address is PAR's, not the PROM's",
        sheet: "DP8390D 10.3, PAR: compared with the destination of incoming packets",
        ours: 1,
        theirs: 0,
        probe: |pair| {
            set_par(pair, [2, 0, 0, 0, 0, 9]);
            let stored = stored(pair, &frame([2, 0, 0, 0, 0, 9]));
            set_par(pair, MAC.0);
            stored
        },
    },
    Difference {
        what: "promiscuous mode lets other stations' frames in, not groups",
        sheet: "DP8390D 10.3, RCR: PRO is for physical addresses, AB for broadcasts, AM for groups",
        ours: 0,
        theirs: 1,
        probe: |pair| {
            pair.set_rcr(0x10);
            stored(pair, &frame([0xFF; 6]))
        },
    },
    Difference {
        what: "monitor mode stores nothing",
        sheet: "DP8390D 10.3, RCR bit 5: packets are checked and not buffered",
        ours: 0,
        theirs: 1,
        probe: |pair| {
            pair.set_rcr(0x24);
            stored(pair, &frame([0xFF; 6]))
        },
    },
    Difference {
        what: "the wire is not heard in loopback",
        sheet: "DP8390D 12: transmitter and receiver share one half of the FIFO each",
        ours: 0,
        theirs: 1,
        probe: |pair| {
            pair.outb(page0_write::TCR, 0x02);
            stored(pair, &frame([0xFF; 6]))
        },
    },
    Difference {
        what: "a packet that fits is stored however little room is left",
        sheet: "DP8390D 7: the buffer ring overflows when the next page is BNRY",
        ours: 1,
        theirs: 0,
        probe: |pair| {
            pair.set_ring([0x4C, 0x80, 0x50, 0x53]);
            let stored = stored(pair, &frame([0xFF; 6]));
            // QEMU keeps the frame back: it goes into the ring that is set up next.
            pair.outb(0, START);
            pair.outb(page0_write::BNRY, 0x4F);
            std::thread::sleep(MOMENT);
            stored
        },
    },
    Difference {
        what: "an overflow is reported",
        sheet: "DP8390D 10.3, ISR: OVW is set when receive buffer resources are exhausted",
        ours: 0x10,
        theirs: 0x00,
        probe: |pair| {
            pair.set_ring([0x4C, 0x80, 0x50, 0x51]);
            pair.arrive(&frame([0xFF; 6]));
            std::thread::sleep(MOMENT);
            let isr = read(pair, START, page0_read::ISR).map(|isr| isr & 0x10);
            pair.outb(page0_write::BNRY, 0x4F);
            std::thread::sleep(MOMENT);
            isr
        },
    },
    Difference {
        what: "the CRC follows the packet in the ring",
        sheet: "DP8390D 7: the count includes the CRC's four bytes, which are stored",
        ours: 0x14,
        theirs: 0x00,
        probe: |pair| {
            stored(pair, &frame([0xFF; 6]));
            memory(pair, 0x4D00 + 64)
        },
    },
];
