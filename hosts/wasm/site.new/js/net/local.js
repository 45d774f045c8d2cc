// Cables that stay in the browser: between tabs, between machines of one page, and to a script.

import { Cable, asFrame } from "./cable.js";

/** Tabs of one origin on one segment. The channel's name and messages are those of v86's `inbrowser` network. */
export class BroadcastCable extends Cable {
    constructor(name, wake) {
        super(wake);
        this.channel = new BroadcastChannel(`v86-inbrowser-${name}`);
        this.channel.onmessage = ({ data }) => {
            const frame = asFrame(data);
            if (frame) this.deliver(frame);
        };
        this.channel.unref?.();
    }

    send(frame) {
        this.channel.postMessage(frame);
    }

    close() {
        this.channel.close();
    }
}

/** One end of a `MessageChannel`, such as a port of a `Hub`. */
export class PortCable extends Cable {
    constructor(port, wake) {
        super(wake);
        this.port = port;
        port.onmessage = ({ data }) => {
            const frame = asFrame(data);
            if (frame) this.deliver(frame);
        };
        port.unref?.();
    }

    send(frame) {
        this.port.postMessage(frame, [frame.buffer]);
    }

    close() {
        this.port.close();
    }
}

/** The page's own script at the far end. */
export class ScriptCable extends Cable {
    /** @param {(frame: Uint8Array) => void} emit */
    constructor(emit, wake) {
        super(wake);
        this.send = emit;
    }
}

/**
 * A learning switch between machines of one page (or one Node process): give `hub.port()` to each machine's
 * `net_device.port`.
 */
export class Hub {
    constructor() {
        this.ports = new Set();
        this.stations = new Map();
    }

    /** A new port of the switch. */
    port() {
        const { port1, port2 } = new MessageChannel();
        this.ports.add(port1);
        port1.onmessage = ({ data }) => this.forward(port1, asFrame(data));
        port1.onclose = () => this.remove(port1);
        port1.unref?.();
        return port2;
    }

    remove(port) {
        this.ports.delete(port);
        for (const [mac, owner] of this.stations) {
            if (owner === port) this.stations.delete(mac);
        }
    }

    forward(from, frame) {
        if (!frame || frame.length < 14) return;
        const mac = (at) => String.fromCharCode(...frame.subarray(at, at + 6));
        if (!(frame[6] & 1)) {
            if (this.stations.size >= 1024) this.stations.clear();
            this.stations.set(mac(6), from);
        }
        const owner = frame[0] & 1 ? undefined : this.stations.get(mac(0));
        for (const port of owner ? [owner] : this.ports) {
            if (port !== from) port.postMessage(frame);
        }
    }

    close() {
        for (const port of this.ports) port.close();
        this.ports.clear();
        this.stations.clear();
    }
}
