/** A PC for pages and Node programs. Options, methods and events carry v86's names where they mean the same. */

/** A file of the machine: bytes, a file of the user's, or an address (in Node also a path). */
export type Image =
    | string
    | ArrayBuffer
    | Uint8Array
    | Blob
    | { buffer: ArrayBuffer | Blob; read_only?: boolean }
    | {
          url: string;
          /** Read in parts, as the guest asks for them; the server must support ranges. */
          async?: boolean;
          /** Bytes, when they are known beforehand. */
          size?: number;
          read_only?: boolean;
      };

/** A network card and the cable in it. Without `relay_url` and `port` the script is at the far end. */
export interface NetworkDevice {
    /** `ne2k` is short for `ne2k_pci`. */
    type?: "ne2k" | "ne2k_pci" | "ne2k_isa" | "none";
    /** `ws://…`, `wss://…`, `/path` of a relay on the page's server, or `inbrowser` and `inbrowser:NAME` between tabs. */
    relay_url?: string;
    /** A port of a `Hub`. */
    port?: MessagePort;
    /** Number of the `inbrowser` network. */
    id?: number;
    /** The card's address; a random one otherwise. */
    mac?: string;
}

export interface Options {
    /** RAM in bytes, a multiple of 1 MiB; 128 MiB by default. */
    memory_size?: number;
    /** Video RAM in bytes, a power of two. */
    vga_memory_size?: number;
    bios?: Image;
    vga_bios?: Image;
    fda?: Image;
    fdb?: Image;
    hda?: Image;
    hdb?: Image;
    hdc?: Image;
    hdd?: Image;
    cdrom?: Image;
    /** A Linux kernel, started without a disk (and without firmware, when no `bios` is given). */
    bzimage?: Image;
    /** A multiboot kernel. */
    multiboot?: Image;
    initrd?: Image;
    cmdline?: string;
    /** Letters in order (`a` floppy, `c` hard disk, `d` CD, `n` network), or v86's number. */
    boot_order?: string | number;
    cpu?: "486" | "pentium" | "pentium2" | "pentium4" | "max";
    /** Time from executed instructions, so many picoseconds each: the same run every time. */
    virtual_clock?: number;
    /** Seconds that the RTC is ahead of UTC. */
    rtc_offset?: number;
    /** A state image, saved here or by any other host of nomad86, to go on from. */
    initial_state?: Image;
    /** Start once everything is loaded. */
    autostart?: boolean;
    network_relay_url?: string;
    net_device?: NetworkDevice;
    /** Several cards. */
    net_devices?: NetworkDevice[];
    /** With `initial_state`: the cards keep their addresses. */
    preserve_mac_from_state_image?: boolean;
    /** With `initial_state`: the guest keeps its addresses, and the network sees new ones. */
    mac_address_translation?: boolean;
    /** Where new addresses come from: the same number gives the same ones. */
    seed?: number;
    /** A canvas, or an element for one. */
    screen_container?: HTMLElement;
    /** An element for a terminal on the first serial line. */
    serial_container_xtermjs?: HTMLElement;
    /** `Terminal` of @xterm/xterm, where the package cannot be found by its name. */
    xterm_lib?: unknown;
    disable_keyboard?: boolean;
    disable_mouse?: boolean;
    disable_speaker?: boolean;
    /** Whether the machine lives in a worker: so by default in pages, not in Node. */
    worker?: boolean;
    /** Where nomad86.wasm is, when it is not beside the module's folder. */
    wasm_path?: string;
}

/** What becomes of the network cards' addresses when a state is restored. */
export type MacPolicy = "randomise" | "preserve" | "translate";

export interface RestoreNotes {
    /** Parts of the image that this version does not know. */
    unknown: string[];
    /** Parts of the machine that the image lacks. */
    missing: string[];
    cards: { guest: string; wire: string }[];
}

export interface NetworkStatistics {
    frames_out: number;
    bytes_out: number;
    frames_in: number;
    bytes_in: number;
    dropped_size: number;
    dropped_inbox: number;
    [more: string]: number;
}

export interface Statistics {
    /** Instructions that were executed. */
    instructions: number;
    /** Virtual time. */
    milliseconds: number;
    /** Milliseconds that the host spent on it. */
    busy: number;
    /** Bytes of WebAssembly memory. */
    memory: number;
    halted: boolean;
    networks: NetworkStatistics[];
    disks: Record<string, { bytesLoaded: number }>;
    [more: string]: unknown;
}

