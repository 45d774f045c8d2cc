// The PC as pages and Node programs see it. Options, methods and events carry v86's names where they mean the same.

import { Audio } from "./audio.js";
import { Bus } from "./bus.js";
import { Keyboard } from "./keyboard.js";
import { Link } from "./link.js";
import { NODE, loadBytes } from "./load.js";
import { Mouse } from "./mouse.js";
import { media, plan, randomNumber } from "./options.js";
import { Screen } from "./screen.js";
import { SerialTerminal } from "./terminal.js";

export { Hub } from "./net/local.js";
export { TouchKeyboard } from "./touch.js";

const encoder = new TextEncoder();

export class Nomad86 {
    /** @param {import("./nomad86.d.ts").Options} options */
    constructor(options = {}) {
        this.options = options;
        this.bus = new Bus((name, value) => this.sent(name, value));
        this.running = false;
        this.mac_addresses = [];
        this.decoders = Array.from({ length: 6 }, () => new TextDecoder());
        this.link = new Link(options.worker ?? !NODE, (message) => this.heard(message));
        if (options.screen_container) {
            this.screen = new Screen(options.screen_container, this);
            if (!options.disable_keyboard) this.keyboard = new Keyboard(this.screen.canvas, this);
            if (!options.disable_mouse) this.mouse = new Mouse(this.screen.canvas, this);
        }
        if (!NODE && !options.disable_speaker) this.speaker = new Audio(this);
        /** Settles when the machine is there. */
        this.ready = this.build();
        this.ready.catch((error) => this.bus.emit("emulator-error", error));
    }

    async build() {
        const { options } = this;
        const progress = (event) => this.bus.emit("download-progress", event);
        const terminal = options.serial_container_xtermjs;
        if (terminal) this.terminal = await SerialTerminal.open(terminal, options.xterm_lib, this);
        const [module, message] = await Promise.all([wasm(options, progress), plan(options, progress)]);
        const { transfer, ...build } = message;
        await this.link.ask({ type: "build", module, ...build }, transfer);
        this.bus.emit("emulator-loaded");
        this.screen?.start();
        this.bus.emit("emulator-ready");
        if (options.autostart) await this.run();
    }

    /** A message of the engine. */
    heard(message) {
        const { bus } = this;
        switch (message.type) {
            case "line":
                this.output(message.line, message.data);
                break;
            case "screen":
                this.screen?.draw(message);
                break;
            case "sound":
                this.speaker?.play(message.rate, message.frames);
                break;
            case "frame":
                bus.emit(`net${message.card}-send`, message.frame);
                break;
            case "network":
                bus.emit("network-state", message);
                break;
            case "download-error":
                bus.emit("download-error", { file_name: message.name, error: message.error });
                break;
            case "reset":
                bus.emit("emulator-reset");
                break;
            case "ended":
                this.running = false;
                bus.emit("emulator-ended", { reason: message.reason, detail: message.detail });
                bus.emit("emulator-stopped");
                break;
        }
    }

    output(line, data) {
        if (line > 3) {
            this.bus.emit(line === 4 ? "debug-output" : "post-code", data);
            return;
        }
        this.bus.emit(`serial${line}-output`, data);
        if (this.bus.heard(`serial${line}-output-byte`)) {
            for (const byte of data) this.bus.emit(`serial${line}-output-byte`, byte);
        }
        if (this.bus.heard(`serial${line}-output-text`)) {
            this.bus.emit(`serial${line}-output-text`, this.decoders[line].decode(data, { stream: true }));
        }
    }

    /** What a script put on the bus. */
    sent(name, value) {
        const serial = /^serial([0-3])-input$/.exec(name);
        const network = /^net(\d)-receive$/.exec(name);
        if (serial) this.serial_send_bytes(Number(serial[1]), typeof value === "number" ? [value] : value);
        else if (network) this.network_receive(Number(network[1]), value);
        else throw new Error(`bus: '${name}' goes nowhere; use serial0-input to serial3-input or net0-receive`);
    }

    add_listener(event, listener) {
        this.bus.register(event, listener);
    }

    remove_listener(event, listener) {
        this.bus.unregister(event, listener);
    }

    async run() {
        await this.link.ask({ type: "run" });
        this.running = true;
        this.bus.emit("emulator-started");
    }

    async stop() {
        await this.link.ask({ type: "stop" });
        this.running = false;
        this.bus.emit("emulator-stopped");
    }

    is_running() {
        return this.running;
    }

    /** The reset button. */
    async restart() {
        await this.link.ask({ type: "restart" });
    }

    /** The power button, which a guest takes as a wish to be shut down. */
    power_button() {
        this.link.tell({ type: "power" });
    }

    async destroy() {
        this.keyboard?.destroy();
        this.mouse?.destroy();
        this.screen?.destroy();
        this.speaker?.destroy();
        this.terminal?.destroy();
        await this.link.close();
        this.running = false;
    }

    serial0_send(text) {
        return this.serial_send_bytes(0, encoder.encode(text));
    }

    /** Bytes for a serial line; resolves with how many there was room for. */
    serial_send_bytes(line, bytes) {
        return this.link.ask({ type: "serial", line, data: Uint8Array.from(bytes) });
    }

    /** Types text as on a US keyboard. */
    keyboard_send_text(text) {
        this.link.tell({ type: "type", text });
    }

