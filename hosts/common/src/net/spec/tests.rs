use super::*;
use std::time::Duration;

fn nic(text: &str) -> NicSpec {
    NicSpec::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).unwrap()
}

fn nat(text: &str) -> NatConfig {
    match nic(text).backend {
        Backend::User(config) => *config,
        other => panic!("{other:?}"),
    }
}

fn error(text: &str) -> String {
    NicSpec::parse(text).expect_err(text).to_string()
}

#[test]
fn the_plain_spellings_of_every_guide_are_understood() {
    assert_eq!(nic("user"), NicSpec::new(Backend::User(Box::default())));
    assert_eq!(NicSpec::parse("none"), Ok(None));
    assert_eq!(nic("user,model=ne2k_pci").model, Model::Ne2kPci);
    assert_eq!(nic("user,model=e1000").model, Model::E1000);
    assert_eq!(nic("user,model=virtio-net-pci").model, Model::Virtio);
    assert_eq!(nic("user,model=ne2k_isa").model, Model::Ne2kIsa { iobase: 0x300, irq: 3 });
    let isa = nic("user,model=ne2k_isa,iobase=0x340,irq=9").model;
    assert_eq!(isa, Model::Ne2kIsa { iobase: 0x340, irq: 9 });
    assert_eq!(nic("user,mac=52:54:00:12:34:56").mac, Mac::parse("52:54:00:12:34:56"));
    assert_eq!(nic("tap,ifname=tap0,script=no,downscript=no").backend, Backend::Tap(Some("tap0".into())));
    assert_eq!(nic("tap").backend, Backend::Tap(None));
    assert_eq!(nic("unplugged,addr=0x5").slot, Some(5));
    assert_eq!(nic("hub,pcap=a,,b.pcapng").pcap, Some("a,b.pcapng".into()));
}

#[test]
fn a_relay_is_named_by_net_or_by_nic() {
    let url = RelayUrl::parse("wss://relay.example/room").unwrap();
    let spec = RelaySpec { url, ca: None, token: None };
    for parsed in [
        NicSpec::parse_net("wss://relay.example/room"),
        NicSpec::parse("ws,url=wss://relay.example/room"),
        NicSpec::parse("ws,network_relay_url=wss://relay.example/room"),
    ] {
        assert_eq!(parsed.unwrap().unwrap().backend, Backend::Relay(spec.clone()));
    }
    let full = nic("ws,url=wss://relay.example/room,ca=root.pem,token=secret");
    let token = Some("secret".into());
    assert_eq!(full.backend, Backend::Relay(RelaySpec { ca: Some("root.pem".into()), token, ..spec }));
    assert_eq!(NicSpec::parse_net("user"), NicSpec::parse("user"));
    assert_eq!(NicSpec::parse_net("none"), Ok(None));
}

#[test]
fn hubs_have_names_and_addresses() {
    assert_eq!(nic("hub").backend, Backend::Hub(HubSpec::Named("hub".into())));
    assert_eq!(nic("hub,name=lan").backend, Backend::Hub(HubSpec::Named("lan".into())));
    let address = HubAddress::Tcp("127.0.0.1:7000".into());
    assert_eq!(nic("hub,connect=:7000").backend, Backend::Hub(HubSpec::Connect(address.clone())));
    assert_eq!(nic("socket,listen=:7000").backend, Backend::Hub(HubSpec::Listen("hub".into(), address)));
    let address = HubAddress::Unix("./lan.sock".into());
    assert_eq!(nic("hub,connect=./lan.sock").backend, Backend::Hub(HubSpec::Connect(address)));
}

#[test]
fn forwards_have_qemu_s_form() {
    let config = nat(
        "user,hostfwd=tcp::2222-:22,hostfwd=udp:127.0.0.1:5353-10.0.2.20:53,hostfwd=tcp:[::1]:80-[fec0::15]:8080",
    );
    let expect = |transport, listen: &str, guest: Option<&str>, port| Forward {
        transport,
        listen: listen.parse().unwrap(),
        guest: guest.map(|guest| guest.parse().unwrap()),
        port,
    };
    assert_eq!(
        config.forwards,
        [
            expect(Transport::Tcp, "0.0.0.0:2222", None, 22),
            expect(Transport::Udp, "127.0.0.1:5353", Some("10.0.2.20"), 53),
            expect(Transport::Tcp, "[::1]:80", Some("fec0::15"), 8080),
        ]
    );
}