export interface Events {
    "emulator-loaded": void;
    "emulator-ready": void;
    "emulator-started": void;
    "emulator-stopped": void;
    /** The guest reset the machine, which goes on. */
    "emulator-reset": void;
    /** The machine stopped by itself. */
    "emulator-ended": { reason: "power-off" | "triple-fault" | "debug-exit" | "defect"; detail?: string | number };
    "emulator-error": Error;
    "download-progress": { file_name: string; loaded: number; total: number };
    "download-error": { file_name: string; error: string };
    /** Width, height, and 0 for text or 32. */
    "screen-set-size": [width: number, height: number, bpp: number];
    "mouse-enable": boolean;
    "network-state": { card: number; state: "open" | "closed" | "failed"; why?: string };
    "serial0-output-byte": number;
    "serial0-output": Uint8Array;
    "serial0-output-text": string;
    /** A frame from the guest, when the script is at the far end of the cable. */
    "net0-send": Uint8Array;
    "debug-output": Uint8Array;
    "post-code": Uint8Array;
}

/** Events of the lines and cards 1 to 3 are named like those of number 0. */
export type EventName = keyof Events | (string & {});
export type Listener<N> = (value: N extends keyof Events ? Events[N] : any) => void;

export interface Bus {
    register<N extends EventName>(name: N, listener: Listener<N>, self?: unknown): void;
    unregister<N extends EventName>(name: N, listener: Listener<N>): void;
    /** `serial0-input` (a byte or bytes) and `net0-receive` (a frame) go to the machine. */
    send(name: string, value: number | ArrayLike<number> | Uint8Array): void;
}

export class Nomad86 {
    constructor(options?: Options);
    /** Settles when the machine is there; rejects with what is wrong with the options. */
    readonly ready: Promise<void>;
    readonly bus: Bus;

    add_listener<N extends EventName>(event: N, listener: Listener<N>): void;
    remove_listener<N extends EventName>(event: N, listener: Listener<N>): void;

    run(): Promise<void>;
    stop(): Promise<void>;
    is_running(): boolean;
    /** The reset button. */
    restart(): Promise<void>;
    /** The power button. */
    power_button(): void;
    destroy(): Promise<void>;

    serial0_send(text: string): Promise<number>;
    /** Resolves with the number of bytes that there was room for. */
    serial_send_bytes(line: number, bytes: ArrayLike<number>): Promise<number>;
    /** Types text as on a US keyboard. */
    keyboard_send_text(text: string): void;
    /** Presses keys by their `KeyboardEvent.code` in order and lets them go in the opposite one. */
    keyboard_send_keys(codes: Iterable<string>): void;
    key(code: string, pressed: boolean): void;
    keyboard_set_enabled(on: boolean): void;
    mouse_set_enabled(on: boolean): void;
    lock_mouse(): void;
    mouse_move(dx: number, dy: number, wheel?: number): void;
    /** 1 left, 2 right, 4 middle. */
    mouse_buttons(pressed: number): void;

    network_receive(card: number, frame: Uint8Array): void;
    network_link(card: number, plugged: boolean): void;
    network_plug(card: number, device?: NetworkDevice): Promise<void>;

    set_drive(name: "fda" | "fdb" | "hda" | "hdb" | "hdc" | "hdd" | "cdrom", image: Image | null): Promise<void>;
    set_fda(image: Image): Promise<void>;
    eject_fda(): Promise<void>;
    set_cdrom(image: Image): Promise<void>;
    eject_cdrom(): Promise<void>;

    save_state(): Promise<ArrayBuffer>;
    restore_state(image: Image, options?: { mac?: MacPolicy; seed?: number }): Promise<RestoreNotes>;

    /** A PNG. */
    screen_make_screenshot(): Promise<Blob>;
    /** Empty in graphics modes. */
    screen_text(): Promise<string>;
    wait_until_serial_contains(text: string, options?: { line?: number; timeout_msec?: number }): Promise<boolean>;
    wait_until_vga_screen_contains(text: string, options?: { timeout_msec?: number }): Promise<boolean>;

    get_statistics(): Promise<Statistics>;
    get_instruction_counter(): Promise<number>;
    read_memory(at: number, length: number): Promise<Uint8Array>;
    write_memory(bytes: ArrayLike<number>, at: number): Promise<void>;
}

/** A learning switch between machines of one page or program. */
export class Hub {
    /** A port for a machine's `net_device.port`. */
    port(): MessagePort;
    close(): void;
}

/** Keys for screens without a keyboard. */
export class TouchKeyboard {
    constructor(container: HTMLElement, machine: () => Nomad86 | null);
}
