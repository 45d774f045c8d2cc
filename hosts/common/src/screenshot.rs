//! The machine's screen as a PNG file, without a display.

use nomad86::machine::Machine;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// A picture: width, height, and `0x00RRGGBB` row by row.
/// ```
/// # use nomad86::{config::Config, machine::Machine, memory::GuestMemory};
/// use nomad86_host::screenshot::Picture;
///
/// # let config = Config { memory: 1 << 20, bios: vec![0xF4; 64 << 10], ..Config::default() };
/// # let memory = GuestMemory::allocate(config.memory_needed())?;
/// # let machine = Machine::new(config, memory)?;
/// let mut png = Vec::new();
/// Picture::of(&machine).write(&mut png)?;
/// assert!(png.starts_with(b"\x89PNG"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pixels without gaps between rows.
    pub pixels: Vec<u32>,
}

impl Picture {
    /// What the machine's screen shows now, blinking things visible.
    #[must_use]
    pub fn of(machine: &Machine) -> Self {
        let mode = machine.devices.vga.mode();
        let mut pixels = vec![0; mode.width as usize * mode.height as usize];
        machine.devices.vga.render(&machine.board.memory, &mut pixels, mode.width as usize);
        Self { width: mode.width, height: mode.height, pixels }
    }

    /// Writes it as a PNG file.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write(&self, out: impl Write) -> io::Result<()> {
        let mut encoder = png::Encoder::new(out, self.width.max(1), self.height.max(1));
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        let mut bytes: Vec<u8> =
            self.pixels.iter().flat_map(|pixel| pixel.to_be_bytes().into_iter().skip(1)).collect();
        if bytes.is_empty() {
            // A screen that is switched off; the format has no empty pictures.
            bytes = vec![0; 3];
        }
        writer.write_image_data(&bytes)?;
        writer.finish()?;
        Ok(())
    }

    /// Writes it to a file, which is there whole or not at all.
    ///
    /// # Errors
    /// What the system says.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let part = path.with_file_name(name);
        let written = File::create(&part).and_then(|file| {
            let mut out = io::BufWriter::new(file);
            self.write(&mut out)?;
            out.into_inner()?.sync_all()
        });
        let moved = written.and_then(|()| std::fs::rename(&part, path));
        if moved.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let picture =
            Picture { width: 2, height: 2, pixels: vec![0xFF_0000, 0x00_FF00, 0x00_00FF, 0x12_3456] };
        let mut file = Vec::new();
        picture.write(&mut file).unwrap();
        let mut reader = png::Decoder::new(io::Cursor::new(file)).read_info().unwrap();
        let mut bytes = [0; 12];
        let info = reader.next_frame(&mut bytes).unwrap();
        assert_eq!((info.width, info.height, info.color_type), (2, 2, png::ColorType::Rgb));
        assert_eq!(bytes, [255, 0, 0, 0, 255, 0, 0, 0, 255, 0x12, 0x34, 0x56]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_and_nothing_stays() {
        let picture = Picture { width: 0, height: 0, pixels: Vec::new() };
        assert!(picture.save(Path::new("/nowhere/at/all.png")).is_err());
        let path = std::env::temp_dir().join(format!("nomad86-empty-{}.png", std::process::id()));
        picture.save(&path).unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(b"\x89PNG"));
        std::fs::remove_file(path).unwrap();
    }
}
