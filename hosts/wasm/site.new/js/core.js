// The other half of src/abi.rs: one machine in one WebAssembly instance, called as plain functions.
//
// Nothing here waits and nothing here knows about pages or workers; engine.js runs it.

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What `run` came back with. */
export const EXIT = { BUDGET: 0, IDLE: 1, POWER_OFF: 2, RESET: 3, TRIPLE_FAULT: 4, HALTED: 5, DEBUG: 256 };

/** Drive numbers by option name. */
export const DRIVES = { fda: 0, fdb: 1, hda: 2, hdb: 3, hdc: 4, hdd: 5 };

/** Answers of a disk to a request. */
export const DISK = { READY: 0, PENDING: 1, OUT_OF_RANGE: 2, READ_ONLY: 3, FULL: 4, IO: 5 };

/** What a machine without surroundings has around it. */
const NOTHING = {
    transmit() {},
    receive: () => -1,
    link: () => false,
    line() {},
    present() {},
    play() {},
    diskRead: () => DISK.IO,
    diskWrite: () => DISK.IO,
    diskFlush: () => DISK.READY,
    now: () => performance.now(),
    wall: () => Date.now(),
};

export class Core {
    /**
     * @param {WebAssembly.Module} module
     * @param {Partial<typeof NOTHING>} host
     */
    constructor(module, host = {}) {
        this.host = { ...NOTHING, ...host };
        this.answers = [];
        this.failure = null;
        this.machine = 0;
        const h = this.host;
        // Addresses come as signed numbers.
        const bytes = (at, len) => new Uint8Array(this.exports.memory.buffer, at >>> 0, len);
        const instance = new WebAssembly.Instance(module, {
            nomad86: {
                now: () => h.now(),
                wall: () => h.wall(),
                link: (card) => (h.link(card) ? 1 : 0),
                line: (number, byte) => h.line(number, byte),
                transmit: (card, at, len) => h.transmit(card, bytes(at, len)),
                receive: (card, at, room) => h.receive(card, bytes(at, room)),
                disk_read: (drive, lba, at, len) => h.diskRead(drive, lba, bytes(at, len)),
                disk_write: (drive, lba, at, len) => h.diskWrite(drive, lba, bytes(at, len)),
                disk_flush: (drive) => h.diskFlush(drive),
                present: (at, width, height, text, y, rows) =>
                    h.present({ at: at >>> 0, width, height, columns: text >>> 16, lines: text & 0xffff, y, rows }),
                play: (at, frames) => h.play(new Int16Array(this.exports.memory.buffer, at >>> 0, frames * 2)),
                image: (from, at, room) => {
                    const part = this.image.subarray(from, from + room);
                    bytes(at, part.length).set(part);
                    return part.length;
                },
                answer: (at, len) => {
                    this.answers.push(bytes(at, len).slice());
                },
                panic: (at, len) => {
                    this.failure = decoder.decode(bytes(at, len));
                },
            },
        });
        this.exports = instance.exports;
    }

    /** Calls `f` with each value's bytes in linear memory as address and length. */
    lend(values, f) {
        const buffers = [];
        try {
            for (const value of values) {
                const data = typeof value === "string" ? encoder.encode(value) : value;
                const at = data.length ? this.exports.take_buffer(data.length) >>> 0 : 0;
                if (data.length && !at) {
                    throw new Error(`the browser has no ${data.length >> 20} MiB for a file of the machine`);
                }
                buffers.push([at, data.length]);
                new Uint8Array(this.exports.memory.buffer, at, data.length).set(data);
            }
            return f(...buffers.flat());
        } finally {
            for (const [at, len] of buffers) {
                if (at) this.exports.give_back(at, len);
            }
        }
    }

    /** Takes what the last call answered, as one array. */
    takeAnswer() {
        const parts = this.answers;
        this.answers = [];
        if (parts.length === 1) return parts[0];
        const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
        parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
        return all;
    }

    takeText() {
        return decoder.decode(this.takeAnswer());
    }

    /**
     * Builds the machine from options by name: numbers and texts, or `Uint8Array`s for files.
     * @param {Iterable<[string, string | number | Uint8Array]>} options
     */
    build(options) {
        const builder = this.exports.builder_new();
        for (const [name, value] of options) {
            const bytes = value instanceof Uint8Array ? value : String(value);
            if (this.lend([name, bytes], (...at) => this.exports.builder_set(builder, ...at))) {
                throw new Error(this.takeText());
            }
        }
        this.machine = this.exports.machine_new(builder);
        if (!this.machine) throw new Error(this.takeText());
    }

    /**
     * Builds the machine from a state image.
     * @param {Uint8Array} image
     * @param {string} mac `randomise`, `preserve` or `translate`
     * @param {number} seed where new addresses come from
     * @returns {{ unknown: string[], missing: string[], cards: { guest: string, wire: string }[] }}
     */
    restore(image, mac, seed) {
        this.image = image;
        this.machine = this.lend([mac], (at, len) => this.exports.machine_restore(at, len, seed));
        this.image = null;
        const text = this.takeText();
        if (!this.machine) throw new Error(text);
        return JSON.parse(text);
    }

    /** The machine's state image. */
    save() {
        this.exports.save(this.machine);
        return this.takeAnswer();
    }

    /** Runs for so many milliseconds; see EXIT. */
    run(budget) {
        return this.exports.run(this.machine, budget);
    }

    /** Milliseconds that an idle machine can be left alone. */
    rest() {
        return this.exports.rest(this.machine);
    }

    pause() {
        this.exports.pause(this.machine);
    }

    reset() {
        this.exports.reset(this.machine);
    }

    /** A key by its `KeyboardEvent.code`; false when the machine has no such key. */
    key(code, pressed) {
        return this.lend([code], (at, len) => this.exports.key(this.machine, at, len, pressed ? 1 : 0)) !== 0;
    }

    typeText(text) {
        this.lend([text], (at, len) => this.exports.type_text(this.machine, at, len));
    }

    mouse(dx, dy, wheel = 0) {
        this.exports.mouse(this.machine, dx, dy, wheel);
    }

    buttons(pressed) {
        this.exports.buttons(this.machine, pressed);
    }

    power() {
        this.exports.power(this.machine);
    }

    /** Bytes for a serial line; how many there was room for. */
    serial(line, bytes) {
        return this.lend([bytes], (at, len) => this.exports.serial(this.machine, line, at, len));
    }

    look(on) {
        this.exports.look(this.machine, on ? 1 : 0);
    }

    listen(rate) {
        this.exports.listen(this.machine, rate);
    }

    insert(drive, sectors, readOnly) {
        return this.exports.insert(this.machine, drive, sectors, readOnly ? 1 : 0) !== 0;
    }

    eject(drive) {
        this.exports.eject(this.machine, drive);
    }

    screenText() {
        this.exports.screen_text(this.machine);
        return this.takeText();
    }

    stats() {
        this.exports.stats(this.machine);
        return JSON.parse(this.takeText());
    }

    readMemory(at, len) {
        this.exports.read_memory(this.machine, at, len);
        return this.takeAnswer();
    }

    writeMemory(at, bytes) {
        this.lend([bytes], (from, len) => this.exports.write_memory(this.machine, at, from, len));
    }
}
