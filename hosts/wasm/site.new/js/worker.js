// A worker with one machine: a page's or Node's.

import { serve } from "./engine.js";

if (typeof self === "object" && typeof self.postMessage === "function") {
    const handle = serve(self);
    self.onmessage = ({ data }) => handle(data);
} else {
    const { parentPort } = await import("node:worker_threads");
    const handle = serve(parentPort);
    parentPort.on("message", handle);
}