#[test]
fn a_user_network_can_be_placed_elsewhere() {
    let config = nat("user,net=192.168.76.0/24,dhcpstart=192.168.76.9,ipv6=off,hostname=box,restrict=on");
    let ipv4 = config.ipv4.unwrap();
    assert_eq!(ipv4.host, Ipv4Addr::new(192, 168, 76, 2));
    assert_eq!(ipv4.dns, Ipv4Addr::new(192, 168, 76, 3));
    assert_eq!(ipv4.first, Ipv4Addr::new(192, 168, 76, 9));
    assert_eq!(ipv4.broadcast(), Ipv4Addr::new(192, 168, 76, 255));
    assert!(config.ipv6.is_none() && config.restrict);
    assert_eq!(config.hostname.as_deref(), Some("box"));
    assert_eq!(nat("user,ipv6-net=fd00:1::/64").ipv6.unwrap().host, "fd00:1::2".parse::<Ipv6Addr>().unwrap());
    let small = nat("user,net=10.9.8.0/29").ipv4.unwrap();
    assert_eq!((small.host, small.first), (Ipv4Addr::new(10, 9, 8, 2), Ipv4Addr::new(10, 9, 8, 4)));
}

#[test]
fn a_bad_line_has_its_qualities() {
    let shape = nic("user,loss=1%,delay=20ms,jitter=1500us,rate=1M,seed=7,corrupt=0.5").shape;
    assert_eq!((shape.loss, shape.corrupt, shape.rate, shape.seed), (0.01, 0.5, 1_000_000, 7));
    assert_eq!((shape.delay, shape.jitter), (Duration::from_millis(20), Duration::from_micros(1500)));
    assert!(nic("user,seed=7").shape.is_clear());
}

#[test]
fn a_line_break_in_an_option_does_not_break_the_message() {
    for text in [
        "us\ner",
        "tap,ifname=tap0,\niobase\\=0x300",
        "us\ner,x=1",
        "user,\u{85}",
        "user,x=\r\n",
        "user,hostfwd=\n",
    ] {
        let error = error(text);
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}

#[test]
fn errors_name_the_option_what_was_expected_and_what_to_do() {
    assert_eq!(
        error("user,mac=52:54"),
        "--nic user,mac=: expected an address such as 52:54:00:12:34:56, found \"52:54\". \
         Its first number must be even."
    );
    assert_eq!(
        error("bridge,br=br0"),
        "--nic : expected user, tap, ws, hub, unplugged or none, found \"bridge\". \
         Write one of them first, its options after commas."
    );
    assert!(
        error("user,ifname=x").starts_with("--nic user,ifname=: expected an option that this network has")
    );
    assert!(error("ws").contains("Add url="));
    assert!(error("ws,url=http://a").contains("it must start with ws:// or wss://"));
    assert!(NicSpec::parse_net("wisp://a").unwrap_err().to_string().contains("cannot be used here"));
    assert!(error("user,hostfwd=tcp:2222:22").contains("hostfwd=tcp::2222-:22"));
}

#[test]
fn nonsense_is_refused_everywhere() {
    for text in [
        "",
        ",",
        "user,",
        "user,,",
        "user,mac",
        "user,mac=",
        "user,mac=01:00:00:00:00:00",
        "user,mac=00:00:00:00:00:00",
        "user,model=rtl8139",
        "user,iobase=0x300",
        "user,model=ne2k_isa,iobase=0x301",
        "user,model=ne2k_isa,irq=2",
        "user,addr=1",
        "user,addr=32",
        "user,net=10.0.2.0",
        "user,net=10.0.2.0/30",
        "user,net=a/24",
        "user,host=10.0.3.2",
        "user,host=10.0.2.3",
        "user,dns=10.0.2.0",
        "user,dhcpstart=10.0.2.255",
        "user,dhcpstart=10.0.2.2",
        "user,ipv4=off,ipv6=off",
        "user,ipv4=maybe",
        "user,ipv6-net=fec0::/48",
        "user,ipv6-net=ff02::/64",
        "user,hostname=a b",
        "user,hostfwd=tcp::-:22",
        "user,hostfwd=tcp::99999-:22",
        "user,hostfwd=icmp::1-:2",
        "user,hostfwd=tcp::1-:0",
        "user,hostfwd=tcp:::1:1-:2",
        "tap,ifname=0123456789abcdef",
        "tap,ifname=a/b",
        "tap,script=/etc/x",
        "ws,url=",
        "ws,url=ws://a,ca=f",
        "hub,listen=1,connect=2",
        "hub,listen=:1,connect=:2",
        "hub,connect=:1,name=a",
        "none,mac=a",
        "user,loss=2",
        "user,loss=-1%",
        "user,loss=nan",
        "user,delay=1h",
        "user,delay=-1",
        "user,rate=fast",
        "user,rate=99999999999G",
    ] {
        assert!(NicSpec::parse(text).is_err(), "{text:?} was taken");
    }
}
