//! Sound: the machine's frames into SDL's queue.

use nomad86::host::Audio;
use sdl2::AudioSubsystem;
use sdl2::audio::{AudioQueue, AudioSpecDesired};

/// Frames per second.
const RATE: i32 = 48_000;
/// Frames of silence ahead of a sound, so that a late chunk makes no gap.
const LEAD: u32 = RATE as u32 / 33;
/// Frames that wait at most: what would be heard later than that is left out.
const LAG: u32 = RATE as u32 / 6;

/// The machine's side.
pub(crate) struct Sound {
    queue: AudioQueue<i16>,
    rate: u32,
}

impl Sound {
    /// Opens the default device; `None` on a host without sound.
    pub(crate) fn open(subsystem: &AudioSubsystem) -> Option<Self> {
        let wanted = AudioSpecDesired { freq: Some(RATE), channels: Some(2), samples: Some(512) };
        let queue = subsystem.open_queue::<i16, _>(None, &wanted).ok()?;
        let rate = u32::try_from(queue.spec().freq).ok().filter(|_| queue.spec().channels == 2)?;
        queue.resume();
        Some(Self { queue, rate })
    }

    /// Frames that wait.
    fn waiting(&self) -> u32 {
        self.queue.size() / size_of::<[i16; 2]>() as u32
    }
}

impl Audio for Sound {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn play(&mut self, frames: &[[i16; 2]]) {
        let waiting = self.waiting();
        if waiting > LAG {
            return;
        }
        // A device that has gone away makes the machine mute, nothing worse.
        if waiting == 0 {
            let _ = self.queue.queue_audio(&[0; 2 * LEAD as usize]);
        }
        let _ = self.queue.queue_audio(bytemuck::cast_slice(frames));
    }
}
