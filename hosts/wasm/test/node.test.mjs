import assert from "node:assert/strict";
import { test } from "node:test";
import { Nomad86 } from "../js/nomad86.js";
import { debian } from "./guest.mjs";

test("Debian boots to a shell in this thread and in a worker", async (t) => {
    const files = await debian();
    const pc = new Nomad86({ ...files, memory_size: 256 << 20, autostart: true, cmdline: "console=ttyS0 quiet" });
    t.after(() => pc.destroy());
    pc.add_listener("serial0-output-text", (s) => process.env.SHOW && process.stdout.write(s));
    assert.ok(await pc.wait_until_serial_contains("nomad86: ready", { timeout_msec: 400_000 }));
    const seen = pc.wait_until_serial_contains("five=5", { timeout_msec: 20_000 });
    await pc.serial0_send("echo five=$((2+3))\n");
    assert.ok(await seen);
});
