// The machine's side of the border: takes commands, reports events, and runs the core. It lives in a worker, or
// beside its owner where there is none.

import { Core, DISK, DRIVES, EXIT } from "./core.js";
import { openDisk } from "./disk.js";
import { plug } from "./net/plug.js";
import { screenshot } from "./png.js";
import { Runner } from "./runner.js";

/** Why a machine stopped by itself. */
const ENDS = {
    [EXIT.POWER_OFF]: "power-off",
    [EXIT.TRIPLE_FAULT]: "triple-fault",
};

export class Engine {
    /** @param {(message: object, transfer?: Transferable[]) => void} post */
    constructor(post) {
        this.post = post;
        this.disks = [];
        this.cables = [];
        this.lines = Array.from({ length: 6 }, () => []);
        this.picture = null;
        this.changed = null;
        this.drawing = false;
        this.sound = [];
    }

    /** Does a command; what it returns goes back to the sender. */
    async handle(message) {
        const command = this[`on_${message.type}`];
        if (!command) throw new Error(`there is no command '${message.type}'`);
        return command.call(this, message);
    }

    async on_build({ module, options, state, disks, devices }) {
        this.module = module;
        this.devices = devices;
        await this.change(disks);
        this.cables = devices.map((device, card) => this.plug(device, card));
        const core = this.core_(module);
        if (state) this.restore_(core, state);
        else core.build(options);
        this.adopt(core);
        // Power on: the drives look at their media.
        if (!state) core.reset();
    }

    /** A core with this engine around it. */
    core_(module) {
        return new Core(module, {
            transmit: (card, frame) => this.cables[card]?.transmit(frame),
            receive: (card, view) => this.cables[card]?.receive(view) ?? -1,
            link: (card) => this.cables[card]?.link() ?? false,
            line: (number, byte) => this.lines[number].push(byte),
            present: (picture) => this.present(picture),
            play: (frames) => this.sound.push(frames.slice()),
            diskRead: (drive, lba, buffer) => this.disks[drive]?.read(lba, buffer) ?? DISK.IO,
            diskWrite: (drive, lba, data) => this.disks[drive]?.write(lba, data) ?? DISK.IO,
            diskFlush: (drive) => this.disks[drive]?.flush() ?? DISK.READY,
        });
    }

    /** Goes on with this core. */
    adopt(core) {
        this.runner?.stop();
        this.core = core;
        this.picture = this.changed = null;
        this.runner = new Runner(core, (exit) => this.after(exit));
        core.look(this.looked ?? false);
        core.listen(this.rate ?? 0);
        this.disks.forEach((disk, drive) => disk && core.insert(drive, disk.sectors, disk.readOnly));
    }

    plug(device, card) {
        return plug(device, {
            wake: () => this.runner?.wake(),
            emit: (frame) => this.post({ type: "frame", card, frame }, [frame.buffer]),
            report: (state, why) => this.post({ type: "network", card, state, why }),
        });
    }

    /** Opens media by option name; null empties a drive. */
    async change(disks) {
        for (const [name, image] of Object.entries(disks)) {
            const drive = DRIVES[name];
            this.disks[drive] = image && (await openDisk(image, {
                readOnly: image.readOnly,
                wake: () => this.runner?.wake(),
                report: (error) => this.post({ type: "download-error", name, error: error.message }),
            }));
            if (!this.core) continue;
            if (this.disks[drive]) this.core.insert(drive, this.disks[drive].sectors, image.readOnly);
            else this.core.eject(drive);
        }
    }

    /** What follows a slice: output leaves, and the machine goes on or not. */
    after(exit) {
        this.flush();
        if (this.core.failure) return this.ended("defect", this.core.failure);
        if (exit >= EXIT.DEBUG) return this.ended("debug-exit", exit - EXIT.DEBUG);
        if (ENDS[exit]) return this.ended(ENDS[exit]);
        if (exit === EXIT.RESET) this.post({ type: "reset" });
        return true;
    }

    ended(reason, detail) {
        this.post({ type: "ended", reason, detail });
        return false;
    }

    flush() {
        for (const [line, bytes] of this.lines.entries()) {
            if (!bytes.length) continue;
            const data = Uint8Array.from(bytes);
            bytes.length = 0;
            this.post({ type: "line", line, data }, [data.buffer]);
        }
        if (this.sound.length) {
            const frames = this.sound;
            this.sound = [];
            this.post({ type: "sound", rate: this.rate, frames }, frames.map((part) => part.buffer));
        }
        this.draw();
    }

