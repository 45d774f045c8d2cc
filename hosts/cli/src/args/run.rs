//! Options of `run` and `demo`.

use super::values::{
    BootOrder, Clock, CodeSize, Cpu, Device, DisplaySpec, Engine, MemorySize, PostLog, Range, Rtc,
    SerialSpec, WindowUse,
};
use clap::Args;
use nomad86::net::MacPolicy;
use nomad86_host::disk::DriveSpec;
use std::path::PathBuf;
use std::time::Duration;

/// Options of `run` and `demo`. Each may be written with one hyphen or two.
#[derive(Args, Debug, Default)]
#[command(next_line_help = false, max_term_width = 110)]
pub(crate) struct RunArgs {
    /// RAM: a number of MiB, or with a suffix (64M, 1G) [default: 128]
    #[arg(short = 'm', long = "memory", value_name = "SIZE", help_heading = "Machine")]
    pub(crate) memory: Option<MemorySize>,
    /// Processor: 486, pentium, p6, pentium4 or max [default: pentium4]
    #[arg(long, value_name = "MODEL", help_heading = "Machine")]
    pub(crate) cpu: Option<Cpu>,
    /// What executes instructions: jit (translated to host code) or interp [default: jit on x86-64]
    #[arg(long, value_name = "ENGINE", help_heading = "Machine", alias = "accel")]
    pub(crate) engine: Option<Engine>,
    /// Whether translated code sees memory through windows, which the host maps: auto, on or off [default: auto]
    #[arg(long, value_name = "WHEN", help_heading = "Machine")]
    pub(crate) windows: Option<WindowUse>,
    /// Translate code that was entered so many times; 0 is at first sight
    #[arg(long, value_name = "N", help_heading = "Machine")]
    pub(crate) jit_threshold: Option<u16>,
    /// Memory for translated code: a number of MiB, or with a suffix [default: 64M]
    #[arg(long, value_name = "SIZE", help_heading = "Machine")]
    pub(crate) code_cache: Option<CodeSize>,
    /// Kind of machine: pc
    #[arg(short = 'M', long = "machine-type", value_name = "KIND", help_heading = "Machine", hide = true)]
    pub(crate) machine_type: Option<String>,
    /// A TOML file whose keys are these options; those of the command line are stronger
    // It is read before the others are: see args/machine.rs.
    #[arg(long, value_name = "FILE.toml", help_heading = "Machine")]
    pub(crate) machine: Option<PathBuf>,
    /// Add a device: isa-debug-exit,iobase=PORT,iosize=N or isa-debugcon,iobase=PORT
    #[arg(long, value_name = "DEVICE", help_heading = "Machine")]
    pub(crate) device: Vec<Device>,
    /// Clock of the machine: base=utc|localtime|DATE,clock=host|vm
    #[arg(long, value_name = "OPTIONS", help_heading = "Machine")]
    pub(crate) rtc: Option<Rtc>,
    /// Time passes with executed instructions: shift=N (2^N ns each) or auto [,sleep=on|off]
    #[arg(long, value_name = "OPTIONS", help_heading = "Machine")]
    pub(crate) icount: Option<Clock>,
    /// Id of the machine, as firmware tells it to the guest
    #[arg(long, value_name = "UUID", help_heading = "Machine")]
    pub(crate) uuid: Option<super::values::Uuid>,

    /// Hard disk image: primary master; -hdb, -hdc and -hdd are the next places
    #[arg(long, value_name = "FILE", help_heading = "Disks")]
    pub(crate) hda: Option<PathBuf>,
    /// Hard disk image: primary slave
    #[arg(long, value_name = "FILE", help_heading = "Disks")]
    pub(crate) hdb: Option<PathBuf>,
    /// Hard disk image: secondary master, in place of the CD-ROM drive
    #[arg(long, value_name = "FILE", help_heading = "Disks")]
    pub(crate) hdc: Option<PathBuf>,
    /// Hard disk image: secondary slave
    #[arg(long, value_name = "FILE", help_heading = "Disks")]
    pub(crate) hdd: Option<PathBuf>,
    /// CD image (ISO), in the drive that is secondary master
    #[arg(long, value_name = "FILE", help_heading = "Disks")]
    pub(crate) cdrom: Option<PathBuf>,
    /// Floppy image in drive A:
    #[arg(long, value_name = "FILE", help_heading = "Disks")]
    pub(crate) fda: Option<PathBuf>,
    /// Floppy image in drive B:
    #[arg(long, value_name = "FILE", help_heading = "Disks")]
    pub(crate) fdb: Option<PathBuf>,
    /// A drive: file=IMAGE[,format=raw|overlay][,if=ide|floppy][,index=N][,media=disk|cdrom]
    /// [,snapshot=on][,readonly=on][,overlay=FILE]; without a file, an empty one
    #[arg(long, value_name = "OPTIONS", help_heading = "Disks")]
    pub(crate) drive: Vec<DriveSpec>,
    /// Write to this file instead of the first hard disk's image; made when it is not there
    #[arg(long, value_name = "FILE", help_heading = "Disks")]
    pub(crate) overlay: Option<PathBuf>,
    /// Forget at the end what was written to disks and floppies
    #[arg(long, help_heading = "Disks")]
    pub(crate) snapshot: bool,

