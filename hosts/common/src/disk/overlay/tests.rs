use super::super::tools::scratch::Scratch;
use super::super::{MemoryDisk, RawFile};
use super::*;

fn base() -> Vec<u8> {
    (0..300 * SECTOR).map(|n| (n / SECTOR) as u8 ^ n as u8).collect()
}

fn open(path: &Path) -> Result<Overlay, DiskFileError> {
    Overlay::open(path, Access::Write, Box::new(MemoryDisk::new(base())))
}

fn contents(disk: &mut dyn Disk) -> Vec<u8> {
    let mut all = vec![0; disk.sectors() as usize * SECTOR];
    assert_eq!(disk.read(0, &mut all), Poll::Ready(Ok(())));
    all
}

#[test]
fn writes_stay_in_the_overlay_and_are_there_the_next_time() {
    let dir = Scratch::new();
    let path = dir.path().join("disk.ovl");
    Overlay::create(&path, Path::new("base.img"), 300).unwrap();
    assert!(matches!(Overlay::create(&path, Path::new("base.img"), 300), Err(DiskFileError::Exists(_))));
    assert_eq!(base_of(&path).unwrap(), dir.path().join("base.img"));
    let mut expected = base();
    let mut disk = open(&path).unwrap();
    assert!(contents(&mut disk) == expected);
    // Within a block, across blocks, the last (partial) block, and again over what is there.
    for (lba, n, byte) in [(5, 1, 1), (126, 5, 2), (290, 10, 3), (4, 3, 4), (128, 128, 5)] {
        assert_eq!(disk.write(lba, &vec![byte; n * SECTOR]), Poll::Ready(Ok(())));
        expected[lba as usize * SECTOR..(lba as usize + n) * SECTOR].fill(byte);
        assert!(contents(&mut disk) == expected);
    }
    assert_eq!(disk.held(), 3);
    assert_eq!(disk.write(299, &[0; 1024]), Poll::Ready(Err(DiskError::OutOfRange)));
    drop(disk);
    let mut disk = open(&path).unwrap();
    assert!(contents(&mut disk) == expected);
    assert_eq!(disk.written().collect::<Vec<_>>(), [(0, 128), (128, 128), (256, 44)]);
    disk.clear().unwrap();
    drop(disk);
    assert!(contents(&mut open(&path).unwrap()) == base());
}

#[test]
fn case_80_what_was_not_flushed_before_a_power_failure_is_the_base_s_and_what_was_stays() {
    let dir = Scratch::new();
    let path = dir.path().join("disk.ovl");
    Overlay::create(&path, Path::new("base.img"), 300).unwrap();
    let mut disk = open(&path).unwrap();
    assert_eq!(disk.write(0, &[1; SECTOR]), Poll::Ready(Ok(())));
    assert_eq!(disk.flush(), Poll::Ready(Ok(())));
    assert_eq!(disk.write(200, &[2; SECTOR]), Poll::Ready(Ok(())));
    // The power fails: no destructor runs. A copy of the file is what the disk has.
    let image = std::fs::read(&path).unwrap();
    let after = dir.file("after.ovl", &image);
    std::mem::forget(disk);
    let mut disk = open(&after).unwrap();
    let mut expected = base();
    expected[..SECTOR].fill(1);
    assert!(contents(&mut disk) == expected);
    // The place of the lost block is used again.
    assert_eq!(disk.write(130, &[3; SECTOR]), Poll::Ready(Ok(())));
    expected[130 * SECTOR..131 * SECTOR].fill(3);
    drop(disk);
    assert!(contents(&mut open(&after).unwrap()) == expected);
}

#[test]
fn damage_is_named_and_never_served() {
    let dir = Scratch::new();
    let path = dir.path().join("disk.ovl");
    Overlay::create(&path, Path::new("base.img"), 300).unwrap();
    let mut disk = open(&path).unwrap();
    for lba in [0, 130, 260] {
        assert_eq!(disk.write(lba, &[9; SECTOR]), Poll::Ready(Ok(())));
    }
    drop(disk);
    let good = std::fs::read(&path).unwrap();
    let reason = |image: &[u8]| {
        let path = dir.file("bad.ovl", image);
        open(&path).map(|_| ()).unwrap_err().to_string()
    };
    for at in [9, 13, 17, 25, 33, 41, 2000] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(reason(&bad).contains("damaged"), "byte {at}");
    }
    let mut bad = good.clone();
    bad[0] ^= 1;
    assert!(reason(&bad).contains("not a nomad86 overlay"));
    let mut bad = good.clone();
    bad[HEADER] = 200;
    assert!(reason(&bad).contains("outside the file"));
    bad[HEADER] = bad[HEADER + 4];
    assert!(reason(&bad).contains("another one"));
    for cut in [0, 100, 4095, 4096, 4100, good.len() - 1] {
        assert!(!reason(&good[..cut]).is_empty(), "cut at {cut}");
    }
    let wrong = Overlay::open(&path, Access::Read, Box::new(MemoryDisk::blank(301)));
    assert!(matches!(wrong, Err(DiskFileError::BaseChanged { expected: 300, found: 301, .. })));
}

#[test]
fn overlays_lie_on_overlays_but_not_in_a_circle() {
    let dir = Scratch::new();
    dir.file("base.img", &base());
    let (a, b) = (dir.path().join("a.ovl"), dir.path().join("b.ovl"));
    Overlay::create(&a, Path::new("base.img"), 300).unwrap();
    Overlay::create(&b, Path::new("a.ovl"), 300).unwrap();
    let mut disk = super::super::open_image(&b, super::super::Format::Auto, Access::Write).unwrap();
    assert_eq!(disk.write(7, &[7; SECTOR]), Poll::Ready(Ok(())));
    let mut expected = base();
    expected[7 * SECTOR..8 * SECTOR].fill(7);
    assert!(contents(disk.as_mut()) == expected);
    // The base is locked against writers as long as an overlay uses it.
    assert!(matches!(
        RawFile::open(&dir.path().join("base.img"), Access::Write),
        Err(DiskFileError::Locked(_))
    ));
    let (c, d) = (dir.path().join("c.ovl"), dir.path().join("d.ovl"));
    Overlay::create(&c, Path::new("d.ovl"), 300).unwrap();
    Overlay::create(&d, Path::new("c.ovl"), 300).unwrap();
    let circle = super::super::open_image(&c, super::super::Format::Auto, Access::Write);
    assert!(matches!(circle.map(|_| ()), Err(DiskFileError::TooDeep(_))));
}
