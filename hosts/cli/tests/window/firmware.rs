//! Small BIOS images that write to ports and the screen and then do nothing for ever.

/// Where the code of an image begins in its segment, and where its data does.
const DATA: u16 = 0x4000;

pub(crate) struct Firmware {
    code: Vec<u8>,
    data: Vec<u8>,
}

impl Firmware {
    pub(crate) fn new() -> Self {
        // CLI; the stack is nowhere, as nothing uses it.
        Self { code: vec![0xFA], data: Vec::new() }
    }

    /// MOV DX, port; MOV AL, value; OUT DX, AL.
    pub(crate) fn out(mut self, port: u16, value: u8) -> Self {
        let [low, high] = port.to_le_bytes();
        self.code.extend([0xBA, low, high, 0xB0, value, 0xEE]);
        self
    }

    /// MOV DX, port; MOV EAX, value; OUT DX, EAX.
    pub(crate) fn out_dword(mut self, port: u16, value: u32) -> Self {
        let ([low, high], [a, b, c, d]) = (port.to_le_bytes(), value.to_le_bytes());
        self.code.extend([0xBA, low, high, 0x66, 0xB8, a, b, c, d, 0x66, 0xEF]);
        self
    }

    /// Takes the power button, as an operating system with ACPI does: the power management function's ports
    /// at 600h, its button event and ACPI mode on.
    pub(crate) fn power_button(self) -> Self {
        let function = 0x8000_0B00;
        self.out_dword(0xCF8, function | 0x40)
            .out_dword(0xCFC, 0x601)
            .out_dword(0xCF8, function | 0x80)
            .out_dword(0xCFC, 1)
            .out(0x603, 0x01)
            .out(0x604, 0x01)
    }

    /// MOV CX, FFFFh; LOOP $: some hundred microseconds at least.
    pub(crate) fn pause(mut self) -> Self {
        self.code.extend([0xB9, 0xFF, 0xFF, 0xE2, 0xFE]);
        self
    }

    /// A picture of 320 by 200 pixels of all colours, through the Bochs display interface.
    pub(crate) fn picture(mut self) -> Self {
        // The palette drives the screen (IN AL, DX sets the attribute controller to its index).
        self.code.extend([0xBA, 0xDA, 0x03, 0xEC]);
        self = self.out(0x3C0, 0x20).out(0x3C4, 0x00).out(0x3C5, 0x03).out(0x3CE, 0x06).out(0x3CF, 0x05);
        // BPP 32, XRES, YRES, ENABLE; then all four banks.
        let modes = [(3, 32), (1, 320), (2, 200), (4, 1)];
        let banks = [(5, 0), (5, 1), (5, 2), (5, 3)];
        for (index, value) in modes.into_iter().chain(banks) {
            for (port, word) in [(0x1CE, index), (0x1CF, value)] {
                let ([a, b], [c, d]) = (u16::to_le_bytes(port), u16::to_le_bytes(word));
                // MOV DX, port; MOV AX, word; OUT DX, AX.
                self.code.extend([0xBA, a, b, 0xB8, c, d, 0xEF]);
            }
            if index == 5 {
                // MOV AX, A000h; MOV ES, AX; XOR DI, DI; MOV CX, 8000h;
                // MOV AX, BX; STOSW; ADD BX, 1357h; LOOP.
                self.code.extend([0xB8, 0x00, 0xA0, 0x8E, 0xC0, 0x31, 0xFF, 0xB9, 0x00, 0x80]);
                self.code.extend([0x89, 0xD8, 0xAB, 0x81, 0xC3, 0x57, 0x13, 0xE2, 0xF7]);
            }
        }
        self
    }

