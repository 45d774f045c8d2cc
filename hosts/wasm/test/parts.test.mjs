// The parts: clock, disks, cables, PNG.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { inflateSync } from "node:zlib";
import { Core, DISK } from "../js/core.js";
import { MemoryDisk, RangeDisk, openDisk } from "../js/disk.js";
import { BroadcastCable, Hub, PortCable } from "../js/net/local.js";
import { RelayCable } from "../js/net/relay.js";
import { encode } from "../js/png.js";
import { bios } from "./flat.mjs";

const module = new WebAssembly.Module(readFileSync(new URL("../nomad86.wasm", import.meta.url)));

test("case_86_throttled: a throttled tab makes up for little, and the clock of the day stays right", () => {
    let now = 0;
    let minute = -1;
    // 2024-01-01 10:00 and so many milliseconds.
    const wall = () => 1704103200000 + now;
    const core = new Core(module, { now: () => (now += 0.002), wall, line: (number, byte) => (minute = byte) });
    core.build([["memory_size", 2 << 20], ["bios", bios()]]);
    const step = (ms) => {
        now += ms;
        const before = core.stats().milliseconds;
        core.run(0.5);
        return core.stats().milliseconds - before;
    };
    // The guest catches up with its host in small steps: how far it is behind once it has had time for that.
    const behind = () => {
        for (let n = 0; n < 1000; n++) step(0);
        return now - core.stats().milliseconds;
    };
    const first = behind();
    step(20);
    assert.ok(behind() - first <= 1, "time passes");
    // The machine spins, so that all of a long pause was unplanned.
    for (let n = 0; n < 20; n++) assert.ok(step(1000) <= 52, "at most 50 ms are made up for, beside the slice");
    for (let n = 0; n < 20; n++) behind();
    const later = behind();
    assert.ok(later - first >= 20 * 940, "what is not made up for is lost");
    step(40);
    assert.ok(behind() - later <= 1, "time passes as before");
    assert.equal(minute, 0x00);
    step(600_000);
    step(10);
    assert.equal(minute, 0x10, "ten minutes later the RTC says so, in BCD");
});

test("a stopped machine's time stands still", () => {
    let now = 5;
    const core = new Core(module, { now: () => (now += 0.002) });
    core.build([["memory_size", 2 << 20], ["bios", bios()]]);
    core.run(0.01);
    const before = core.stats().milliseconds;
    core.pause();
    now += 900;
    core.run(0.01);
    assert.ok(core.stats().milliseconds - before <= 1);
});

test("case_86_memory: memory that cannot be had is told", () => {
    const wanted = [["memory_size", 3072 * 2 ** 20], ["vga_memory_size", 2 ** 28], ["bios", bios()]];
    const core = new Core(module);
    core.build(wanted);
    assert.throws(() => core.build(wanted), /no 3328 MiB .* smaller memory_size/);
    assert.throws(() => core.build([["memory_size", 2 ** 33]]), /memory_size/);
});

const CHUNK = 256 * 1024;
const original = Uint8Array.from({ length: CHUNK * 2 + 1000 }, (_, n) => (n * 7 + (n >> 8)) & 0xff);

/** Asks until the medium is ready. */
async function settled(request) {
    for (let n = 0; n < 100; n++) {
        const answer = request();
        if (answer !== DISK.PENDING) return answer;
        await new Promise((resolve) => setTimeout(resolve, 2));
    }
    throw new Error("it never became ready");
}

test("a medium in pieces reads what is there, across pieces and written parts", async () => {
    let loads = 0;
    const range = async (from, to) => (loads++, original.slice(from, to));
    const disk = new RangeDisk(original.length, range);
    assert.equal(disk.sectors, Math.ceil(original.length / 512));
    const buffer = new Uint8Array(4096);
    const at = CHUNK - 1024;
    assert.equal(disk.read(at / 512, buffer), DISK.PENDING);
    assert.equal(await settled(() => disk.read(at / 512, buffer)), DISK.READY);
    assert.deepEqual(buffer, original.slice(at, at + 4096));
    assert.equal(loads, 2);
    const mine = new Uint8Array(1024).fill(0xee);
    assert.equal(await settled(() => disk.write((at + 512) / 512, mine)), DISK.READY);
    assert.equal(disk.read(at / 512, buffer), DISK.READY);
    const expected = original.slice(at, at + 4096);
    expected.set(mine, 512);
    assert.deepEqual(buffer, expected);
    // The tail of the last sector is not there.
    const last = new Uint8Array(512);
    assert.equal(await settled(() => disk.read(disk.sectors - 1, last)), DISK.READY);
    const tail = original.slice((disk.sectors - 1) * 512);
    assert.deepEqual([...last], [...tail, ...new Array(512 - tail.length).fill(0)]);
    // Whole pages are written without a look at the original.
    const blank = new RangeDisk(original.length, () => Promise.reject(new Error("not needed")));
    assert.equal(blank.write(8, new Uint8Array(4096)), DISK.READY);
    assert.equal(blank.read(8, buffer), DISK.READY);
});

test("a medium that cannot be fetched is an error after some attempts, and may recover", async () => {
    let down = true;
    const range = async (from, to) => {
        if (down) throw new Error("down");
        return original.slice(from, to);
    };
    const disk = new RangeDisk(original.length, range);
    const buffer = new Uint8Array(512);
    assert.equal(await settled(() => disk.read(0, buffer)), DISK.IO);
    down = false;
    assert.equal(await settled(() => disk.read(0, buffer)), DISK.READY);
    assert.equal(new MemoryDisk(original.slice(), true).write(0, buffer), DISK.READ_ONLY);
});

