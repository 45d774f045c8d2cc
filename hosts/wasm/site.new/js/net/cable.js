// What every cable shares: bounded queues of frames in both directions, and counters.

/** Shortest and longest frame (with an 802.1Q tag), without check sum. */
export const MIN_FRAME = 14;
export const MAX_FRAME = 1522;
/** Frames shorter than this are padded on the way to the machine, as the wire would have done. */
const PADDED = 60;
const INBOX = 512;

/** A cable with one machine at its end; `send` is what carries the machine's frames away. */
export class Cable {
    /** @param {() => void} wake called when a frame waits for the machine */
    constructor(wake) {
        this.wake = wake;
        this.inbox = [];
        this.plugged = true;
        this.stats = { frames_out: 0, bytes_out: 0, frames_in: 0, bytes_in: 0, dropped_size: 0, dropped_inbox: 0 };
    }

    /** A frame from the machine; the array is only valid until this returns. */
    transmit(frame) {
        if (frame.length < MIN_FRAME || frame.length > MAX_FRAME) {
            this.stats.dropped_size++;
            return;
        }
        this.stats.frames_out++;
        this.stats.bytes_out += frame.length;
        this.send(frame.slice());
    }

    /** A frame for the machine. */
    deliver(frame) {
        if (frame.length < MIN_FRAME || frame.length > MAX_FRAME) {
            this.stats.dropped_size++;
            return;
        }
        if (frame.length < PADDED) {
            const padded = new Uint8Array(PADDED);
            padded.set(frame);
            frame = padded;
        }
        if (this.inbox.length >= INBOX) {
            this.inbox.shift();
            this.stats.dropped_inbox++;
        }
        this.inbox.push(frame);
        this.wake();
    }

    /** Moves the next frame into `view`; its length, or -1. */
    receive(view) {
        for (;;) {
            const frame = this.inbox.shift();
            if (!frame) return -1;
            if (frame.length > view.length) {
                this.stats.dropped_size++;
                continue;
            }
            view.set(frame);
            this.stats.frames_in++;
            this.stats.bytes_in += frame.length;
            return frame.length;
        }
    }

    link() {
        return this.plugged;
    }

    send() {}

    close() {}
}

/** `Uint8Array` of what came in a message, or null when it is no frame at all. */
export function asFrame(data) {
    if (data instanceof Uint8Array) return data;
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return null;
}
