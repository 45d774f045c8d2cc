// Chromium, and the page served to it by `nomad86 serve`.

import { execFileSync, spawn } from "node:child_process";
import { X509Certificate, createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { check, program, root, savedState, scratch } from "./guest.mjs";

/** Starts a process, tells it `input`, and resolves with it when its output matches; what it wrote is in `.text`. */
export function start(args, pattern, options = {}) {
    const child = spawn(program, args, { cwd: root, stdio: ["pipe", "pipe", "pipe"], ...options });
    child.text = "";
    if (options.input) child.stdin.write(options.input);
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

/** A relay's own certificate and key; `pin` names them to Chromium, as no authority vouches for them. */
export function papers() {
    const [cert, key] = ["cert.pem", "key.pem"].map((name) => join(scratch(), name));
    const names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
    const kind = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost";
    const more = ["-addext", names, "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", cert];
    execFileSync("openssl", [...kind.split(" "), ...more], { stdio: "ignore" });
    const spki = new X509Certificate(readFileSync(cert)).publicKey.export({ type: "spki", format: "der" });
    return { cert, key, pin: createHash("sha256").update(spki).digest("base64") };
}

/** Runs a command in a page's guest until it says ok. */
export function ok(page, command, timeout_msec = 240_000) {
    const name = `t${Math.random().toString(36).slice(2, 8)}`;
    return page.evaluate(
        async ([line, text, timeout_msec]) => {
            const seen = window.nomad86.wait_until_serial_contains(text, { timeout_msec });
            await window.nomad86.serial0_send(line);
            return seen;
        },
        [check(command.trim(), name), `${name}=ok`, timeout_msec],
    );
}

/** A server with the page and a relay without a way out, and a browser; `close` ends both. */
export async function open(papers) {
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
            "--autoplay-policy=user-gesture-required",
            ...(papers ? [`--ignore-certificate-errors-spki-list=${papers.pin}`] : []),
        ],
    });
    return {
        url: match[1],
        relay: match[2],
        context,
        /** A page; `prepare` runs in it before its own scripts. With `touch` it is on a screen for fingers. */
        async page(prepare, touch = false) {
            const page = await context.newPage();
            if (prepare) await page.addInitScript(prepare);
            if (touch) {
                page.fingers = await context.newCDPSession(page);
                await page.fingers.send("Emulation.setTouchEmulationEnabled", { enabled: true, maxTouchPoints: 2 });
                await page.fingers.send("Emulation.setEmitTouchEventsForMouse", { enabled: false });
            }
            page.setDefaultTimeout(180_000);
            page.on("pageerror", (error) => console.error(`page: ${error}`));
            page.on("console", (m) => m.type() === "error" && console.error(`page: ${m.text()}`));
            await page.goto(match[1]);
            return page;
        },
        /** A page with a machine of one's own: fields of the form by name, files as paths or contents. */
        async machine(form, touch) {
            const page = await this.page(null, touch);
            await page.waitForSelector("#demo-card:not([hidden])");
            for (const [name, value] of Object.entries(form)) {
                const field = page.locator(`[name=${name}]`);
                if (await field.evaluate((element) => element.type === "file")) {
                    // Behind a summary that may be closed.
                    const buffer = { name, mimeType: "application/octet-stream", buffer: Buffer.from(value) };
                    await field.setInputFiles(typeof value === "string" ? value : buffer);
                } else {
                    await field[name === "network_relay_url" ? "fill" : "selectOption"](value);
                }
            }
            await page.click("button[value=own]");
            await page.waitForFunction(() => window.nomad86?.is_running());
            return page;
        },
        /** A page with the saved guest. */
        restored(form = {}, touch = false) {
            return this.machine({ ...form, initial_state: savedState() }, touch);
        },
        async close() {
            await context.close();
            child.kill("SIGTERM");
            rmSync(profile, { recursive: true, force: true });
        },
    };
}