test("files and addresses are read in parts", async () => {
    const server = createServer((request, response) => {
        const match = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "");
        if (!match || request.url === "/whole") return response.end(original);
        const [from, to] = [Number(match[1]), Math.min(Number(match[2]), original.length - 1)];
        response.writeHead(206, { "Content-Range": `bytes ${from}-${to}/${original.length}` });
        response.end(original.slice(from, to + 1));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    after(() => server.close());
    const address = `http://127.0.0.1:${server.address().port}`;
    for (const image of [{ file: new Blob([original]) }, { url: `${address}/disk` }]) {
        const disk = await openDisk(image, {});
        const buffer = new Uint8Array(1024);
        assert.equal(await settled(() => disk.read(CHUNK / 512 - 1, buffer)), DISK.READY);
        assert.deepEqual(buffer, original.slice(CHUNK - 512, CHUNK + 512));
    }
    await assert.rejects(openDisk({ url: `${address}/whole` }, {}), /does not send parts/);
});

const frame = (to, from, length = 60) => {
    const bytes = new Uint8Array(length);
    bytes.set([2, 0, 0, 0, 0, to], 0);
    bytes.set([2, 0, 0, 0, 0, from], 6);
    if (to === 255) bytes.fill(255, 0, 6);
    return bytes;
};
const soon = (ms = 30) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until so many frames are in these cables' queues. */
async function arrived(count, ...cables) {
    for (let n = 0; n < 500 && cables.reduce((sum, cable) => sum + cable.inbox.length, 0) < count; n++) await soon(10);
}

test("a hub learns, floods and never reflects", async () => {
    const hub = new Hub();
    const cables = [1, 2, 3].map(() => new PortCable(hub.port(), () => {}));
    const inboxes = () => cables.map((cable) => cable.inbox.splice(0).map((f) => f[11]));
    cables[0].transmit(frame(255, 1));
    await arrived(2, ...cables);
    assert.deepEqual(inboxes(), [[], [1], [1]]);
    cables[1].transmit(frame(1, 2));
    await arrived(1, ...cables);
    assert.deepEqual(inboxes(), [[2], [], []]);
    cables[0].transmit(frame(255, 1, 13));
    cables[0].transmit(frame(9, 1));
    await arrived(2, ...cables);
    assert.deepEqual(inboxes(), [[], [1], [1]], "nobody knows 9, so that all get it");
    assert.equal(cables[0].stats.dropped_size, 1);
    hub.close();
});

test("tabs hear each other, and short frames are padded", async () => {
    const [one, two] = ["x", "x"].map((name) => new BroadcastCable(name, () => {}));
    one.transmit(frame(255, 1, 20));
    await arrived(1, two);
    assert.equal(one.inbox.length, 0);
    assert.equal(two.inbox[0].length, 60);
    for (let n = 0; n < 600; n++) two.deliver(frame(1, 2));
    assert.equal(two.inbox.length, 512);
    assert.equal(two.stats.dropped_inbox, 600 + 1 - 512);
    assert.equal(two.receive(new Uint8Array(30)), -1, "a buffer too small drops frames");
    one.close();
    two.close();
});

/** A WebSocket under the test's thumb. */
class FakeSocket {
    static all = [];
    constructor(url) {
        this.url = url;
        this.sent = [];
        this.bufferedAmount = 0;
        FakeSocket.all.push(this);
    }
    send(data) {
        this.sent.push(data);
    }
    close() {
        this.closed = true;
    }
}

test("the relay client keeps to the native client's rules", async () => {
    const states = [];
    const cable = new RelayCable("ws://x/", () => {}, { WebSocket: FakeSocket, report: (state) => states.push(state) });
    let socket = FakeSocket.all.at(-1);
    for (let n = 0; n < 70; n++) cable.transmit(frame(255, n));
    assert.equal(cable.stats.dropped_full, 6, "64 frames are kept, the newest");
    socket.onopen();
    assert.deepEqual([socket.sent.length, socket.sent[0][11], socket.sent.at(-1)[11]], [64, 6, 69]);
    const message = (data) => socket.onmessage({ data });
    message("hello");
    message(new ArrayBuffer(0));
    message(new ArrayBuffer(13));
    message(new ArrayBuffer(1600));
    message(frame(255, 69).buffer);
    message(frame(69, 200, 42).buffer);
    const { text, empty, short, oversize, reflected } = cable.stats;
    assert.deepEqual([text, empty, short, oversize, reflected], [1, 1, 1, 1, 1]);
    assert.equal(cable.inbox.length, 1);
    assert.equal(cable.inbox[0].length, 60);
    // The connection ends: a new one comes by itself, and says where the machine is.
    socket.onclose();
    assert.equal(cable.stats.lost, 1);
    for (let n = 0; n < 500 && FakeSocket.all.at(-1) === socket; n++) await soon(10);
    socket = FakeSocket.all.at(-1);
    socket.onopen();
    assert.equal(socket.sent.at(-1)[11], 69);
    assert.deepEqual(states, ["open", "closed", "open"]);
    cable.close();
    assert.ok(socket.closed);
});

test("pictures are PNG files", async () => {
    const rgba = Uint8ClampedArray.from([1, 2, 3, 255, 4, 5, 6, 255, 7, 8, 9, 255, 10, 11, 12, 255]);
    const png = Buffer.from(await encode(2, 2, rgba));
    const data = png.subarray(8 + 25 + 8, png.length - 12 - 4);
    assert.deepEqual([...inflateSync(data)], [0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12]);
});
