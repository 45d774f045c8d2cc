//! FSTENV, FSAVE and FXSAVE images against the host's.

use super::random::Random;
use crate::fpu::Fpu;
use crate::fpu::env::Layout;
use core::ops::Range;

const WIDE: Layout = Layout { wide: true, protected: true };
const NARROW: Layout = Layout { wide: false, protected: true };

#[repr(C, align(16))]
struct Image([u8; 512]);

macro_rules! native {
    ($($instruction:literal),*) => {{
        fn run(from: &mut Image, to: &mut Image) {
            // SAFETY: the instructions load the x87 from `from` and store it to `to`, no more than 512 bytes;
            // none of them waits for pending exceptions, and the initial state is left behind.
            unsafe {
                core::arch::asm!(
                    "fninit",
                    $($instruction,)*
                    "fnclex",
                    "fninit",
                    in("rdx") from.0.as_mut_ptr(),
                    in("rcx") to.0.as_mut_ptr(),
                    out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                    out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                );
            }
        }
        run as fn(&mut Image, &mut Image)
    }};
}

fn random_image(r: &mut Random, registers_at: usize, apart: usize) -> Image {
    let mut image = Image([0; 512]);
    for byte in &mut image.0 {
        *byte = r.next() as u8;
    }
    for n in 0..8 {
        let at = registers_at + apart * n;
        image.0[at..at + 10].copy_from_slice(&r.f80().to_bytes());
    }
    image
}

fn emulate(layout: Layout, from: &Image, save: bool) -> [u8; 108] {
    let mut fpu = Fpu::new();
    fpu.restore(layout, &from.0);

    if save {
        let image = fpu.save(layout);
        fpu.fninit();
        image
    } else {
        let mut image = [0; 108];
        image[..28].copy_from_slice(&fpu.environment(layout));
        fpu.finish_fstenv();
        image[28..30].copy_from_slice(&fpu.control.to_le_bytes());
        image[30..32].copy_from_slice(&fpu.status_word().to_le_bytes());
        image
    }
}

/// A host that switches tasks between our instructions loses selectors (a 64-bit XSAVE has no room for them)
/// and, when it is AMD's, all pointers: so do we then.
fn forget(emulated: &mut [u8], native: &[u8], selectors: [usize; 2], pointers: [Range<usize>; 2]) {
    for field in selectors.into_iter().map(|at| at..at + 2) {
        if selectors.iter().all(|&at| native[at..at + 2] == [0, 0]) {
            emulated[field].fill(0);
        }
    }
    if pointers.iter().all(|field| native[field.clone()].iter().all(|&byte| byte == 0)) {
        for field in pointers {
            emulated[field].fill(0);
        }
    }
}

#[test]
fn fsave_images_equal_the_hosts() {
    if !super::host_is_amd() {
        return;
    }
    let mut r = Random::new(31);
    let wide = native!("frstor [rdx]", "fnsave [rcx]");
    let narrow = native!(".byte 0x66; frstor [rdx]", ".byte 0x66; fnsave [rcx]");
    for _ in 0..20_000 * super::factor() {
        let mut from = random_image(&mut r, 28, 10);
        let mut to = Image([0; 512]);
        wide(&mut from, &mut to);
        let mut image = emulate(WIDE, &from, true);
        forget(&mut image, &to.0, [16, 24], [12..20, 20..26]);
        assert_eq!(image[..], to.0[..108], "32-bit");

        let mut from = random_image(&mut r, 14, 10);
        let mut to = Image([0; 512]);
        narrow(&mut from, &mut to);
        let mut image = emulate(NARROW, &from, true);
        forget(&mut image, &to.0, [8, 12], [6..10, 10..14]);
        assert_eq!(image[..94], to.0[..94], "16-bit");
    }
}

#[test]
fn fstenv_images_equal_the_hosts_and_mask_everything() {
    if !super::host_is_amd() {
        return;
    }
    let mut r = Random::new(32);
    let wide = native!("frstor [rdx]", "fnstenv [rcx]", "fnstcw [rcx + 28]", "fnstsw [rcx + 30]");
    let narrow = native!(".byte 0x66; frstor [rdx]", ".byte 0x66; fnstenv [rcx]");
    for _ in 0..20_000 * super::factor() {
        let mut from = random_image(&mut r, 28, 10);
        let mut to = Image([0; 512]);
        wide(&mut from, &mut to);
        let mut image = emulate(WIDE, &from, false);
        forget(&mut image, &to.0, [16, 24], [12..20, 20..26]);
        assert_eq!(image[..32], to.0[..32], "32-bit");

        let mut from = random_image(&mut r, 14, 10);
        let mut to = Image([0; 512]);
        narrow(&mut from, &mut to);
        let mut image = emulate(NARROW, &from, false);
        forget(&mut image, &to.0, [8, 12], [6..10, 10..14]);
        assert_eq!(image[..14], to.0[..14], "16-bit");
    }
}

#[test]
fn fxsave_images_equal_the_hosts() {
    if !super::host_is_amd() {
        return;
    }
    let mut r = Random::new(33);
    let native = native!("fxrstor [rdx]", "fxsave [rcx]");
    for _ in 0..20_000 * super::factor() {
        let mut from = random_image(&mut r, 32, 16);
        from.0[24..28].copy_from_slice(&0x1F80u32.to_le_bytes());
        let mut to = Image([0; 512]);
        native(&mut from, &mut to);

        let mut fpu = Fpu::new();
        fpu.fxrstor(&from.0);
        let mut image = [0; 512];
        fpu.fxsave(&mut image);
        assert_eq!(image[..6], to.0[..6]);
        assert_eq!(image[32..160], to.0[32..160]);
        if fpu.pending() {
            forget(&mut image, &to.0, [12, 20], [6..14, 16..22]);
            // AMD writes the pointers only now.
            assert_eq!(image[6..24], to.0[6..24]);
        }
    }
}

#[test]
fn real_mode_images_hold_linear_addresses() {
    let mut fpu = Fpu::new();
    fpu.note_instruction(0x5D8 | 0xF800, 0x1234, 0x5678);
    fpu.note_operand(0xF000, 0xFFF0);
    let wide = Layout { wide: true, protected: false };
    let image = fpu.environment(wide);
    let words: [u32; 7] =
        core::array::from_fn(|n| u32::from_le_bytes(image[4 * n..4 * n + 4].try_into().unwrap()));
    assert_eq!(
        words,
        [0xFFFF_037F, 0xFFFF_0000, 0xFFFF_FFFF, 0xFFFF_79B8, 0x0000_15D8, 0xFFFF_FFF0, 0x0000_F000]
    );
    let narrow = Layout { wide: false, protected: false };
    let image = fpu.environment(narrow);
    assert_eq!(image[..14], [0x7F, 3, 0, 0, 0xFF, 0xFF, 0xB8, 0x79, 0xD8, 0x15, 0xF0, 0xFF, 0, 0xF0]);
    let mut other = Fpu::new();
    other.load_environment(wide, &fpu.environment(wide));
    assert_eq!((other.fip, other.fdp, other.fop), (0x179B8, 0xF_FFF0, 0x5D8));
    other.load_environment(wide, &[0; 27]);
    assert_eq!(other.fip, 0x179B8, "a short image changes nothing");
}
