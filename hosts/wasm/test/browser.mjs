// Chromium, and the page served to it by `nomad86 serve`.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { program, root } from "./guest.mjs";

/** Starts a process and resolves with it when its output matches; what it wrote is in `.text`. */
export function start(args, pattern, options = {}) {
    const child = spawn(program, args, { cwd: root, stdio: ["pipe", "pipe", "pipe"], ...options });
    child.text = "";
    const { promise, resolve, reject } = Promise.withResolvers?.() ?? withResolvers();
    const timer = setTimeout(() => fail("timed out"), options.timeout ?? 240_000);
    const fail = (why) => {
        child.kill("SIGKILL");
        clearTimeout(timer);
        reject(new Error(`nomad86 ${args[0]}: ${why}; it wrote: ${child.text.slice(-2000)}`));
    };
    const hear = (data) => {
        child.text += data;
        const match = pattern.exec(child.text);
        if (!match) return;
        clearTimeout(timer);
        resolve({ child, match });
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.on("error", (error) => fail(error.message));
    child.on("exit", (code) => fail(`ended with ${code}`));
    return promise;
}

function withResolvers() {
    const all = {};
    all.promise = new Promise((resolve, reject) => Object.assign(all, { resolve, reject }));
    return all;
}

/** A server with the page and a relay without a way out, and a browser; `close` ends both. */
export async function open() {
    const relayPort = 20000 + Math.floor(Math.random() * 20000);
    const { child, match } = await start(
        ["serve", "--listen", "127.0.0.1:0", "--relay", `127.0.0.1:${relayPort}`, "--uplink", "none"],
        /nomad86: (http:\S+)[^]*relay: (ws:\S+)/,
    );
    const profile = mkdtempSync(join(tmpdir(), "nomad86-chromium-"));
    const context = await chromium.launchPersistentContext(profile, {
        executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
        headless: true,
        viewport: { width: 1100, height: 900 },
        args: [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    });
    return {
        url: match[1],
        relay: match[2],
        context,
        /** A page; `prepare` runs in it before its own scripts. */
        async page(prepare) {
            const page = await context.newPage();
            if (prepare) await page.addInitScript(prepare);
            page.setDefaultTimeout(180_000);
            page.on("pageerror", (error) => console.error(`page: ${error}`));
            page.on("console", (m) => m.type() === "error" && console.error(`page: ${m.text()}`));
            await page.goto(match[1]);
            return page;
        },
        async close() {
            await context.close();
            child.kill("SIGTERM");
            rmSync(profile, { recursive: true, force: true });
        },
    };
}
