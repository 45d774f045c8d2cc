// Whole machines in Node: state images of the native program, networks, both ways to run.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { after, test } from "node:test";
import { Hub, Nomad86 } from "../js/nomad86.js";
import { bootDisk } from "./flat.mjs";
import { address, check, savedState } from "./guest.mjs";

const TIMEOUT = { timeout_msec: 120_000 };
const state = readFileSync(savedState());
const machines = [];

after(() => Promise.all(machines.map((machine) => machine.destroy())));

/** Debian at its prompt. */
async function debian(options = {}) {
    const machine = new Nomad86({ initial_state: { buffer: state }, mac_address_translation: true, ...options });
    machines.push(machine);
    await machine.ready;
    await machine.run();
    return machine;
}

/** Whether a command says ok. */
async function ok(machine, command) {
    const name = `t${Math.random().toString(36).slice(2, 8)}`;
    const seen = machine.wait_until_serial_contains(`${name}=ok`, TIMEOUT);
    await machine.serial0_send(check(command, name));
    return seen;
}

for (const worker of [false, true]) {
    test(`a native state goes on, is saved and goes on again ${worker ? "in a worker" : "in this thread"}`, async () => {
        const machine = await debian({ worker });
        assert.ok(await ok(machine, "echo 5 > /tmp/note"));
        const image = await machine.save_state();
        assert.ok(await ok(machine, "echo 6 > /tmp/note"));
        const notes = await machine.restore_state(image, { mac: "preserve" });
        assert.deepEqual([notes.unknown, notes.missing], [[], []]);
        assert.equal(notes.cards[0].guest, notes.cards[0].wire);
        assert.ok(await ok(machine, "[ $(cat /tmp/note) = 5 ]"));
        await machine.destroy();
    });
}

test("a bad state image is refused and the machine goes on", async () => {
    const machine = await debian();
    const image = new Uint8Array(await machine.save_state());
    image[image.length >> 1] ^= 1;
    await assert.rejects(machine.restore_state(image), /image|section|checksum|damaged/i);
    await assert.rejects(machine.restore_state(new Uint8Array(100)));
    assert.ok(await ok(machine, "true"));
    await machine.destroy();
});

test("two machines of one program reach each other through a hub", async () => {
    const hub = new Hub();
    const [one, two] = await Promise.all([1, 2].map(() => debian({ net_device: { port: hub.port() } })));
    assert.ok(await ok(one, address(1).trim()));
    assert.ok(await ok(two, address(2).trim()));
    assert.ok(await ok(one, "ping -c 3 -w 60 10.9.0.2"));
    const { networks } = await one.get_statistics();
    assert.ok(networks[0].frames_in >= 3, JSON.stringify(networks));
    hub.close();
    await Promise.all([one.destroy(), two.destroy()]);
});

