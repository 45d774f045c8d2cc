use super::super::*;
use alloc::vec;

/// An option ROM for PCI whose identity is `id`, with a right sum.
fn rom(id: [u8; 4]) -> Vec<u8> {
    let mut rom = vec![0; 1024];
    rom[..3].copy_from_slice(&[0x55, 0xAA, 2]);
    rom[0x18] = 0x40;
    rom[0x40..0x44].copy_from_slice(b"PCIR");
    rom[0x44..0x48].copy_from_slice(&id);
    let sum = rom.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    rom[6] = 0_u8.wrapping_sub(sum);
    rom
}

#[test]
fn a_boot_rom_gets_the_cards_identity_and_keeps_its_sum() {
    for id in [[0; 4], [0xEC, 0x10, 0x29, 0x80], [0x86, 0x80, 0x0E, 0x10]] {
        let mut rom = rom(id);
        claim_rom(&mut rom);
        assert_eq!(rom[0x44..0x48], [0xEC, 0x10, 0x29, 0x80]);
        assert_eq!(rom.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)), 0);
    }
}

#[test]
fn what_is_no_rom_for_pci_stays_as_it_is() {
    for mut image in [vec![], vec![0x55; 7], vec![0xFF; 512], {
        let mut cut = rom([0; 4]);
        cut.truncate(0x46);
        cut
    }] {
        let before = image.clone();
        claim_rom(&mut image);
        assert_eq!(image, before);
    }
}