    /// Kernel: a Linux bzImage or a multiboot ELF file
    #[arg(long, value_name = "FILE", help_heading = "Boot")]
    pub(crate) kernel: Option<PathBuf>,
    /// Initial RAM disk, or multiboot modules: FILE [ARGUMENTS][,FILE ...]
    #[arg(long, value_name = "FILE", help_heading = "Boot")]
    pub(crate) initrd: Option<String>,
    /// Command line of the kernel
    #[arg(long, value_name = "TEXT", help_heading = "Boot", allow_hyphen_values = true)]
    pub(crate) append: Option<String>,
    /// System BIOS image of 64, 128 or 256 KiB [default: SeaBIOS, where the distribution keeps it]
    #[arg(long, value_name = "FILE", help_heading = "Boot")]
    pub(crate) bios: Option<PathBuf>,
    /// VGA BIOS image [default: the one that comes with SeaBIOS]
    #[arg(long, value_name = "FILE", help_heading = "Boot")]
    pub(crate) vga_bios: Option<PathBuf>,
    /// Boot order: letters of a floppy, c disk, d CD-ROM, n network
    #[arg(long, value_name = "ORDER", help_heading = "Boot")]
    pub(crate) boot: Option<BootOrder>,
    /// Boot ROM of the network card [default, with n in --boot: iPXE, where the distribution keeps it]
    #[arg(long, value_name = "FILE", help_heading = "Boot")]
    pub(crate) option_rom: Option<PathBuf>,
    /// Another folder with firmware images
    #[arg(short = 'L', long = "firmware-folder", value_name = "FOLDER", help_heading = "Boot")]
    pub(crate) firmware_folder: Option<PathBuf>,
    /// End instead of rebooting
    #[arg(long, help_heading = "Boot")]
    pub(crate) no_reboot: bool,
    /// Reboot on a triple fault instead of ending
    #[arg(long, help_heading = "Boot")]
    pub(crate) reboot_on_triple_fault: bool,

