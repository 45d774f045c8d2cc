// From the options of a page or program to what the engine builds a machine from.

import { absolute, diskImage, loadBytes } from "./load.js";

const DISKS = ["fda", "fdb", "hda", "hdb", "hdc", "hdd"];
/** Kernels by option name; the core tells a bzImage from a multiboot kernel itself. */
const KERNELS = ["bzimage", "multiboot"];
const PLAIN = ["memory_size", "vga_memory_size", "cmdline", "cpu", "virtual_clock", "rtc_offset"];
const KNOWN = new Set([
    ...DISKS,
    ...KERNELS,
    ...PLAIN,
    ..."cdrom bios vga_bios initrd boot_order net_device net_devices network_relay_url initial_state autostart".split(" "),
    ..."preserve_mac_from_state_image mac_address_translation screen_container serial_container_xtermjs".split(" "),
    ..."xterm_lib wasm_path worker disable_keyboard disable_mouse disable_speaker seed".split(" "),
]);
/** v86's numbers for boot orders: each digit a device, the last one first. */
const BOOT_DIGITS = { 1: "a", 2: "c", 3: "d" };

/** 53 bits that nobody can guess. */
export function randomNumber() {
    const [high, low] = crypto.getRandomValues(new Uint32Array(2));
    return (high & 0x1fffff) * 2 ** 32 + low;
}

/** A locally administered address. */
export function randomMac() {
    const bytes = crypto.getRandomValues(new Uint8Array(6));
    bytes[0] = (bytes[0] & 0xfc) | 2;
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Media by drive name as the engine takes them, and what is handed over with them. */
export async function media(images, progress) {
    const disks = {};
    const transfer = [];
    for (const [name, image] of Object.entries(images)) {
        const drive = name === "cdrom" ? "hdc" : name;
        if (!DISKS.includes(drive)) throw new Error(`there is no drive '${name}'; drives are ${DISKS.join(", ")} and cdrom`);
        disks[drive] = image && (await diskImage(name, image, progress));
        if (image) disks[drive].readOnly = image.read_only ?? name === "cdrom";
        // What was downloaded is nobody else's; buffers of the caller's are copied.
        if (disks[drive]?.bytes && image.url) transfer.push(disks[drive].bytes.buffer);
    }
    return { disks, transfer };
}

/** The network cards: one by default, none for `net_device: { type: "none" }`. */
function cards(options) {
    const given = options.net_devices ?? [options.net_device ?? {}];
    return given
        .filter((device) => device.type !== "none")
        .map((device) => ({
            relay_url: options.network_relay_url,
            ...device,
            type: device.type ?? "ne2k_pci",
            mac: device.mac ?? randomMac(),
        }));
}

function bootOrder(order) {
    if (typeof order === "string") return order;
    const digits = order.toString(16).split("").reverse();
    return digits.map((digit) => BOOT_DIGITS[digit] ?? "").join("");
}

function policy(options) {
    if (options.preserve_mac_from_state_image && options.mac_address_translation) {
        throw new Error(
            "preserve_mac_from_state_image and mac_address_translation exclude each other: leave one of them out",
        );
    }
    if (options.preserve_mac_from_state_image) return "preserve";
    return options.mac_address_translation ? "translate" : "randomise";
}

/** What the engine's `build` takes. */
export async function plan(options, progress) {
    for (const name of Object.keys(options)) {
        if (!KNOWN.has(name)) console.warn(`nomad86: there is no option '${name}'; it is left out`);
    }
    const { disks, transfer } = await media(
        Object.fromEntries([...DISKS, "cdrom"].filter((name) => options[name]).map((name) => [name, options[name]])),
        progress,
    );
    const devices = cards(options);
    for (const device of devices) {
        if (device.port) transfer.push(device.port);
        if (device.relay_url?.startsWith("/")) device.relay_url = absolute(device.relay_url).replace(/^http/, "ws");
    }
    const list = PLAIN.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]);
    const file = async (name, image) => list.push([name, await loadBytes(name, image, progress)]);
    const files = ["bios", "vga_bios", "initrd"].filter((name) => options[name]).map((name) => file(name, options[name]));
    const kernel = KERNELS.find((name) => options[name]);
    if (kernel) files.push(file("bzimage", options[kernel]));
    let state;
    if (options.initial_state) {
        const image = await loadBytes("initial_state", options.initial_state, progress);
        state = { image, mac: policy(options), seed: options.seed ?? randomNumber() };
    } else {
        policy(options);
    }
    await Promise.all(files);
    list.push(["ide", [disks.hda ? "d" : "-", disks.hdb ? "d" : "-", disks.hdc && !options.cdrom ? "d" : "c", disks.hdd ? "d" : "-"].join("")]);
    if (options.fdb) list.push(["floppies", 2]);
    if (options.boot_order) list.push(["boot_order", bootOrder(options.boot_order)]);
    list.push(["uuid", crypto.getRandomValues(new Uint8Array(16))]);
    for (const { type, mac } of devices) list.push(["card", `${type},${mac}`]);
    const wires = devices.map(({ relay_url, port, id }) => ({ relay_url, port, id }));
    return { options: list, state, disks, devices: wires, transfer };
}
