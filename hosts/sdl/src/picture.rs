//! The machine's picture, shared by the machine, which draws, and the window, which shows.

use nomad86::host::{Display, Mode, Rect, Surface};
use std::cell::RefCell;
use std::rc::Rc;

/// Pixels and what is new about them.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    pub(crate) mode: Mode,
    /// `0x00RRGGBB`, row by row without gaps.
    pub(crate) pixels: Vec<u32>,
    /// First row that changed and the one behind the last.
    pub(crate) dirty: Option<(u32, u32)>,
}

/// Both sides' handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(pub(crate) Rc<RefCell<Picture>>);

/// The machine's side.
pub(crate) struct Canvas {
    shared: Shared,
    /// Lent to the machine while it draws.
    pixels: Vec<u32>,
    mode: Mode,
}

impl Canvas {
    pub(crate) const fn new(shared: Shared) -> Self {
        Self { shared, pixels: Vec::new(), mode: Mode { width: 0, height: 0, text: None } }
    }
}

impl Display for Canvas {
    fn surface(&mut self, mode: Mode) -> Option<Surface<'_>> {
        if mode.width == 0 || mode.height == 0 {
            return None;
        }
        if self.mode != mode {
            self.mode = mode;
            self.pixels.clear();
            self.pixels.resize(mode.width as usize * mode.height as usize, 0);
        }
        Some(Surface { pixels: &mut self.pixels, stride: mode.width as usize })
    }

    fn present(&mut self, mode: Mode, dirty: Rect) {
        let mut picture = self.shared.0.borrow_mut();
        let (mut first, mut end) = (dirty.y, (dirty.y + dirty.height).min(mode.height));
        if picture.mode != mode || picture.pixels.len() != self.pixels.len() {
            picture.mode = mode;
            picture.pixels.clear();
            picture.pixels.resize(self.pixels.len(), 0);
            picture.dirty = None;
            (first, end) = (0, mode.height);
        }
        let width = mode.width as usize;
        let rows = first as usize * width..end as usize * width;
        if let (Some(to), Some(from)) = (picture.pixels.get_mut(rows.clone()), self.pixels.get(rows)) {
            to.copy_from_slice(from);
        }
        picture.dirty = Some(picture.dirty.map_or((first, end), |(a, b)| (a.min(first), b.max(end))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODE: Mode = Mode { width: 4, height: 3, text: None };

    #[test]
    fn rows_that_changed_add_up_until_they_are_shown() {
        let shared = Shared::default();
        let mut canvas = Canvas::new(shared.clone());
        canvas.surface(MODE).unwrap().pixels[5] = 7;
        canvas.present(MODE, Rect { x: 0, y: 1, width: 4, height: 1 });
        assert_eq!(shared.0.borrow().pixels[5], 7);
        assert_eq!(shared.0.borrow_mut().dirty.take(), Some((0, 3)), "all of it is new in a new mode");
        canvas.surface(MODE).unwrap().pixels[8] = 9;
        canvas.present(MODE, Rect { x: 0, y: 2, width: 4, height: 1 });
        canvas.present(MODE, Rect { x: 0, y: 1, width: 4, height: 1 });
        let picture = shared.0.borrow();
        assert_eq!((picture.dirty, picture.pixels[8]), (Some((1, 3)), 9));
    }

    #[test]
    fn a_new_mode_begins_black() {
        let mut canvas = Canvas::new(Shared::default());
        canvas.surface(MODE).unwrap().pixels.fill(1);
        let other = Mode { width: 3, height: 4, text: None };
        assert!(canvas.surface(other).unwrap().pixels.iter().all(|pixel| *pixel == 0));
        assert!(canvas.surface(Mode { width: 0, height: 0, text: None }).is_none());
    }
}
