// A PC in v86 whose serial line is standard input and output:
// node --experimental-websocket client.mjs KERNEL INITRD [RELAY-URL [MIB [COMMAND-LINE]]]
// Without a relay (or an empty URL) it has no network card. `nomad86 bench` runs it so.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";

const build = dirname(createRequire(import.meta.url).resolve("v86"));
const { V86 } = await import(join(build, "libv86.mjs"));
const [kernel, initrd, relay_url, mib = "256", cmdline = "console=ttyS0 quiet"] = process.argv.slice(2);
const file = path => ({ buffer: new Uint8Array(readFileSync(path)).buffer });
const firmware = name => file(join("/usr/share/seabios", name));

const emulator = new V86({
    wasm_path: join(build, "v86.wasm"),
    memory_size: Number(mib) * 2 ** 20,
    bios: firmware("bios.bin"),
    vga_bios: firmware("vgabios-stdvga.bin"),
    bzimage: file(kernel),
    initrd: file(initrd),
    cmdline,
    net_device: relay_url ? { type: "ne2k", relay_url } : { type: "none" },
    autostart: true,
    disable_keyboard: true,
    disable_mouse: true,
    disable_speaker: true,
});
emulator.add_listener("serial0-output-byte", byte => process.stdout.write(Uint8Array.of(byte)));
process.stdin.on("data", bytes => emulator.serial_send_bytes(0, bytes));
process.stdin.on("end", () => process.exit(0));
