use super::*;

fn read<T: FromStr<Err = String>>(text: &str) -> Result<T, String> {
    text.parse()
}

fn refused<T: FromStr<Err = String> + std::fmt::Debug>(texts: &[&str]) {
    for text in texts {
        let answer = read::<T>(text);
        assert!(answer.is_err(), "{text:?} was taken: {answer:?}");
        assert!(!answer.unwrap_err().contains('\n'));
    }
}

#[test]
fn memory_is_in_mib_unless_it_says_otherwise() {
    for (text, mib) in [("64", 64), ("64M", 64), ("1G", 1024), ("size=2G,slots=2", 2048), ("65536k", 64)] {
        assert_eq!(read(text), Ok(MemorySize(mib << 20)), "{text}");
    }
    refused::<MemorySize>(&["", "0", "4G", "12x", "-1", "1.5G", "100k", "99999999999999999999", "é"]);
    assert_eq!(read("4"), Ok(CodeSize(4 << 20)));
    refused::<CodeSize>(&["", "0", "1", "3M", "2G", "100k"]);
}

#[test]
fn debug_exit_has_the_ports_that_its_users_know() {
    assert_eq!(
        read("isa-debug-exit,iobase=0xf4,iosize=0x04"),
        Ok(Device::DebugExit(DebugExit { base: 0xF4, size: 4 }))
    );
    assert_eq!(read("isa-debug-exit"), Ok(Device::DebugExit(DebugExit { base: 0x501, size: 2 })));
    assert_eq!(read("isa-debugcon,iobase=0x402,chardev=a"), Ok(Device::DebugConsole(0x402)));
    refused::<Device>(&[
        "",
        "isa-debug-exit,iobase=0x10000",
        "isa-debug-exit,iosize=0",
        "isa-debug-exit,iobase=0xffff,iosize=2",
        "isa-debug-exit,iobase",
        "isa-debug-exit,colour=red",
        "isa-debugcon,iosize=1",
        "toaster",
    ]);
}

#[test]
fn the_clock_starts_at_any_date() {
    assert_eq!(read::<Rtc>("base=utc").map(|rtc| rtc.base), Ok(RtcBase::Utc));
    assert_eq!(read::<Rtc>("base=1970-01-02T00:00:00,clock=vm").map(|rtc| rtc.base), Ok(RtcBase::At(86400)));
    assert_eq!(read::<Rtc>("base=2006-06-17").map(|rtc| rtc.base), Ok(RtcBase::At(1_150_502_400)));
    refused::<Rtc>(&["base=never", "base=1969-01-01", "clock=sun", "hands=2", "base"]);
}

#[test]
fn instructions_take_powers_of_two_of_nanoseconds() {
    let ps = |text| read::<Clock>(text).map(|clock| clock.mode);
    assert_eq!(ps("shift=3"), Ok(ClockMode::Virtual { picoseconds: 8000 }));
    assert_eq!(ps("0"), Ok(ClockMode::Virtual { picoseconds: 1000 }));
    assert_eq!(ps("auto"), ps("shift=auto"));
    assert_eq!(read::<Clock>("shift=1,sleep=off").map(|clock| clock.sleep), Ok(false));
    refused::<Clock>(&["shift=11", "shift=x", "sleep=maybe", "speed=1"]);
}

#[test]
fn boot_orders_are_letters() {
    let order = |text| read::<BootOrder>(text).map(|order| order.0);
    assert_eq!(order("d"), Ok(vec![BootDevice::Cdrom]));
    assert_eq!(order("order=dca,menu=on"), Ok(vec![BootDevice::Cdrom, BootDevice::Disk, BootDevice::Floppy]));
    refused::<BootOrder>(&["", "x", "order=", "menu=on", "colour=c"]);
}

#[test]
fn displays_and_lines_are_named_as_in_guides() {
    assert_eq!(read("none"), Ok(DisplaySpec::None));
    assert_eq!(read("curses"), Ok(DisplaySpec::Terminal(Graphics::Auto)));
    assert_eq!(read("term,graphics=sixel"), Ok(DisplaySpec::Terminal(Graphics::Sixel)));
    assert_eq!(read("sdl,gl=on"), Ok(DisplaySpec::Window));
    refused::<DisplaySpec>(&["", "mirror", "term,graphics=oil", "term,frame=1"]);
    assert_eq!(read("mon:stdio"), Ok(SerialSpec::Stdio));
    assert_eq!(read("file:a,b"), Ok(SerialSpec::File("a,b".into())));
    let tcp = |address: &str, server| Ok(SerialSpec::Tcp { address: address.into(), server });
    assert_eq!(read("tcp::4444,server,nowait"), tcp("127.0.0.1:4444", true));
    assert_eq!(read("tcp:localhost:1"), tcp("localhost:1", false));
    assert_eq!(read("unix:/a,server=on"), Ok(SerialSpec::Unix { path: "/a".into(), server: true }));
    refused::<SerialSpec>(&["", "file:", "tcp:x", "tcp:a:99999", "unix:", "stdio:1", "pty:", "tcp:a:1,x"]);
}

#[test]
fn ports_ranges_and_times_are_numbers_that_fit() {
    assert_eq!(read("0x80,a.log"), Ok(PostLog { port: 0x80, file: "a.log".into() }));
    refused::<PostLog>(&["", "0x80", "0x80,", "65536,a", ",a"]);
    assert_eq!(read("0x7c00:512"), Ok(Range { start: 0x7C00, len: 512 }));
    refused::<Range>(&["", "1", "1:", ":1", "1:0", "0x100000000:1", "0:0x4000001", "1:-1"]);
    assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
    for text in ["", "0", "-1", "nan", "inf", "1h"] {
        assert!(seconds(text).is_err(), "{text}");
    }
}

#[test]
fn models_engines_and_ids_are_refused_when_unknown() {
    assert_eq!(read("Pentium4"), Ok(Cpu(CpuModel::Pentium4)));
    refused::<Cpu>(&["", "arm", "pentium5", "qemu64"]);
    assert_eq!(read("jit"), Ok(Engine::Recompiler));
    refused::<Engine>(&["", "kvm", "fast"]);
    let id = read::<Uuid>("00112233-4455-6677-8899-aabbccddeeff").map(|uuid| uuid.0[15]);
    assert_eq!(id, Ok(0xFF));
    refused::<Uuid>(&["", "1", "00112233-4455-6677-8899-aabbccddeefg"]);
}