    present(picture) {
        const first = this.changed ? Math.min(this.changed.first, picture.y) : picture.y;
        const last = Math.max(this.changed?.last ?? 0, picture.y + picture.rows);
        const same = this.picture && this.picture.width === picture.width && this.picture.height === picture.height;
        this.picture = picture;
        this.changed = same ? { first, last } : { first: 0, last: picture.height };
    }

    /** Sends the rows that changed, when the last ones have been drawn. */
    draw() {
        if (!this.changed || this.drawing) return;
        const { first, last } = this.changed;
        const { width, height, columns, lines } = this.picture;
        const pixels = this.pixels(first, last - first);
        this.changed = null;
        this.drawing = true;
        this.post({ type: "screen", width, height, columns, lines, y: first, pixels }, [pixels.buffer]);
    }

    /** Rows of the picture as `ImageData` has them. */
    pixels(first, rows) {
        const { at, width } = this.picture;
        const words = new Uint32Array(this.core.exports.memory.buffer, at + first * width * 4, rows * width);
        const out = new Uint32Array(words.length);
        for (let n = 0; n < words.length; n++) {
            const rgb = words[n];
            out[n] = 0xff000000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | ((rgb >>> 16) & 0xff);
        }
        return new Uint8ClampedArray(out.buffer);
    }

    on_drawn() {
        this.drawing = false;
        this.draw();
    }

    on_run() {
        this.runner.start();
    }

    on_stop() {
        this.runner.stop();
    }

    on_restart() {
        this.core.reset();
        this.runner.wake();
    }

    on_key({ code, pressed }) {
        this.core.key(code, pressed);
        this.runner.wake();
    }

    on_type({ text }) {
        this.core.typeText(text);
        this.runner.wake();
    }

    on_mouse({ dx, dy, wheel }) {
        this.core.mouse(dx, dy, wheel);
        this.runner.wake();
    }

    on_buttons({ pressed }) {
        this.core.buttons(pressed);
        this.runner.wake();
    }

    on_power() {
        this.core.power();
        this.runner.wake();
    }

    on_serial({ line, data }) {
        const taken = this.core.serial(line, data);
        this.runner.wake();
        return taken;
    }

    on_look({ on }) {
        this.looked = on;
        this.drawing &&= on;
        this.core.look(on);
    }

    on_listen({ rate }) {
        this.rate = rate;
        this.core.listen(rate);
    }

    on_frame({ card, frame }) {
        this.cables[card]?.deliver(frame);
    }

    on_link({ card, plugged }) {
        this.cables[card].plugged = plugged;
    }

    /** Another cable for a card. */
    on_plug({ card, device }) {
        const cable = this.plug(device, card);
        this.cables[card]?.close();
        this.cables[card] = cable;
    }

    async on_disks({ disks }) {
        await this.change(disks);
        this.runner.wake();
    }

    on_text() {
        return this.core.screenText();
    }

    on_screenshot() {
        return screenshot(this);
    }

    on_save() {
        return this.core.save();
    }

    on_restore({ state }) {
        const running = this.runner.running;
        const core = this.core_(this.module);
        const notes = this.restore_(core, state);
        this.adopt(core);
        if (running) this.runner.start();
        return notes;
    }

    restore_(core, state) {
        const notes = core.restore(state.image, state.mac, state.seed);
        while (this.cables.length < notes.cards.length) this.cables.push(this.plug({}, this.cables.length));
        return notes;
    }

    on_stats() {
        return {
            ...this.core.stats(),
            busy: this.runner.busy,
            memory: this.core.exports.memory.buffer.byteLength,
            networks: this.cables.map((cable) => ({ ...cable.stats })),
            disks: Object.fromEntries(
                Object.entries(DRIVES)
                    .filter(([, drive]) => this.disks[drive])
                    .map(([name, drive]) => [name, { bytesLoaded: this.disks[drive].bytesLoaded ?? this.disks[drive].size }]),
            ),
        };
    }

    on_read({ at, len }) {
        return this.core.readMemory(at, len);
    }

    on_write({ at, data }) {
        this.core.writeMemory(at, data);
    }

    on_destroy() {
        this.runner?.stop();
        for (const cable of this.cables) cable.close();
        this.core = null;
    }
}

/** Serves one engine to whoever is at the other end of `port`. */
export function serve(port) {
    const engine = new Engine((message, transfer = []) => port.postMessage(message, transfer));
    return async (message) => {
        try {
            const value = await engine.handle(message);
            if (message.id !== undefined) port.postMessage({ type: "reply", id: message.id, value });
        } catch (error) {
            const reason = engine.core?.failure ?? error.message;
            port.postMessage({ type: "reply", id: message.id, error: reason });
        }
    };
}