    /// Go on from a state image: its machine, where it was saved
    #[arg(long, value_name = "FILE", help_heading = "State", alias = "loadvm")]
    pub(crate) restore: Option<PathBuf>,
    /// Network addresses of a restored machine: randomise, preserve or translate [default: randomise]
    #[arg(long, value_name = "POLICY", help_heading = "State")]
    pub(crate) mac: Option<MacPolicy>,
    /// The same as --mac preserve
    #[arg(long, help_heading = "State", hide = true, conflicts_with_all = ["mac", "mac_address_translation"], alias = "preserve_mac_from_state_image")]
    pub(crate) preserve_mac_from_state_image: bool,
    /// The same as --mac translate
    #[arg(
        long,
        help_heading = "State",
        hide = true,
        conflicts_with = "mac",
        alias = "mac_address_translation"
    )]
    pub(crate) mac_address_translation: bool,
    /// New addresses come from this number, the same ones each time
    #[arg(long, value_name = "NUMBER", value_parser = super::values::whole, help_heading = "State")]
    pub(crate) seed: Option<u64>,
    /// Restore although files of its disks were changed since: they hold the same all the same
    #[arg(long, help_heading = "State")]
    pub(crate) changed_disks: bool,
    /// Save the machine's state at the end; Ctrl-A s and SIGUSR1 save it to the same file at any time
    #[arg(long, value_name = "FILE", help_heading = "State")]
    pub(crate) save: Option<PathBuf>,

    /// Network card and its cable: user|tap|ws|hub|none[,OPTION=VALUE...]
    #[arg(long, value_name = "SPEC", help_heading = "Network", alias = "netdev")]
    pub(crate) nic: Vec<String>,
    /// The same, or the address of a relay: ws://HOST:PORT/
    #[arg(long, value_name = "SPEC", help_heading = "Network", alias = "network_relay_url")]
    pub(crate) net: Vec<String>,
    /// Record what the network cards send and receive (pcapng)
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    pub(crate) pcap: Option<PathBuf>,

    /// Where the screen is shown: term[,graphics=auto|blocks|kitty|sixel], sdl or none
    #[arg(long, value_name = "WHERE", help_heading = "Screen and lines")]
    pub(crate) display: Option<DisplaySpec>,
    /// No screen; the first serial line is here
    #[arg(long, help_heading = "Screen and lines")]
    pub(crate) nographic: bool,
    /// A serial line: stdio, none, file:PATH, tcp:HOST:PORT[,server] or unix:PATH[,server]
    #[arg(long, value_name = "WHERE", help_heading = "Screen and lines")]
    pub(crate) serial: Vec<SerialSpec>,
    /// The monitor, which Ctrl-A c leads to: stdio, none, tcp:HOST:PORT[,server] or unix:PATH[,server]
    #[arg(long, value_name = "WHERE", help_heading = "Screen and lines")]
    pub(crate) monitor: Option<SerialSpec>,
    /// Output of the debug console, port E9h: stdio or file:PATH
    #[arg(long, value_name = "WHERE", help_heading = "Screen and lines")]
    pub(crate) debugcon: Option<SerialSpec>,

    /// Shut the program in before the guest runs: it reaches the files that options name and the sockets of its
    /// cables and lines, starts no program and makes no memory executable, even when the guest has broken out of
    /// the machine. The folders of --save, --screenshot and --dump-state can be written to; no --display sdl
    /// (Linux: Landlock and seccomp)
    #[arg(long, help_heading = "Isolation")]
    pub(crate) sandbox: bool,
    /// With --sandbox, a folder that stays reachable all the same: for the monitor's change, savevm and screendump
    #[arg(long, value_name = "FOLDER", help_heading = "Isolation")]
    pub(crate) sandbox_folder: Vec<PathBuf>,

    /// End after so many seconds, with code 8
    #[arg(long, value_name = "SECONDS", value_parser = super::values::seconds, help_heading = "Automation")]
    pub(crate) timeout: Option<Duration>,
    /// End after about so many instructions, with code 10
    #[arg(long, value_name = "COUNT", value_parser = super::values::whole, help_heading = "Automation")]
    pub(crate) limit: Option<u64>,
    /// Wait for a text on a serial line, the debug console or the screen; with code 0 once all were seen
    #[arg(long, value_name = "TEXT", help_heading = "Automation", allow_hyphen_values = true)]
    pub(crate) expect: Vec<String>,
    /// Type a text on the keyboard, after the --expect before it (\n is Enter)
    #[arg(long = "type", value_name = "TEXT", help_heading = "Automation", allow_hyphen_values = true)]
    pub(crate) type_text: Vec<String>,
    /// Send a text down the first serial line, after the --expect before it (\n is a line's end)
    #[arg(long, value_name = "TEXT", help_heading = "Automation", allow_hyphen_values = true)]
    pub(crate) send: Vec<String>,
    /// Press keys, after the --expect before it: ctrl-alt-delete, or several after commas
    #[arg(long, value_name = "KEYS", help_heading = "Automation")]
    pub(crate) send_keys: Vec<String>,
    /// Write the screen at the end to a file
    #[arg(long, value_name = "FILE.png", help_heading = "Automation")]
    pub(crate) screenshot: Option<PathBuf>,
    /// Write the processor's state at the end to a file
    #[arg(long, value_name = "FILE.json", help_heading = "Automation")]
    pub(crate) dump_state: Option<PathBuf>,
    /// Physical memory that --dump-state holds as well: START:LENGTH
    #[arg(long, value_name = "RANGE", help_heading = "Automation")]
    pub(crate) dump_memory: Vec<Range>,
    /// End at HLT with interrupts off, with code 6
    #[arg(long, help_heading = "Automation")]
    pub(crate) exit_on_halt: bool,
    /// Write what the guest sends to a port, a line each, to a file
    #[arg(long, value_name = "PORT,FILE", help_heading = "Automation")]
    pub(crate) post_log: Option<PostLog>,
    /// Say at the end what was done
    #[arg(long, help_heading = "Automation")]
    pub(crate) stats: bool,
    /// Write the map by which perf names translated code [default: /tmp/perf-PID.map]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "", help_heading = "Automation")]
    pub(crate) perf_map: Option<PathBuf>,
}