    /** Presses keys by their `KeyboardEvent.code` in order and lets them go in the opposite one. */
    keyboard_send_keys(codes) {
        for (const code of codes) this.key(code, true);
        for (const code of [...codes].reverse()) this.key(code, false);
    }

    key(code, pressed) {
        this.link.tell({ type: "key", code, pressed });
    }

    keyboard_set_enabled(on) {
        if (this.keyboard) this.keyboard.enabled = on;
    }

    mouse_set_enabled(on) {
        if (this.mouse) this.mouse.enabled = on;
    }

    lock_mouse() {
        this.mouse?.lock();
    }

    mouse_move(dx, dy, wheel = 0) {
        this.link.tell({ type: "mouse", dx, dy, wheel });
    }

    /** Buttons that are down: 1 left, 2 right, 4 middle. */
    mouse_buttons(pressed) {
        this.link.tell({ type: "buttons", pressed });
    }

    /** A frame for a network card whose far end is the script. */
    network_receive(card, frame) {
        this.link.tell({ type: "frame", card, frame });
    }

    /** Plugs a card's cable in or out. */
    network_link(card, plugged) {
        this.link.tell({ type: "link", card, plugged });
    }

    /** Puts another cable into a card: `{ relay_url }`, `{ port }` or nothing for the script. */
    async network_plug(card, device = {}) {
        const transfer = device.port ? [device.port] : [];
        await this.link.ask({ type: "plug", card, device }, transfer);
    }

    /** Puts a medium into a drive by its option name, such as `fda` or `cdrom`; null takes it out. */
    async set_drive(name, image) {
        const { disks, transfer } = await media({ [name]: image }, (event) => this.bus.emit("download-progress", event));
        await this.link.ask({ type: "disks", disks }, transfer);
    }

    set_fda(image) {
        return this.set_drive("fda", image);
    }

    eject_fda() {
        return this.set_drive("fda", null);
    }

    set_cdrom(image) {
        return this.set_drive("cdrom", image);
    }

    eject_cdrom() {
        return this.set_drive("cdrom", null);
    }

    /** The machine's state as an image, which every host of nomad86 restores. */
    async save_state() {
        const image = await this.link.ask({ type: "save" });
        return image.buffer;
    }

    /**
     * Goes on from a state image. `mac` says what becomes of the network cards' addresses: `randomise`,
     * `preserve` or `translate`.
     */
    async restore_state(image, { mac = "randomise", seed = randomNumber() } = {}) {
        const bytes = await loadBytes("state", image);
        return this.link.ask({ type: "restore", state: { image: bytes, mac, seed } });
    }

    /** The screen as a PNG file. */
    async screen_make_screenshot() {
        return new Blob([await this.link.ask({ type: "screenshot" })], { type: "image/png" });
    }

    /** The text on the screen; empty in graphics modes. */
    screen_text() {
        return this.link.ask({ type: "text" });
    }

    get_statistics() {
        return this.link.ask({ type: "stats" });
    }

    async get_instruction_counter() {
        return (await this.get_statistics()).instructions;
    }

    read_memory(at, length) {
        return this.link.ask({ type: "read", at, len: length });
    }

    write_memory(bytes, at) {
        return this.link.ask({ type: "write", at, data: Uint8Array.from(bytes) });
    }

    /** Resolves with true when a serial line has written `text`, with false when `timeout_msec` have passed. */
    wait_until_serial_contains(text, { line = 0, timeout_msec = Infinity } = {}) {
        let tail = "";
        return this.wait_(timeout_msec, (done) => {
            const listener = (piece) => {
                tail += piece;
                if (tail.includes(text)) done();
                else tail = tail.slice(-text.length);
            };
            const event = `serial${line}-output-text`;
            this.add_listener(event, listener);
            return () => this.remove_listener(event, listener);
        });
    }

    /** The same for the text on the screen. */
    wait_until_vga_screen_contains(text, { timeout_msec = Infinity } = {}) {
        return this.wait_(timeout_msec, (done) => {
            const timer = setInterval(async () => {
                if ((await this.screen_text()).includes(text)) done();
            }, 200);
            return () => clearInterval(timer);
        });
    }

    wait_(timeout, begin) {
        return new Promise((resolve) => {
            const finish = (seen) => {
                end();
                clearTimeout(timer);
                resolve(seen);
            };
            const end = begin(() => finish(true));
            const timer = timeout === Infinity ? null : setTimeout(() => finish(false), timeout);
        });
    }
}

let compiled = new Map();

/** The core, compiled once for all machines. */
function wasm(options, progress) {
    const url = options.wasm_path ?? new URL("../nomad86.wasm", import.meta.url).href;
    if (!compiled.has(url)) {
        const module = loadBytes("wasm_path", { url }, progress).then((bytes) =>
            WebAssembly.compile(bytes).catch((error) => {
                throw new Error(
                    `wasm_path: ${url} is no WebAssembly that can be compiled here (${error.message}): it must be ` +
                        "nomad86.wasm, and the browser one with tail calls: Chromium 112, Firefox 121, Safari 18.2, " +
                        "Node.js 20 or later",
                );
            }),
        );
        module.catch(() => compiled.delete(url));
        compiled.set(url, module);
    }
    return compiled.get(url);
}
