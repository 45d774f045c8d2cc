// The relay client: one binary WebSocket message is one Ethernet frame without check sum.
//
// The rules are those of the native client: frames that come back or come twice, lost frames, messages of any
// kind and size and a connection that ends at any byte are all part of the day. The newest frames matter most.
// Browsers answer pings but cannot send any, so that here a connection that only takes is found out by silence.

import { Cable, asFrame } from "./cable.js";

const OUTBOX = 64;
/** Frames older than this are not sent when the connection comes back. */
const STALE = 2000;
const PAUSE = { first: 500, longest: 30000 };
/** How long frames may go out without anything coming back before the connection is made anew. */
const SILENCE = 10000;
const PATIENCE = 15000;
/** Bytes that may wait inside the browser before frames are kept here. */
const WAITING = 256 * 1024;

export class RelayCable extends Cable {
    /**
     * @param {string} url ws:// or wss://
     * @param {() => void} wake
     * @param {{ WebSocket?: typeof WebSocket, report?: (state: string, why?: string) => void, own?: Uint8Array }} more
     */
    constructor(url, wake, more = {}) {
        super(wake);
        this.url = url;
        this.WebSocket = more.WebSocket ?? globalThis.WebSocket;
        if (!this.WebSocket) {
            throw new Error("network_relay_url: this runtime has no WebSocket; use Node.js 22, or npm install ws");
        }
        this.report = more.report ?? (() => {});
        this.outbox = [];
        this.own = new Set();
        this.pause = PAUSE.first;
        this.lastFrame = null;
        Object.assign(this.stats, {
            dropped_full: 0,
            dropped_stale: 0,
            reflected: 0,
            short: 0,
            oversize: 0,
            empty: 0,
            text: 0,
            connected: 0,
            lost: 0,
            failed: 0,
        });
        this.connect();
    }

    connect() {
        this.timer = null;
        let socket;
        try {
            socket = new this.WebSocket(this.url);
        } catch (error) {
            // A URL that is none will not become one.
            this.report("failed", `${this.url}: ${error.message}`);
            return;
        }
        this.socket = socket;
        socket.binaryType = "arraybuffer";
        this.opened = false;
        this.owed = 0;
        const patience = setTimeout(() => this.drop(socket), PATIENCE);
        patience.unref?.();
        socket.onopen = () => {
            clearTimeout(patience);
            this.opened = true;
            this.stats.connected++;
            this.report("open");
            this.greet();
            this.flush();
        };
        socket.onmessage = ({ data }) => this.take(data);
        socket.onerror = () => {};
        socket.onclose = () => {
            clearTimeout(patience);
            this.drop(socket);
        };
    }

    /** Ends a connection and plans the next. */
    drop(socket) {
        if (socket !== this.socket) return;
        this.socket = null;
        socket.onclose = socket.onmessage = socket.onopen = null;
        socket.close();
        if (this.closed) return;
        this.stats[this.opened ? "lost" : "failed"]++;
        this.report("closed");
        if (this.opened) this.pause = PAUSE.first;
        const jitter = 0.8 + Math.random() * 0.4;
        this.timer = setTimeout(() => this.connect(), this.pause * jitter);
        this.pause = Math.min(this.pause * 2, PAUSE.longest);
    }

    /** After a reconnection the relay learns where the machine is from the last frame, sent once more. */
    greet() {
        if (this.lastFrame && this.stats.connected > 1 && this.outbox.length === 0) this.write(this.lastFrame);
    }

    take(data) {
        this.owed = 0;
        if (typeof data === "string") {
            this.stats.text++;
            return;
        }
        const frame = asFrame(data);
        if (!frame || frame.length === 0) this.stats.empty++;
        else if (frame.length < 14) this.stats.short++;
        else if (frame.length > 1522) this.stats.oversize++;
        else if (this.own.has(address(frame, 6))) this.stats.reflected++;
        else this.deliver(frame);
    }

    send(frame) {
        if (!(frame[6] & 1)) {
            const own = address(frame, 6);
            if (this.own.size >= 8 && !this.own.has(own)) this.own.delete(this.own.values().next().value);
            this.own.add(own);
        }
        if (this.outbox.length >= OUTBOX) {
            this.outbox.shift();
            this.stats.dropped_full++;
        }
        this.outbox.push({ frame, at: performance.now() });
        this.flush();
    }

    flush() {
        const now = performance.now();
        while (this.outbox.length && this.opened && this.socket && this.socket.bufferedAmount < WAITING) {
            const { frame, at } = this.outbox.shift();
            if (now - at > STALE) this.stats.dropped_stale++;
            else this.write(frame);
        }
        if (this.outbox.length && this.opened && !this.draining) {
            this.draining = setTimeout(() => {
                this.draining = null;
                this.flush();
            }, 20);
        }
        if (this.owed && this.opened && now - this.owed > SILENCE) this.drop(this.socket);
    }

    write(frame) {
        this.socket.send(frame);
        this.lastFrame = frame;
        this.owed ||= performance.now();
    }

    close() {
        this.closed = true;
        clearTimeout(this.timer);
        clearTimeout(this.draining);
        this.socket?.close();
    }
}

function address(frame, at) {
    return String.fromCharCode(...frame.subarray(at, at + 6));
}