test("a script takes and gives frames", async () => {
    const machine = await debian();
    const frames = [];
    const asked = new Promise((resolve) => {
        machine.add_listener("net0-send", (frame) => {
            frames.push(frame);
            // Who has 10.9.0.77?
            if (frame[12] !== 8 || frame[13] !== 6 || frame[41] !== 77) return;
            resolve(frame);
            const reply = frame.slice(0, 42);
            reply.set(frame.subarray(6, 12), 0);
            reply.set([2, 0, 0, 0, 0, 77], 6);
            reply.set([0, 2, 2, 0, 0, 0, 0, 77, ...frame.subarray(38, 42)], 20);
            reply.set(frame.subarray(22, 32), 32);
            machine.bus.send("net0-receive", reply);
        });
    });
    assert.ok(await ok(machine, address(1).trim()));
    const known = ok(machine, "{ ping -c 1 -w 2 10.9.0.77; arp -n | grep -i 02:00:00:00:00:4d; }");
    const frame = await asked;
    assert.ok(await known);
    const { cards } = await machine.restore_state(await machine.save_state(), { mac: "preserve" });
    const mac = [...frame.subarray(6, 12)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
    // The wire saw the translated address, in the header and in the ARP packet.
    assert.notEqual(mac, cards[0].guest);
    assert.deepEqual(frame.slice(6, 12), frame.slice(22, 28));
    await machine.destroy();
});

test("keys reach the guest, and its screen is text and a picture", async () => {
    const machine = await debian();
    assert.ok(await ok(machine, "{ setsid sh -c 'exec sh <>/dev/tty1 >&0 2>&1' & }"));
    machine.keyboard_send_text("echo typed-$((40+2))\n");
    assert.ok(await machine.wait_until_vga_screen_contains("typed-42", TIMEOUT));
    machine.keyboard_send_keys(["KeyA", "ShiftLeft", "KeyB"]);
    assert.ok(await machine.wait_until_vga_screen_contains("# aB", TIMEOUT));
    const png = Buffer.from(await (await machine.screen_make_screenshot()).arrayBuffer());
    assert.deepEqual([png.toString("latin1", 1, 4), png.readUInt32BE(16), png.readUInt32BE(20)], ["PNG", 720, 400]);
    await machine.destroy();
});

const SEABIOS = "/usr/share/seabios/bios-256k.bin";
const firmware = existsSync(SEABIOS) ? false : "SKIPPED: there is no SeaBIOS (package seabios)";

test("SeaBIOS boots from floppy disk and hard disk", { skip: firmware }, async () => {
    for (const [drive, size, letter] of [["fda", 1440 * 1024, "a"], ["hda", 4 << 20, "c"]]) {
        const disk = bootDisk(size, `booted from ${drive}`);
        const image = drive === "hda" ? new Blob([disk]) : { buffer: disk.buffer };
        const machine = new Nomad86({ bios: { url: SEABIOS }, memory_size: 16 << 20, boot_order: letter, [drive]: image });
        machines.push(machine);
        await machine.ready;
        const seen = machine.wait_until_serial_contains(`booted from ${drive}`, TIMEOUT);
        await machine.run();
        assert.ok(await seen, drive);
        await machine.destroy();
    }
});

test("a CD is put into a running machine, read in parts, and taken out", async () => {
    const machine = await debian();
    const data = Uint8Array.from({ length: 3 << 20 }, (_, n) => (n * 31 + (n >> 9)) & 0xff);
    const sum = createHash("md5").update(data).digest("hex");
    await machine.set_cdrom(new Blob([data]));
    assert.ok(await ok(machine, `[ "$(md5sum < /dev/sr0)" = "${sum}  -" ]`));
    const { disks } = await machine.get_statistics();
    assert.ok(disks.hdc.bytesLoaded >= data.length);
    await machine.eject_cdrom();
    assert.ok(await ok(machine, "! dd if=/dev/sr0 of=/dev/null count=1"));
    await machine.destroy();
});

test("options that cannot be are told by name", async () => {
    const reason = async (options) => {
        const machine = new Nomad86(options);
        machines.push(machine);
        return machine.ready.then(() => "none", (error) => error.message);
    };
    assert.match(await reason({}), /no BIOS and no kernel/);
    assert.match(await reason({ bios: { url: "/nowhere/bios.bin" } }), /^bios: \/nowhere/);
    assert.match(await reason({ memory_size: 12345 }), /RAM of 12345 bytes/);
    assert.match(await reason({ network_relay_url: "http://x/" }), /network_relay_url: 'http:\/\/x\/'/);
    assert.match(await reason({ net_device: { type: "e1000e" } }), /there is no card 'e1000e'/);
    assert.match(await reason({ net_device: { mac: "1:2" } }), /net_device.mac: '1:2'/);
    const no_module = new URL("../package.json", import.meta.url).pathname;
    assert.match(await reason({ wasm_path: no_module }), /^wasm_path: .*package.json is no WebAssembly .* tail calls/);
    const both = { preserve_mac_from_state_image: true, mac_address_translation: true };
    assert.match(await reason(both), /exclude each other/);
});
