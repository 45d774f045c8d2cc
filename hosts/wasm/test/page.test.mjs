// The page in Chromium: what a visitor does, and networks between tabs and with the native program.

import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ok, open, start } from "./browser.mjs";
import { address, savedState, scratch } from "./guest.mjs";

// Whole boots take under a minute on an idle machine.
const TIMEOUT = 900_000;
let browser;
let state;

before(async () => {
    state = savedState();
    browser = await open();
});
after(() => browser?.close());

const restored = (form) => browser.restored(form);

test("a visitor boots Debian, types, looks and takes a screenshot", { timeout: TIMEOUT }, async () => {
    const page = await browser.page();
    await page.waitForSelector("#demo-card:not([hidden])");
    await page.selectOption("[name=network]", "unplugged");
    await page.click("button[value=demo]");
    await page.waitForFunction(() => window.nomad86?.is_running());
    const screen = (text) =>
        page.evaluate(
            ([text, timeout_msec]) => window.nomad86.wait_until_vga_screen_contains(text, { timeout_msec }),
            [text, TIMEOUT - 60_000],
        );
    assert.ok(await screen("nomad86: ready"));
    // The ends of rows are blank.
    assert.ok(await screen("/root #"));
    // The canvas has the focus: keys go to the guest as they are.
    // Nothing with Shift, which Playwright does not press for characters.
    await page.keyboard.type("uname -sm; expr 1000 - 7\n");
    assert.ok(await screen("993"));
    assert.match(await page.evaluate(() => window.nomad86.screen_text()), /^Linux i[56]86$/m);
    // What is on the canvas is what the machine shows.
    const lit = await page.evaluate(() => {
        const canvas = document.querySelector("#screen canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.reduce((sum, value, n) => sum + (n % 4 === 1 && value > 100 ? 1 : 0), 0);
    });
    assert.ok(lit > 2000, `${lit} bright pixels`);
    await page.waitForFunction(() => /M instr/.test(document.getElementById("s-speed").textContent));
    await page.screenshot({ path: join(scratch(), "page.png") });
    if (process.env.UPDATE_SCREENSHOT) {
        copyFileSync(join(scratch(), "page.png"), join(dirname(fileURLToPath(import.meta.url)), "../screenshot.png"));
    }
    const download = page.waitForEvent("download");
    await page.click("[data-do=screenshot]");
    assert.match((await download).suggestedFilename(), /^nomad86-.*\.png$/);
    // Pausing stops time, resuming goes on.
    await page.click("[data-do=pause]");
    await page.waitForFunction(() => !window.nomad86.is_running());
    const count = () => page.evaluate(() => window.nomad86.get_instruction_counter());
    assert.equal(await count(), await count());
    await page.click("[data-do=pause]");
    await page.waitForFunction(() => window.nomad86.is_running());
    await page.focus("#screen canvas");
    await page.keyboard.type("expr 2000 - 9\n");
    assert.ok(await screen("1991"));
    await page.close();
});

test("case_86_storage: a page that may keep nothing works all the same", { timeout: TIMEOUT }, async () => {
    const page = await browser.page(() => {
        const refuse = () => {
            throw new DOMException("the quota has been exceeded", "QuotaExceededError");
        };
        Storage.prototype.getItem = Storage.prototype.setItem = refuse;
        // Engines that forbid storage have no such object to hand out at all.
        const forbid = () => {
            throw new DOMException("access is denied", "SecurityError");
        };
        Object.defineProperty(window, "sessionStorage", { get: forbid });
    });
    const errors = [];
    page.on("pageerror", (error) => errors.push(error));
    await page.waitForSelector("#demo-card:not([hidden])");
    const shown = () => page.evaluate(() => document.documentElement.dataset.theme);
    const before = await shown();
    await page.click("#theme");
    assert.notEqual(await shown(), before, "the page can be switched");
    await page.setInputFiles("[name=initial_state]", state);
    await page.click("button[value=own]");
    await page.waitForFunction(() => window.nomad86?.is_running());
    assert.deepEqual(errors, []);
    await page.close();
});

test("a native image goes on in the page, and the page's natively", { timeout: TIMEOUT }, async () => {
    const page = await restored({ mac: "preserve" });
    assert.ok(await ok(page, "echo from-the-page > /tmp/note"));
    const download = page.waitForEvent("download");
    await page.click("[data-do=save]");
    const file = join(scratch(), "page.state");
    await (await download).saveAs(file);
    await page.close();
    const { child } = await start(
        [
            ..."run --display none --nic user --mac preserve --restore".split(" "),
            ...[file, "--send", "cat /tmp/note | tr a-z A-Z\\n", "--expect", "FROM-THE-PAGE"],
        ],
        /FROM-THE-PAGE/,
    );
    child.kill();
});

test("a state is restored into a running machine with an address of its own", { timeout: TIMEOUT }, async () => {
    const page = await restored();
    assert.ok(await ok(page, "touch /tmp/later"));
    await page.setInputFiles("#restore", state);
    await page.waitForFunction(() => document.getElementById("message").hidden);
    assert.ok(await ok(page, "[ ! -e /tmp/later ]"));
    // A damaged one is refused, and the machine goes on.
    await page.setInputFiles("#restore", { name: "x.state", mimeType: "application/x", buffer: Buffer.from("NOMAD") });
    await page.waitForSelector("#message.error");
    assert.ok(await ok(page, "true"));
    await page.close();
});

test("guests of two tabs reach each other", { timeout: TIMEOUT }, async () => {
    const pages = [];
    for (const number of [1, 2]) {
        const page = await restored({ network: "inbrowser", mac: "translate" });
        assert.ok(await ok(page, address(number)));
        pages.push(page);
    }
    assert.ok(await ok(pages[0], "ping -c 3 -w 120 10.9.0.2"));
    await Promise.all(pages.map((page) => page.close()));
});

test("a page's guest and a native one reach each other through the relay", { timeout: TIMEOUT }, async () => {
    const page = await restored({ network: "relay", network_relay_url: browser.relay, mac: "translate" });
    assert.ok(await ok(page, address(1)));
    const { child } = await start(
        [
            ..."run --engine jit --display none --mac translate --nic".split(" "),
            ...[`ws,url=${browser.relay}`, "--restore", state],
            ...["--send", address(2).replace("\n", "\\n"), "--send", "ping -c 3 -w 120 10.9.0.1 && echo native=o''k\\n"],
            ...["--expect", "native=ok", "--send", "true\\n"],
        ],
        /native=ok/,
    );
    assert.ok(await ok(page, "ping -c 3 -w 120 10.9.0.2"));
    child.kill();
    await page.close();
});
