//! The palette DAC (ports 3C6 to 3C9): 256 colours of three times 6 bits, or 8 when VBE switches it.

/// The DAC.
pub(super) struct Dac {
    pub(super) mask: u8,
    entries: [[u8; 3]; 256],
    /// Entry being written or read.
    write_index: u8,
    read_index: u8,
    /// Which of red, green and blue is next.
    component: u8,
    /// Red and green wait here until blue completes the entry.
    pending: [u8; 3],
    reading: bool,
    /// 8 bits a component instead of 6.
    pub(super) wide: bool,
}
archive_fields!(Dac { mask, entries, write_index, read_index, component, pending, reading, wide });

impl Dac {
    pub(super) const fn new() -> Self {
        Self {
            mask: 0xFF,
            entries: [[0; 3]; 256],
            write_index: 0,
            read_index: 0,
            component: 0,
            pending: [0; 3],
            reading: false,
            wide: false,
        }
    }

    /// Port 3C7 read: 3 after a read index was written, 0 after a write index.
    pub(super) const fn state(&self) -> u8 {
        if self.reading { 3 } else { 0 }
    }

    pub(super) const fn index(&self) -> u8 {
        self.write_index
    }

    pub(super) const fn start_read(&mut self, index: u8) {
        self.read_index = index;
        self.write_index = index.wrapping_add(1);
        self.component = 0;
        self.reading = true;
    }

    pub(super) const fn start_write(&mut self, index: u8) {
        self.write_index = index;
        self.component = 0;
        self.reading = false;
    }

    pub(super) fn read(&mut self) -> u8 {
        let component = usize::from(self.component % 3);
        let value = self.entries[usize::from(self.read_index)][component];
        self.component = (component as u8 + 1) % 3;
        if self.component == 0 {
            self.read_index = self.read_index.wrapping_add(1);
            self.write_index = self.read_index.wrapping_add(1);
        }
        value
    }

    pub(super) fn write(&mut self, value: u8) {
        let component = usize::from(self.component % 3);
        self.pending[component] = if self.wide { value } else { value & 0x3F };
        self.component = (component as u8 + 1) % 3;
        if self.component == 0 {
            self.entries[usize::from(self.write_index)] = self.pending;
            self.write_index = self.write_index.wrapping_add(1);
        }
    }

    /// The colour of an entry, `0x00RRGGBB`.
    pub(super) fn color(&self, index: u8) -> u32 {
        let [r, g, b] = self.entries[usize::from(index & self.mask)].map(|c| {
            let c = u32::from(c);
            if self.wide { c } else { (c & 0x3F) << 2 | (c & 0x3F) >> 4 }
        });
        r << 16 | g << 8 | b
    }
}
