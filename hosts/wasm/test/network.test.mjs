// Networks and addresses of pages in Chromium: a relay with TLS, and what becomes of addresses in state images.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { ok, open, papers, start } from "./browser.mjs";
import { address, savedState, scratch } from "./guest.mjs";

const TIMEOUT = 600_000;
const secret = papers();
let browser;

before(async () => {
    savedState();
    browser = await open(secret);
});
after(() => browser?.close());

test("a page's guest and a native one reach each other through a relay with TLS", { timeout: TIMEOUT }, async () => {
    const { child: relay, match } = await start(
        ["relay", "--listen", "127.0.0.1:0", "--uplink", "none", "--tls-cert", secret.cert, "--tls-key", secret.key],
        /(wss:\/\/127\.0\.0\.1:\d+)/,
    );
    const page = await browser.restored({ network: "relay", network_relay_url: `${match[1]}/`, mac: "translate" });
    assert.ok(await ok(page, address(1)));
    const { child } = await start(
        [
            ..."run --engine jit --display none --mac translate --nic".split(" "),
            ...[`ws,url=${match[1]}/,ca=${secret.cert}`, "--restore", savedState()],
            ...["--send", address(2).replace("\n", "\\n"), "--send", "ping -c 3 -w 120 10.9.0.1 && echo native=o''k\\n"],
            ...["--expect", "native=ok", "--send", "true\\n"],
        ],
        /native=ok/,
    );
    assert.ok(await ok(page, "ping -c 3 -w 120 10.9.0.2"));
    child.kill();
    await page.close();
    relay.kill();
});

/** The address that a page's guest sends from, as other tabs see it. */
function wire(page) {
    return page.evaluate(
        () =>
            new Promise((resolve) => {
                const channel = new BroadcastChannel("v86-inbrowser-0");
                channel.onmessage = ({ data }) => {
                    const frame = new Uint8Array(data);
                    // An ARP request; its header and its body name the sender.
                    if (frame[12] !== 8 || frame[13] !== 6) return;
                    const text = (at) => [...frame.subarray(at, at + 6)].map((b) => b.toString(16).padStart(2, "0")).join(":");
                    channel.close();
                    resolve(text(6) === text(22) ? text(6) : `${text(6)} in the header, ${text(22)} in the body`);
                };
            }),
    );
}

/** Has the guest ask for somebody; who asks on the wire, and whether the guest has the address `own`. */
async function asks(page, own) {
    const sent = wire(page);
    assert.ok(await ok(page, `{ ${address(1).trim()}; ping -c 1 -w 2 10.9.0.77; true; }`));
    const seen = await sent;
    return { seen, same: await ok(page, `[ $(cat /sys/class/net/eth0/address) = ${own ?? seen} ]`, 60_000) };
}

/** Saves the page's machine to a file. */
async function save(page, name) {
    const download = page.waitForEvent("download");
    await page.click("[data-do=save]");
    const file = join(scratch(), name);
    await (await download).saveAs(file);
    return file;
}

test("a restored machine's address is kept, translated or new, as one chooses", { timeout: TIMEOUT }, async () => {
    const form = (mac) => ({ network: "inbrowser", mac });
    let page = await browser.restored(form("preserve"));
    const kept = await asks(page);
    assert.ok(kept.same, "the guest's own address is on the wire");
    await page.close();
    const old = kept.seen;

    page = await browser.restored(form("translate"));
    const translated = await asks(page, old);
    assert.ok(translated.same, "the guest keeps its address");
    assert.match(translated.seen, /^[0-9a-f:]{17}$/);
    assert.notEqual(translated.seen, old);
    // A clone of the clone: another address once more, and the guest still does not know.
    const file = await save(page, "clone.state");
    await page.close();
    page = await browser.machine({ ...form("translate"), initial_state: file });
    const again = await asks(page, old);
    assert.ok(again.same);
    assert.ok(![old, translated.seen].includes(again.seen), again.seen);
    await page.close();
    // What the page has saved goes on natively; kept is the address that the guest knows.
    const { child, match } = await start(
        [..."run --display none --serial none --nic user --mac preserve --monitor stdio --restore".split(" "), file],
        /card 0: (\S+) in the guest, (\S+) on the wire/,
        { input: "info network\n", timeout: 60_000 },
    );
    assert.deepEqual(match.slice(1), [old, old]);
    child.kill();

    page = await browser.restored(form("randomise"));
    assert.ok(await ok(page, "rmmod ne2k-pci && modprobe ne2k-pci"));
    const fresh = await asks(page);
    assert.ok(fresh.same, "the guest has learnt its new address");
    assert.notEqual(fresh.seen, old);
    await page.close();
});
