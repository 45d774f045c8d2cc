// Lets a machine run in slices without ever holding up the thread that it lives on.

/** Milliseconds of a slice: short enough for messages to be heard soon. */
const SLICE = 8;
/** The longest that an idle machine is left alone. */
const NAP = 1000;

/** Calls back as soon as everything that waits has had its turn. */
function later(callback) {
    if (typeof setImmediate === "function") return () => setImmediate(callback);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = callback;
    // Timers of nested callbacks are held back to 4 ms, and those of hidden pages to a second; messages are not.
    return () => port2.postMessage(0);
}

export class Runner {
    /**
     * @param {import("./core.js").Core} core
     * @param {(exit: number) => boolean} after called after each slice; false stops the machine
     */
    constructor(core, after) {
        this.core = core;
        this.after = after;
        this.running = false;
        this.timer = null;
        this.queued = false;
        this.busy = 0;
        this.queue = later(() => this.turn());
    }

    start() {
        if (this.running) return;
        this.running = true;
        this.core.pause();
        this.wake();
    }

    stop() {
        this.running = false;
        this.sleep(null);
    }

    /** Something has come that the machine should look at. */
    wake() {
        this.sleep(null);
        if (this.running && !this.queued) {
            this.queued = true;
            this.queue();
        }
    }

    sleep(ms) {
        clearTimeout(this.timer);
        this.timer = ms === null ? null : setTimeout(() => this.wake(), ms);
    }

    turn() {
        this.queued = false;
        if (!this.running) return;
        const begun = performance.now();
        const exit = this.core.run(SLICE);
        this.busy += performance.now() - begun;
        if (!this.after(exit)) {
            this.stop();
            return;
        }
        if (!this.running) return;
        // 1: idle, 5: halted for good. Pauses that timers cannot keep are spent waiting in turns.
        const rest = exit === 1 || exit === 5 ? this.core.rest() : 0;
        if (rest < 0.5) this.wake();
        else this.sleep(Math.min(rest, NAP));
    }
}
