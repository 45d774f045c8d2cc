// The page's sound, mouse and fingers in Chromium, with firmware that needs no system.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ok, open } from "./browser.mjs";
import { mouse, speaker } from "./flat.mjs";

const TIMEOUT = 300_000;
let browser;

before(async () => {
    browser = await open();
});
after(() => browser?.close());

/** The middle of an element. */
async function middle(page, selector) {
    const { x, y, width, height } = await page.locator(selector).boundingBox();
    return { x: Math.round(x + width / 2), y: Math.round(y + height / 2) };
}

/** Puts fingers down, moves them along and lifts them. */
async function touch(page, ...places) {
    const send = (type, touchPoints) => page.fingers.send("Input.dispatchTouchEvent", { type, touchPoints });
    await send("touchStart", [places[0]]);
    for (const place of places.slice(1)) await send("touchMove", [place]);
    await send("touchEnd", []);
}

/** What comes out of COM1 of a page's machine from when its firmware has switched the mouse on. */
function listen(page) {
    return page.evaluate(async () => {
        window.heard = [];
        window.nomad86.add_listener("serial0-output", (data) => window.heard.push(...data));
        // That takes a tenth of so many instructions.
        while ((await window.nomad86.get_instruction_counter()) < 1_000_000) {
            await new Promise((done) => setTimeout(done, 10));
        }
    });
}

/** Waits until the mouse's packets add up to this, and returns all their first bytes. */
async function moved(page, dx, dy) {
    const handle = await page.waitForFunction(
        ([dx, dy]) => {
            const bytes = window.heard.slice(window.heard[0] === 0xfa ? 1 : 0);
            const sum = [0, 0];
            const heads = [];
            for (let n = 0; n + 2 < bytes.length; n += 3) {
                const [head, x, y] = bytes.slice(n, n + 3);
                sum[0] += x - (head & 0x10 ? 256 : 0);
                sum[1] += y - (head & 0x20 ? 256 : 0);
                heads.push(head);
            }
            return sum[0] === dx && sum[1] === dy && heads;
        },
        [dx, dy],
        { timeout: 30_000 },
    );
    return handle.jsonValue();
}

for (const hertz of [440, 1000]) {
    test(`the loudspeaker's ${hertz} Hz come out of Web Audio`, { timeout: TIMEOUT }, async () => {
        const page = await browser.machine({ bios: speaker(hertz) });
        assert.equal(await page.evaluate(() => window.nomad86.speaker.context), undefined, "silent until it is touched");
        await page.click("#screen canvas");
        await page.waitForFunction(() => window.nomad86.speaker.context?.state === "running");
        const found = await page.evaluate(async () => {
            const { context, volume } = window.nomad86.speaker;
            const analyser = new AnalyserNode(context, { fftSize: 32768 });
            volume.connect(analyser);
            const wave = new Float32Array(analyser.fftSize);
            let best = null;
            for (let n = 0; n < 100; n++) {
                await new Promise((resolve) => setTimeout(resolve, 100));
                analyser.getFloatTimeDomainData(wave);
                const [low, high] = [Math.min(...wave), Math.max(...wave)];
                if (high - low < 0.02) continue;
                const center = (low + high) / 2;
                const rises = [];
                for (let at = 1; at < wave.length; at++) {
                    const [a, b] = [wave[at - 1] - center, wave[at] - center];
                    if (a < 0 && b >= 0) rises.push(at - 1 + a / (a - b));
                }
                const periods = rises.slice(1).map((at, index) => at - rises[index]).sort((a, b) => a - b);
                // The mean of the middle half. At first there is silence in the window, on busy hosts in between.
                if (periods.length < 100) continue;
                const half = periods.slice(periods.length >> 2, (periods.length * 3) >> 2);
                const rate = (context.sampleRate * half.length) / half.reduce((sum, period) => sum + period, 0);
                const seconds = rises.length / rate;
                const share = (seconds * context.sampleRate) / wave.length;
                if (share > (best?.share ?? 0)) best = { rate, share };
                if (share > 0.95) break;
            }
            return best;
        });
        assert.ok(found, "there is sound");
        console.log(`${hertz} Hz: ${found.rate.toFixed(2)} Hz for ${(found.share * 100).toFixed(0)} % of the time`);
        assert.ok(Math.abs(found.rate - hertz) < hertz * 0.005, `${found.rate} Hz`);
        assert.ok(found.share > 0.9, `sound for ${found.share} of the time`);
        await page.close();
    });
}

