// The machine's sound through Web Audio: each piece is scheduled behind the one before it.

/** Seconds that sound lies ahead, so that late pieces leave no gaps. */
const AHEAD = 0.08;
/** More than this is dropped: the guest's sound ran ahead of its picture. */
const FURTHEST = 0.4;

export class Audio {
    constructor(machine) {
        this.machine = machine;
        this.next = 0;
        this.frames = 0;
        // Browsers give sound only to pages that were touched.
        this.abort = new AbortController();
        for (const type of ["pointerdown", "keydown"]) {
            document.addEventListener(type, () => this.open(), { signal: this.abort.signal, capture: true });
        }
    }

    open() {
        this.abort.abort();
        this.context = new AudioContext({ latencyHint: "interactive" });
        this.volume = this.context.createGain();
        this.volume.connect(this.context.destination);
        this.context.resume();
        this.machine.link.tell({ type: "listen", rate: this.context.sampleRate });
    }

    /** From 0 to 1. */
    set_volume(volume) {
        if (this.volume) this.volume.gain.value = volume;
    }

    /** @param {Int16Array[]} pieces left and right in turns */
    play(rate, pieces) {
        const { context } = this;
        if (!context || !rate) return;
        const frames = pieces.reduce((sum, piece) => sum + piece.length / 2, 0);
        const now = context.currentTime;
        if (this.next > now + FURTHEST) return;
        const buffer = context.createBuffer(2, frames, rate);
        const [left, right] = [buffer.getChannelData(0), buffer.getChannelData(1)];
        let to = 0;
        for (const piece of pieces) {
            for (let from = 0; from < piece.length; from += 2, to++) {
                left[to] = piece[from] / 32768;
                right[to] = piece[from + 1] / 32768;
            }
        }
        const source = context.createBufferSource();
        source.buffer = buffer;
        source.connect(this.volume);
        if (this.next < now) this.next = now + AHEAD;
        source.start(this.next);
        this.next += frames / rate;
        this.frames += frames;
    }

    destroy() {
        this.abort.abort();
        this.context?.close();
    }
}