    /// Copies `bytes` to physical address 10000h.
    pub(crate) fn copy(mut self, bytes: Vec<u8>) -> Self {
        let [low, high] = (bytes.len() as u16).to_le_bytes();
        // MOV AX, 1000h; MOV ES, AX; XOR DI, DI; MOV AX, CS; MOV DS, AX; MOV SI, DATA; MOV CX, length; CLD;
        // REP MOVSB.
        self.code.extend([0xB8, 0x00, 0x10, 0x8E, 0xC0, 0x31, 0xFF, 0x8C, 0xC8, 0x8E, 0xD8, 0xBE]);
        self.code.extend(DATA.to_le_bytes());
        self.code.extend([0xB9, low, high, 0xFC, 0xF3, 0xA4]);
        self.data = bytes;
        self
    }

    /// Writes what the mouse says to COM1: its acknowledgement FA, then packets of three bytes.
    pub(crate) fn mouse(mut self) -> Self {
        // 8 data bits; the second port on; reports of what happens there.
        for (port, value) in
            [(0x3FB, 0x03), (0x64, 0xA8), (0x64, 0x60), (0x60, 0x00), (0x64, 0xD4), (0x60, 0xF4)]
        {
            self = self.out(port, value).pause();
        }
        // next: IN AL, 64h; TEST AL, 1; JZ next; IN AL, 60h; MOV DX, 3F8h; OUT DX, AL; JMP next.
        self.code
            .extend([0xE4, 0x64, 0xA8, 0x01, 0x74, 0xFA, 0xE4, 0x60, 0xBA, 0xF8, 0x03, 0xEE, 0xEB, 0xF2]);
        self
    }

    /// The image: 64 KiB, entered at its sixteenth byte from the end.
    pub(crate) fn image(self) -> Vec<u8> {
        let mut image = vec![0; 0x1_0000];
        // HLT; JMP back to it.
        let code = [self.code.as_slice(), &[0xF4, 0xEB, 0xFD]].concat();
        assert!(code.len() <= usize::from(DATA));
        image[..code.len()].copy_from_slice(&code);
        image[usize::from(DATA)..][..self.data.len()].copy_from_slice(&self.data);
        // JMP F000:0000.
        image[0xFFF0..0xFFF5].copy_from_slice(&[0xEA, 0, 0, 0, 0xF0]);
        image
    }
}

/// The loudspeaker at `hertz`: counter 2 in mode 3, its gate and the speaker on.
pub(crate) fn speaker(hertz: u32) -> Firmware {
    let [low, high, ..] = (1_193_182 / hertz).to_le_bytes();
    Firmware::new().out(0x43, 0xB6).out(0x42, low).out(0x42, high).out(0x61, 0x03)
}

/// Samples in a period of [`dac`]'s sine, and samples per second.
const PERIOD: u32 = 50;
const TIME_CONSTANT: u8 = 211;
pub(crate) const DAC_HERTZ: f64 = 1e6 / (256.0 - TIME_CONSTANT as f64) / PERIOD as f64;

/// A Sound Blaster that plays a sine by auto-initialised DMA.
pub(crate) fn dac() -> Firmware {
    let sine =
        |n: u32| (128.0 + 100.0 * (std::f64::consts::TAU * f64::from(n) / f64::from(PERIOD)).sin()) as u8;
    let samples: Vec<u8> = (0..100 * PERIOD).map(sine).collect();
    let [low, high] = (samples.len() as u16 - 1).to_le_bytes();
    let mut firmware = Firmware::new().copy(samples);
    // DMA channel 1: single, auto-initialised, from memory at 10000h; the cascade lets it through.
    for (port, value) in [
        (0xD6, 0xC0),
        (0xD4, 0x00),
        (0x0A, 0x05),
        (0x0B, 0x59),
        (0x0C, 0x00),
        (0x02, 0x00),
        (0x02, 0x00),
        (0x83, 0x01),
        (0x03, low),
        (0x03, high),
        (0x0A, 0x01),
    ] {
        firmware = firmware.out(port, value);
    }
    firmware = firmware.out(0x226, 1).pause().out(0x226, 0).pause();
    // Speaker on, time constant, block size, auto-initialised 8-bit output.
    for command in [0xD1, 0x40, TIME_CONSTANT, 0x48, low, high, 0x1C] {
        firmware = firmware.out(0x22C, command);
    }
    firmware
}
