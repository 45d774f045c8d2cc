// Times the loops of loops.asm in this machine and in v86 without its recompiler, turn by turn in one process:
// node bench/loops.mjs (needs nasm, and v86 from npm for the comparison).

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Core } from "../js/core.js";

const here = dirname(fileURLToPath(import.meta.url));
const NAMES = { a: "registers", b: "memory", c: "calls", d: "bits", e: "strings" };
const ROUNDS = Number(process.env.ROUNDS ?? 3);

const folder = mkdtempSync(join(tmpdir(), "nomad86-bench-"));
execFileSync("nasm", ["-f", "bin", join(here, "loops.asm"), "-o", join(folder, "loops")]);
const kernel = readFileSync(join(folder, "loops"));
rmSync(folder, { recursive: true });

const user = () => process.cpuUsage().user / 1000;

/** A function for each letter as it comes; at the dot the milliseconds of user time of each loop. */
function stopwatch() {
    const times = {};
    let last = null;
    return (byte) => {
        const now = user();
        if (last) times[last.letter] = now - last.at;
        last = { letter: String.fromCharCode(byte), at: user() };
        return last.letter === "." ? times : null;
    };
}

const module = new WebAssembly.Module(readFileSync(process.env.WASM ?? join(here, "../nomad86.wasm")));

function ours() {
    const tick = stopwatch();
    let times = null;
    const core = new Core(module, { line: (n, byte) => n === 0 && (times = tick(byte)) });
    core.build([["memory_size", 16 << 20], ["bzimage", kernel]]);
    while (!times) {
        const exit = core.run(20);
        if (exit > 1 && !times) throw new Error(`the machine ended with ${exit}`);
    }
    return times;
}

async function theirs() {
    const require = createRequire(import.meta.url);
    const path = require.resolve("v86");
    const { V86 } = await import(path);
    const tick = stopwatch();
    const { buffer, byteOffset, length } = kernel;
    return new Promise((resolve) => {
        const machine = new V86({
            wasm_path: join(dirname(path), "v86.wasm"),
            memory_size: 16 << 20,
            multiboot: { buffer: buffer.slice(byteOffset, byteOffset + length) },
            autostart: true,
            disable_jit: true,
            disable_speaker: true,
        });
        machine.add_listener("serial0-output-byte", (byte) => {
            const times = tick(byte);
            if (times) machine.destroy().then(() => resolve(times));
        });
    });
}

const best = {};
for (let round = 0; round < ROUNDS; round++) {
    const runs = [["nomad86", ours()]];
    if (!process.env.ALONE) runs.push(["v86", await theirs()]);
    for (const [who, times] of runs) {
        for (const [letter, ms] of Object.entries(times)) {
            ((best[letter] ??= {})[who] ??= []).push(ms);
        }
    }
}
for (const [letter, runs] of Object.entries(best)) {
    const [a, b] = [runs.nomad86, runs.v86].map((list) => (list ? Math.min(...list) : NaN));
    const ratio = Number.isNaN(b) ? "" : `   v86 ${b.toFixed(0)} ms   ${(b / a).toFixed(2)} times as fast`;
    console.log(`${NAMES[letter].padEnd(10)} ${a.toFixed(0)} ms${ratio}`);
}
