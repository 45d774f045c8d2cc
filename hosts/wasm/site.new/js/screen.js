// The machine's picture on a canvas.

export class Screen {
    /**
     * @param {HTMLElement} container a canvas, or an element that holds one or gets one
     * @param {import("./nomad86.js").Nomad86} machine
     */
    constructor(container, machine) {
        this.machine = machine;
        this.canvas = container instanceof HTMLCanvasElement ? container : container.querySelector("canvas");
        this.made = !this.canvas;
        if (this.made) {
            this.canvas = document.createElement("canvas");
            container.append(this.canvas);
        }
        this.canvas.tabIndex = 0;
        this.context = this.canvas.getContext("2d", { alpha: false, desynchronized: true });
        this.canvas.style.imageRendering = "pixelated";
        this.next = null;
        this.visible = () => this.look();
        document.addEventListener("visibilitychange", this.visible);
    }

    start() {
        this.look();
    }

    /** Nothing is drawn for a page that nobody sees. */
    look() {
        this.machine.link.tell({ type: "look", on: document.visibilityState === "visible" });
    }

    /** Rows that changed; the engine sends no more until these are on the canvas. */
    draw(message) {
        if (this.next) {
            this.put(this.next);
            this.next = message;
            return;
        }
        this.next = message;
        requestAnimationFrame(() => {
            const { next } = this;
            this.next = null;
            this.put(next);
            this.machine.link.tell({ type: "drawn" });
        });
    }

    put({ width, height, columns, y, pixels }) {
        const { canvas } = this;
        if (canvas.width !== width || canvas.height !== height) {
            canvas.width = width;
            canvas.height = height;
            this.machine.bus.emit("screen-set-size", [width, height, columns ? 0 : 32]);
        }
        this.context.putImageData(new ImageData(pixels, width), 0, y);
    }

    destroy() {
        document.removeEventListener("visibilitychange", this.visible);
        if (this.made) this.canvas.remove();
    }
}
