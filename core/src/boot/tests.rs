//! Kernels made for the purpose, good and bad.

use super::*;
use crate::memory::GuestMemory;
use alloc::string::{String, ToString};
use alloc::vec;

const RAM: usize = 16 << 20;

/// A Linux kernel of protocol 2.12 with two set-up sectors.
fn bzimage() -> Vec<u8> {
    let mut image = vec![0_u8; 3 * 512];
    image[0x1F1] = 2;
    image[0x1FE..0x200].copy_from_slice(&[0x55, 0xAA]);
    image[0x200..0x202].copy_from_slice(&[0xEB, 0x66]);
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x020C_u16.to_le_bytes());
    image[0x211] = 1;
    image[0x22C..0x230].copy_from_slice(&0x7FFF_FFFF_u32.to_le_bytes());
    image[0x238..0x23C].copy_from_slice(&255_u32.to_le_bytes());
    image[0x260..0x264].copy_from_slice(&0x20_0000_u32.to_le_bytes());
    let kernel: Vec<u8> = (0..4096_u32).map(|n| (n * 7) as u8).collect();
    image[0x1F4..0x1F8].copy_from_slice(&(kernel.len() as u32 / 16).to_le_bytes());
    image.extend(kernel);
    image
}

fn header(flags: u32) -> Vec<u8> {
    let magic = 0x1BAD_B002_u32;
    let sum = 0_u32.wrapping_sub(magic).wrapping_sub(flags);
    [magic, flags, sum].iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// A multiboot ELF file: one segment at 1 MiB, linked at C0100000, with 4 KiB of zeros after it.
fn elf() -> Vec<u8> {
    let mut image = vec![0_u8; 84];
    image[..6].copy_from_slice(b"\x7FELF\x01\x01");
    image[16..20].copy_from_slice(&[2, 0, 3, 0]);
    image[24..28].copy_from_slice(&0xC010_000C_u32.to_le_bytes());
    image[28..32].copy_from_slice(&52_u32.to_le_bytes());
    image[42..46].copy_from_slice(&[32, 0, 1, 0]);
    for (n, word) in [1, 84, 0xC010_0000, 0x10_0000, 64, 64 + 4096, 7, 4096_u32].into_iter().enumerate() {
        image[52 + 4 * n..56 + 4 * n].copy_from_slice(&word.to_le_bytes());
    }
    image.extend(header(3));
    image.resize(84 + 64, 0x90);
    image
}

/// A multiboot file with addresses in its header.
fn kludge() -> Vec<u8> {
    let mut image = vec![0xEE_u8; 16];
    image.extend(header(1 << 16));
    for word in [0x20_0000, 0x20_0000, 0x20_0100, 0x20_1000, 0x20_0020_u32] {
        image.extend(word.to_le_bytes());
    }
    image.resize(16 + 0x100, 0x42);
    image
}

fn config(image: Vec<u8>) -> Config {
    let kernel = Kernel { image: image.into(), command_line: "console=ttyS0".into(), ..Kernel::default() };
    Config { memory: RAM, video_memory: 1 << 20, kernel: Some(kernel), ..Config::default() }
}

fn memory() -> Memory {
    let block = GuestMemory::allocate(RAM + (1 << 20) + (256 << 10)).unwrap();
    Memory::new(block, RAM, 1 << 20, 256 << 10).unwrap()
}

fn bytes<const N: usize>(memory: &Memory, at: u32) -> [u8; N] {
    let mut out = [0; N];
    assert!(memory.read(u64::from(at), &mut out));
    out
}

fn word(memory: &Memory, at: u32) -> u32 {
    u32::from_le_bytes(bytes(memory, at))
}

fn text(memory: &Memory, at: u32) -> String {
    let all: [u8; 64] = bytes(memory, at);
    let end = all.iter().position(|b| *b == 0).unwrap();
    String::from_utf8_lossy(&all[..end]).into_owned()
}

#[test]
fn linux_starts_at_its_32_bit_entry_with_boot_parameters() {
    let mut config = config(bzimage());
    config.kernel.as_mut().unwrap().initrd = Some(vec![0x5A; 10_000].into());
    let mut memory = memory();
    let entry = place(&config, &mut memory).unwrap();
    assert_eq!((entry.eip, entry.esi, entry.cs, entry.ds), (0x10_0000, 0x1_0000, 0x10, 0x18));
    assert_eq!(word(&memory, entry.eip), 0x150E_0700);
    let page = entry.esi;
    assert_eq!(bytes(&memory, page + 0x202), *b"HdrS");
    assert_eq!(text(&memory, word(&memory, page + 0x228)), "console=ttyS0");
    let initrd = word(&memory, page + 0x218);
    assert_eq!(word(&memory, page + 0x21C), 10_000);
    assert_eq!(initrd & 0xFFF, 0);
    assert!(initrd as usize + 10_000 <= RAM - (256 << 10) && initrd as usize > RAM - (512 << 10));
    assert_eq!(bytes(&memory, initrd + 9_999), [0x5A, 0]);
    // The map ends with memory from 1 MiB on, and the root pointer is where the tables are.
    let count = bytes::<1>(&memory, page + 0x1E8)[0];
    let found = (0..u32::from(count)).any(|n| {
        let at = page + 0x2D0 + 20 * n;
        word(&memory, at) == 0x10_0000 && word(&memory, at + 8) as usize == RAM - (1 << 20)
    });
    assert!(found);
    assert_eq!(word(&memory, page + 0x70), 0xF_0000);
    assert_eq!(bytes(&memory, page + 6), [3, 80]);
    assert_eq!(bytes(&memory, page + 0x0E), [25, 1, 16, 0]);
    // Flat segments where the selectors point.
    for (selector, kind) in [(0x10, 0x9B), (0x18, 0x93)] {
        let descriptor: [u8; 8] = bytes(&memory, entry.gdt + selector);
        assert_eq!(descriptor, [0xFF, 0xFF, 0, 0, 0, kind, 0xCF, 0]);
    }
}

#[test]
fn an_elf_multiboot_kernel_gets_its_information() {
    let mut config = config(elf());
    let kernel = config.kernel.as_mut().unwrap();
    kernel.modules = vec![(vec![1; 5000].into(), "first one".into()), (vec![2; 3].into(), "second".into())];
    let mut memory = memory();
    memory.write(0x10_0040, &[0xFF; 8192]);
    let entry = place(&config, &mut memory).unwrap();
    assert_eq!((entry.eip, entry.eax, entry.cs, entry.ds), (0x10_000C, 0x2BAD_B002, 8, 0x10));
    assert_eq!(word(&memory, 0x10_0000), 0x1BAD_B002);
    assert_eq!(bytes(&memory, 0x10_003F), [0x90, 0]);
    assert_eq!(bytes(&memory, 0x10_103F), [0, 0xFF]);
    let mbi = entry.ebx;
    assert_eq!(word(&memory, mbi) & 0x24D, 0x24D);
    assert_eq!((word(&memory, mbi + 4), word(&memory, mbi + 8)), (639, 15 << 10));
    assert_eq!(text(&memory, word(&memory, mbi + 0x10)), "console=ttyS0");
    assert_eq!(word(&memory, mbi + 0x14), 2);
    let list = word(&memory, mbi + 0x18);
    let (start, end) = (word(&memory, list), word(&memory, list + 4));
    assert_eq!((start, end - start), (0x10_2000, 5000));
    assert_eq!(bytes(&memory, end - 1), [1]);
    assert_eq!(text(&memory, word(&memory, list + 8)), "first one");
    assert_eq!(text(&memory, word(&memory, list + 24)), "second");
    assert_eq!(bytes(&memory, word(&memory, list + 16)), [2, 2, 2, 0]);
    // Each entry of the map is 24 bytes of which the size counts 20.
    let (len, map) = (word(&memory, mbi + 0x2C), word(&memory, mbi + 0x30));
    assert_eq!(len % 24, 0);
    let ram: u64 = (0..len / 24)
        .map(|n| map + 24 * n)
        .inspect(|&at| assert_eq!(word(&memory, at), 20))
        .filter(|&at| word(&memory, at + 20) == 1)
        .map(|at| u64::from(word(&memory, at + 12)))
        .sum();
    assert_eq!(ram, RAM as u64 - (1 << 20) + 0x9_FC00);
    assert_eq!(bytes(&memory, entry.gdt + 8), [0xFF, 0xFF, 0, 0, 0, 0x9B, 0xCF, 0]);
    assert_eq!(text(&memory, word(&memory, mbi + 0x40)), "nomad86");
}

#[test]
fn a_multiboot_header_can_say_itself_where_the_file_goes() {
    let mut memory = memory();
    memory.write(0x20_0100, &[0xFF; 4096]);
    let entry = place(&config(kludge()), &mut memory).unwrap();
    assert_eq!(entry.eip, 0x20_0020);
    assert_eq!(word(&memory, 0x20_0000), 0x1BAD_B002, "the bytes before the header are left out");
    assert_eq!(bytes(&memory, 0x20_00FF), [0x42, 0]);
    assert_eq!(bytes(&memory, 0x20_0FFF), [0, 0xFF]);
}

#[test]
fn the_information_keeps_clear_of_a_kernel_in_low_memory() {
    let mut image = elf();
    image[52 + 12..52 + 16].copy_from_slice(&0x8_0000_u32.to_le_bytes());
    let mut memory = memory();
    let entry = place(&config(image), &mut memory).unwrap();
    assert_eq!(entry.eip, 0x8_000C);
    assert_eq!(entry.ebx, 0x1_0000);
}

/// Why a kernel is refused.
fn why(config: &Config) -> String {
    check(config).unwrap_err().to_string()
}

#[test]
fn bad_kernels_are_refused_with_a_reason() {
    assert_eq!(check(&config(bzimage())), Ok(()));
    assert_eq!(check(&config(elf())), Ok(()));
    assert!(why(&config(Vec::new())).contains("empty"));
    assert!(why(&config(vec![0; 100_000])).contains("neither"));
    assert!(why(&config(bzimage()[..0x250].to_vec())).contains("too short"));
    assert!(why(&config(bzimage()[..1024].to_vec())).contains("set-up code"));
    assert!(why(&config(bzimage()[..1536].to_vec())).contains("ends where"));
    assert!(why(&config(bzimage()[..3000].to_vec())).contains("cut off"));
    let mut old = bzimage();
    old[0x206] = 1;
    assert!(why(&config(old)).contains("2.02"));
    let mut low = bzimage();
    low[0x211] = 0;
    assert!(why(&config(low)).contains("zImage"));
    let mut flag = bzimage();
    flag[0x1FE] = 0;
    assert!(why(&config(flag)).contains("55 AA"));
    let mut large = config(bzimage());
    large.kernel.as_mut().unwrap().initrd = Some(vec![0; 14 << 20].into());
    assert!(why(&large).contains("initial RAM disk"));
    let mut long = config(bzimage());
    long.kernel.as_mut().unwrap().command_line = "x".repeat(256);
    assert!(why(&long).contains("command line"));
    let mut small = config(bzimage());
    small.memory = 2 << 20;
    assert!(why(&small).contains("larger -m"));
    let mut modules = config(bzimage());
    modules.kernel.as_mut().unwrap().modules = vec![<_>::default()];
    assert!(why(&modules).contains("multiboot modules"));
}

#[test]
fn bad_multiboot_kernels_are_refused_with_a_reason() {
    let change = |at: usize, value: u32| {
        let mut image = elf();
        image[at..at + 4].copy_from_slice(&value.to_le_bytes());
        config(image)
    };
    assert!(why(&change(52 + 16, 65)).contains("cut off"));
    assert!(why(&change(52 + 12, 0x1000)).contains("under 32 KiB"));
    assert!(why(&change(52 + 12, RAM as u32)).contains("no memory"));
    assert!(why(&change(52 + 20, 0xFFFF_FFFF)).contains("no memory"));
    assert!(why(&change(52, 6)).contains("no segments"));
    assert!(why(&change(28, 0xFFFF_FFF0)).contains("cut off"));
    assert!(why(&change(4, 2)).contains("32-bit"));
    assert!(why(&change(16, 0x003E_0002)).contains("386"));
    let mut kludge = kludge();
    kludge[16 + 16..16 + 20].copy_from_slice(&0x20_0004_u32.to_le_bytes());
    assert!(why(&config(kludge)).contains("fit together"));
    let mut unknown = vec![0; 4];
    unknown.extend(header(8));
    assert!(why(&config(unknown)).contains("unknown"));
    let mut modules = config(elf());
    modules.kernel.as_mut().unwrap().modules = vec![(vec![0; 15 << 20].into(), String::new())];
    assert!(why(&modules).contains("modules"));
}

#[test]
fn kernels_cut_off_or_changed_anywhere_are_taken_or_refused_but_never_a_panic() {
    let mut memory = memory();
    for image in [bzimage(), elf(), kludge()] {
        for cut in 0..image.len().min(2000) {
            let _ = check(&config(image[..cut].to_vec()));
        }
        for at in 0..image.len().min(0x300) {
            for value in [0, 0x7F, 0xFF] {
                let mut changed = image.clone();
                changed[at] = value;
                let config = config(changed);
                if check(&config).is_ok() {
                    let _ = place(&config, &mut memory);
                    assert!(offer(&config).is_some());
                }
            }
        }
    }
}

#[test]
fn the_option_rom_is_valid_and_lists_what_to_load() {
    let mut config = config(bzimage());
    config.kernel.as_mut().unwrap().initrd = Some(vec![0x5A; 10_000].into());
    let offer = offer(&config).unwrap();
    let rom = &offer.rom;
    assert_eq!(rom[..2], [0x55, 0xAA]);
    assert_eq!(rom.len(), usize::from(rom[2]) * 512);
    assert_eq!(rom.iter().fold(0_u8, |s, b| s.wrapping_add(*b)), 0);
    let pnp = usize::from(u16::from_le_bytes([rom[0x1A], rom[0x1B]]));
    assert_eq!(&rom[pnp..pnp + 4], b"$PnP");
    let word = |at: usize| u32::from_le_bytes(core::array::from_fn(|n| rom[at + n]));
    let mut list = usize::from(u16::from_le_bytes([rom[0x48], rom[0x49]]));
    let mut loads = Vec::new();
    while word(list + 4) != 0 {
        loads.push((word(list), word(list + 4), word(list + 8)));
        list += 12;
    }
    assert_eq!(loads.len(), 4);
    assert_eq!(loads[0], (0x1_0000, 1536, 0x0018_000A));
    assert_eq!(loads[1], (0x10_0000, 4096, 0x0011_000A));
    assert_eq!((loads[2].1, loads[2].2), (10_000, 0x0012_000A));
    assert_eq!(loads[3], (0x2_0000, 14, 0x0015_000A));
    // A long transfer is split, and only its first part selects the item.
    let parameters = rom::Parameters {
        loads: vec![rom::Load { at: 0x10_0000, len: 33 << 20, key: Some(0x11) }],
        ..rom::Parameters::default()
    };
    let rom = rom::image(&parameters);
    let list = usize::from(u16::from_le_bytes([rom[0x48], rom[0x49]]));
    let word = |n: usize| u32::from_le_bytes(core::array::from_fn(|i| rom[list + 4 * n + i]));
    assert_eq!((word(1), word(2)), (16 << 20, 0x0011_000A));
    assert_eq!((word(3), word(4), word(5)), (0x110_0000, 16 << 20, 2));
    assert_eq!((word(7), word(8), word(10)), (1 << 20, 2, 0));
}
