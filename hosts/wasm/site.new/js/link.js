// The way to the engine: a worker's messages, or plain calls where the machine lives beside its owner.

import { Engine } from "./engine.js";
import { NODE } from "./load.js";

export class Link {
    /**
     * @param {boolean} worker
     * @param {(message: object) => void} heard
     */
    constructor(worker, heard) {
        this.heard = heard;
        this.waiting = new Map();
        this.next = 0;
        this.closed = false;
        this.port = worker ? this.spawn() : Promise.resolve(this.beside());
        this.port.catch(() => {});
    }

    /** A machine in a worker. */
    async spawn() {
        const url = new URL("./worker.js", import.meta.url);
        const fail = (error) => this.fail(error.message || "the worker could not be loaded");
        if (!NODE) {
            const worker = new Worker(url, { type: "module" });
            worker.onmessage = ({ data }) => this.take(data);
            worker.onerror = fail;
            this.end = () => worker.terminate();
            return worker;
        }
        const { Worker: Thread } = await import("node:worker_threads");
        const worker = new Thread(url);
        worker.on("message", (message) => this.take(message));
        worker.on("error", fail);
        this.end = () => worker.terminate();
        return worker;
    }

    /** A machine in this thread. */
    beside() {
        const engine = new Engine((message) => this.heard(message));
        return {
            postMessage: (message) =>
                engine.handle(message).then(
                    (value) => this.take({ type: "reply", id: message.id, value }),
                    (error) => this.take({ type: "reply", id: message.id, error: engine.core?.failure ?? error.message }),
                ),
        };
    }

    take(message) {
        if (message.type !== "reply") {
            this.heard(message);
            return;
        }
        const asked = this.waiting.get(message.id);
        this.waiting.delete(message.id);
        if (message.error === undefined) asked?.resolve(message.value);
        else if (asked) asked.reject(new Error(message.error));
        else console.error("nomad86:", message.error);
    }

    fail(reason) {
        for (const { reject } of this.waiting.values()) reject(new Error(reason));
        this.waiting.clear();
        if (!this.closed) this.heard({ type: "ended", reason: "defect", detail: reason });
    }

    /** Sends a command that has no answer. */
    tell(message) {
        if (!this.closed) this.port.then((port) => port.postMessage(message), () => {});
    }

    /** Sends a command and resolves with its answer. */
    async ask(message, transfer = []) {
        if (this.closed) throw new Error("the machine has been destroyed");
        const port = await this.port;
        const id = this.next++;
        return new Promise((resolve, reject) => {
            this.waiting.set(id, { resolve, reject });
            port.postMessage({ ...message, id }, transfer);
        });
    }

    async close() {
        if (this.closed) return;
        await this.ask({ type: "destroy" }).catch(() => {});
        this.closed = true;
        this.end?.();
        for (const { reject } of this.waiting.values()) reject(new Error("the machine has been destroyed"));
        this.waiting.clear();
    }
}
