// The first serial line in a terminal: xterm.js from npm.

const encoder = new TextEncoder();

export class SerialTerminal {
    /**
     * @param {HTMLElement} container
     * @param {Function} library xterm.js's `Terminal`; found by its package's name when not given
     */
    static async open(container, library, machine) {
        const Terminal = library ?? globalThis.Terminal ?? (await find());
        return new SerialTerminal(container, new Terminal({ convertEol: false, scrollback: 5000, cursorBlink: true }), machine);
    }

    constructor(container, xterm, machine) {
        this.xterm = xterm;
        xterm.open(container);
        this.typed = xterm.onData((text) => machine.serial_send_bytes(0, encoder.encode(text)));
        this.binary = xterm.onBinary((text) => machine.serial_send_bytes(0, Uint8Array.from(text, (c) => c.charCodeAt(0))));
        this.machine = machine;
        this.shown = (data) => xterm.write(data);
        machine.add_listener("serial0-output", this.shown);
    }

    focus() {
        this.xterm.focus();
    }

    destroy() {
        this.machine.remove_listener("serial0-output", this.shown);
        this.typed.dispose();
        this.binary.dispose();
        this.xterm.dispose();
    }
}

async function find() {
    try {
        return (await import("@xterm/xterm")).Terminal;
    } catch {
        throw new Error("serial_container_xtermjs needs xterm.js: npm install @xterm/xterm, or pass xterm_lib: Terminal");
    }
}