test("a click gives the machine the mouse, and Escape takes it back", { timeout: TIMEOUT }, async () => {
    const page = await browser.machine({ bios: mouse() });
    await listen(page);
    const { x, y } = await middle(page, "#screen canvas");
    await page.mouse.move(x, y);
    await page.mouse.move(x + 5, y + 5);
    await page.mouse.click(x, y);
    await page.waitForFunction(() => document.pointerLockElement?.matches("#screen canvas"));
    // What happened before is not the machine's.
    await page.evaluate(() => (window.heard = []));
    await page.mouse.move(x + 40, y + 10);
    await page.mouse.move(x + 30, y + 30);
    await moved(page, 30, -30);
    await page.mouse.down({ button: "right" });
    await page.waitForFunction(() => window.heard.at(-3) === 0x0a);
    await page.evaluate(() => document.exitPointerLock());
    await page.waitForFunction(() => !document.pointerLockElement && window.heard.at(-3) === 0x08, null);
    await page.mouse.up({ button: "right" });
    const before = await page.evaluate(() => window.heard.length);
    await page.mouse.move(x, y);
    await page.waitForTimeout(300);
    assert.equal(await page.evaluate(() => window.heard.length), before, "the mouse is the page's again");
    await page.close();
});

test("fingers move the mouse and tap", { timeout: TIMEOUT }, async () => {
    const page = await browser.machine({ bios: mouse() }, true);
    await listen(page);
    const { x, y } = await middle(page, "#screen canvas");
    await touch(page, { x, y }, { x: x + 20, y: y - 10 }, { x: x + 25, y: y - 40 });
    await moved(page, 25, 40);
    await page.evaluate(() => (window.heard = []));
    await touch(page, { x, y });
    await page.waitForFunction(() => window.heard[0] === 0x09 && window.heard.at(-3) === 0x08);
    await page.close();
});

test("a touch screen has keys, of which some stay down", { timeout: TIMEOUT }, async () => {
    const page = await browser.restored({}, true);
    assert.ok(await ok(page, "{ setsid sh -c 'exec sh <>/dev/tty1 >&0 2>&1' & }"));
    if (await page.locator("#keys").isHidden()) await page.click("[data-do=keys]");
    const tap = async (selector) => touch(page, await middle(page, selector));
    const shows = (text) =>
        page.evaluate((text) => window.nomad86.wait_until_vga_screen_contains(text, { timeout_msec: 60_000 }), text);
    await page.locator("#keys").scrollIntoViewIfNeeded();
    await tap("#keys input");
    await page.keyboard.insertText("expr 4000 + 242");
    await tap("#keys [title=Enter]");
    assert.ok(await shows("4242"));
    // Control stays down for one key: Ctrl-D ends what is read.
    await page.keyboard.insertText("cat");
    await tap("#keys [title=Enter]");
    await tap("#keys [title=ControlLeft]");
    assert.equal(await page.getAttribute("#keys [title=ControlLeft]", "aria-pressed"), "true");
    await page.keyboard.insertText("d");
    assert.equal(await page.getAttribute("#keys [title=ControlLeft]", "aria-pressed"), "false");
    await page.keyboard.insertText("expr 5000 + 353");
    await tap("#keys [title=Enter]");
    assert.ok(await shows("5353"));
    await page.close();
});
