// This machine and v86 without its recompiler, in the same Chromium, turn by turn: the loops of loops.asm, and
// Debian's boot to a shell. Fails when the boot, or the mean of all, is slower than half of v86's speed:
// node bench/chromium.mjs
//
// Needs nasm, Chromium, the native program (which fetches the guest) and npm ci. Both run in the thread of one page,
// whose engine keeps what it has compiled of either; of all rounds the shortest time counts, as hosts are busy.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { homedir, tmpdir } from "node:os";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..");
const ROUNDS = Number(process.env.ROUNDS ?? 6);
const NAMES = { a: "registers", b: "memory", c: "calls", d: "bits", e: "strings", boot: "Debian's boot" };
/** The part of v86's speed that is the least. */
const GOAL = 0.5;

const folder = mkdtempSync(join(tmpdir(), "nomad86-bench-"));
execFileSync("nasm", ["-f", "bin", join(here, "loops.asm"), "-o", join(folder, "loops")]);
const files = { "/loops": join(folder, "loops") };
if (process.env.BOOT !== "0") {
    const [kernel, initrd] = guest();
    Object.assign(files, { "/kernel": kernel, "/initrd": initrd });
}

/** The demo's kernel and initial RAM disk: `nomad86 serve` says where they are. */
function guest() {
    const program = process.env.NOMAD86 ?? join(root, "../../target/release/nomad86");
    // It fetches what is not there yet.
    spawnSync(program, ["demo", "--display", "none", "--timeout", "1", "--serial", "none"], { stdio: "ignore" });
    const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "nomad86");
    const found = execFileSync("find", [cache, "-name", "vmlinuz*", "-o", "-name", "initrd*"], { encoding: "utf8" });
    const name = (part) => found.split("\n").filter((path) => path.includes(part)).sort().at(-1);
    return [name("vmlinuz"), name("initrd")];
}

const TYPES = { ".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };

const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://x").pathname);
    try {
        const body = path === "/" ? "<!doctype html><title>bench</title>" : readFileSync(files[path] ?? join(root, path));
        response.setHeader("Content-Type", path === "/" ? "text/html" : (TYPES[extname(path)] ?? "application/octet-stream"));
        response.end(body);
    } catch {
        response.writeHead(404).end();
    }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

/** Runs in the page: one machine through one load; milliseconds by name. */
async function measure({ who, load, cmdline }) {
    const bytes = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());
    let last = null;
    let text = "";
    const times = {};
    const begun = performance.now();
    /** A byte of the serial line; true at the end. */
    const tick = (byte) => {
        const now = performance.now();
        const letter = String.fromCharCode(byte);
        if (load === "boot") {
            text = (text + letter).slice(-40);
            if (!text.includes("nomad86: ready")) return false;
            times.boot = now - begun;
            return true;
        }
        if (last) times[last.letter] = now - last.at;
        last = { letter, at: performance.now() };
        return letter === ".";
    };
    if (who === "v86") {
        const { V86 } = await import("/node_modules/v86/build/libv86.mjs");
        const image = async (path) => ({ buffer: (await bytes(path)).buffer });
        const boot = async () => ({ bzimage: await image("/kernel"), initrd: await image("/initrd"), cmdline });
        const pc = new V86({
            wasm_path: "/node_modules/v86/build/v86.wasm",
            memory_size: 128 << 20,
            autostart: true,
            disable_jit: true,
            disable_speaker: true,
            disable_keyboard: true,
            disable_mouse: true,
            net_device: { type: "none" },
            ...(load === "boot"
                ? { ...(await boot()), bios: await image("/bios"), vga_bios: await image("/vgabios") }
                : { multiboot: await image("/loops") }),
        });
        await new Promise((resolve) => pc.add_listener("serial0-output-byte", (byte) => tick(byte) && resolve()));
        await pc.destroy();
        return times;
    }
    const { Core } = await import("/js/core.js");
    const { Runner } = await import("/js/runner.js");
    const module = (window.module ??= await WebAssembly.compile(await bytes("/nomad86.wasm")));
    const options = [["memory_size", 128 << 20]];
    if (load === "boot") {
        options.push(["bzimage", await bytes("/kernel")], ["initrd", await bytes("/initrd")], ["cmdline", cmdline]);
    } else {
        options.push(["bzimage", await bytes("/loops")]);
    }
    await new Promise((resolve, reject) => {
        let done = false;
        const core = new Core(module, { line: (number, byte) => number === 0 && !done && (done = tick(byte)) });
        core.build(options);
        const after = (exit) => {
            if (done) resolve();
            else if (exit > 1 && exit !== 5) reject(new Error(`the machine ended with ${exit}`));
            return !done;
        };
        new Runner(core, after).start();
    });
    return times;
}

const firmware = ["bios.bin", "vgabios-stdvga.bin"].map((name) => join("/usr/share/seabios", name));
[files["/bios"], files["/vgabios"]] = firmware;
const profile = mkdtempSync(join(tmpdir(), "nomad86-chromium-"));
const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"],
});
const best = {};
try {
    const page = await context.newPage();
    page.on("pageerror", (error) => console.error(error.message));
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    for (const load of files["/kernel"] ? ["loops", "boot"] : ["loops"]) {
        for (let round = 0; round < (load === "boot" ? 1 : ROUNDS); round++) {
            for (const who of ["nomad86", "v86"]) {
                const cmdline = "console=ttyS0 quiet cryptomgr.notests tsc=reliable";
                const times = await page.evaluate(measure, { who, load, cmdline });
                for (const [name, ms] of Object.entries(times)) {
                    best[name] ??= {};
                    best[name][who] = Math.min(best[name][who] ?? Infinity, ms);
                }
            }
        }
    }
} finally {
    await context.close();
    server.close();
    for (const path of [folder, profile]) rmSync(path, { recursive: true, force: true });
}

console.log("| load | nomad86 ms | v86 ms, disable_jit | times v86's speed |\n|---|---:|---:|---:|");
const ratios = Object.entries(best).map(([name, { nomad86, v86 }]) => {
    console.log(`| ${NAMES[name]} | ${nomad86.toFixed(0)} | ${v86.toFixed(0)} | ${(v86 / nomad86).toFixed(2)} |`);
    return v86 / nomad86;
});
const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
const boot = best.boot ? best.boot.v86 / best.boot.nomad86 : mean;
console.log(`geometric mean ${mean.toFixed(2)}, least ${Math.min(...ratios).toFixed(2)}; goal ${GOAL}`);
if (!(mean >= GOAL && boot >= GOAL)) process.exitCode = 1;
