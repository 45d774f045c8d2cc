use super::Pair;

#[test]
fn addresses_counts_masks_and_pages_read_back_alike() {
    let Some(mut pair) = Pair::start() else { return };
    pair.out(0x0D, 0);
    pair.out(0xDA, 0);
    for _ in 0..5000 {
        let (base, step) = pair.pick(&[(0x00_u16, 1_u16), (0xC0, 2)]);
        let value = pair.random(256) as u8;
        match pair.random(5) {
            // Both bytes at a time: QEMU takes a single low byte over only with the high one.
            0 | 1 => {
                let port = base + step * pair.random(8) as u16;
                pair.out(base + step * 12, 0);
                pair.out(port, value);
                pair.out(port, value.wrapping_mul(7));
                pair.same(port);
                pair.same(port);
            }
            2 => {
                // The PIIX shows the mask at register 15, QEMU at 9: not compared.
                let register = pair.pick(&[10_u16, 15]);
                pair.out(base + step * register, value);
            }
            3 => {
                pair.same(base + step * 8);
            }
            _ => {
                let port = 0x80 + pair.pick(&[1_u16, 2, 3, 7, 9, 10, 11, 15]);
                pair.out(port, value);
                pair.same(port);
            }
        }
    }
}
