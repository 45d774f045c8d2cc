//! The translator allocates nothing.

mod counting;
mod frames;

use counting::allocations;
use frames::Generator;
use nomad86::net::{Direction, MacAddress, MacPair, translate};

#[test]
fn case_71_translation_allocates_nothing() {
    let mut g = Generator::new(5);
    for _ in 0..20_000 {
        g.choose_addresses();
        let macs = MacPair { guest: MacAddress(g.guest), wire: MacAddress(g.wire) };
        let mut bytes = g.build().visible().to_vec();
        let (count, ()) = allocations(|| {
            for direction in [Direction::Outbound, Direction::Inbound] {
                translate(direction, &macs, &mut bytes);
            }
        });
        assert_eq!(count, 0);
    }
}
