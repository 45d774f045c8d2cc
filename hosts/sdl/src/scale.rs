//! Where the picture lies in the window.

/// How the picture fills the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Scaling {
    /// As often as it fits, each pixel a square block.
    #[default]
    Integer,
    /// As large as it fits, interpolated, in the shape that a monitor gave it.
    Smooth,
}

/// A place in the window, in pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// The shape of a picture on a monitor: VGA's own modes fill a 4:3 screen whatever their number of lines is.
const fn shape(width: u32, height: u32) -> (u32, u32) {
    match (width, height) {
        (320 | 360 | 640 | 720, 200 | 240 | 350 | 400 | 480) => (4, 3),
        _ => (width, height),
    }
}

/// The middle of a window of `window` pixels, as large as `scaling` makes the picture.
pub(crate) fn place(picture: (u32, u32), window: (u32, u32), scaling: Scaling) -> Place {
    let times = (window.0 / picture.0.max(1)).min(window.1 / picture.1.max(1));
    let (width, height) = if scaling == Scaling::Integer && times > 0 {
        (picture.0 * times, picture.1 * times)
    } else {
        // A picture that is larger than the window is made to fit.
        let (across, down) = shape(picture.0, picture.1);
        let (across, down) = (u64::from(across.max(1)), u64::from(down.max(1)));
        let width = u64::from(window.0).min(u64::from(window.1) * across / down);
        (width as u32, (width * down / across) as u32)
    };
    let middle = |all: u32, part: u32| ((i64::from(all) - i64::from(part)) / 2) as i32;
    Place { x: middle(window.0, width), y: middle(window.1, height), width, height }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_multiples_lie_in_the_middle() {
        let at = place((640, 400), (1920, 1080), Scaling::Integer);
        assert_eq!(at, Place { x: 320, y: 140, width: 1280, height: 800 });
        let at = place((720, 400), (720, 400), Scaling::Integer);
        assert_eq!(at, Place { x: 0, y: 0, width: 720, height: 400 });
    }

    #[test]
    fn a_picture_that_is_too_large_is_made_to_fit() {
        let at = place((1600, 1200), (800, 800), Scaling::Integer);
        assert_eq!(at, Place { x: 0, y: 100, width: 800, height: 600 });
    }

    #[test]
    fn smooth_pictures_have_the_shape_of_a_monitor() {
        let at = place((320, 200), (1600, 900), Scaling::Smooth);
        assert_eq!(at, Place { x: 200, y: 0, width: 1200, height: 900 });
        let wide = place((1920, 1080), (960, 600), Scaling::Smooth);
        assert_eq!((wide.width, wide.height), (960, 540));
    }

    #[test]
    fn nothing_divides_by_zero() {
        for size in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            place(size, size, Scaling::Integer);
            place(size, size, Scaling::Smooth);
        }
    }
}
