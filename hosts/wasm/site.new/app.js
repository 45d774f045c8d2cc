// The page: from its form to a machine, and from its buttons to what they do.

import { Terminal } from "./xterm/xterm.mjs";
import { Nomad86, TouchKeyboard } from "./js/nomad86.js";

const $ = (id) => document.getElementById(id);
const form = $("setup");
let pc = null;
let served = {};
let stopwatch = null;

// Tests and the curious reach the machine from the console.
Object.defineProperty(window, "nomad86", { get: () => pc });

/** The guest's kernel need not test all its ciphers first. */
const QUICK = "quiet cryptomgr.notests";

function say(text, error = false) {
    $("message").textContent = text;
    $("message").hidden = !text;
    $("message").classList.toggle("error", error);
}

function theme(name) {
    document.documentElement.dataset.theme = name;
}

theme(localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark"));
$("theme").onclick = () => {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", next);
    theme(next);
};

/** What the server has beside the page: guests, firmware, a relay. */
async function ask() {
    try {
        const response = await fetch("served.json");
        if (response.ok) served = await response.json();
    } catch {
        // A plain web server serves the page as well.
    }
    $("demo-card").hidden = !served.kernel;
    if (served.name) $("demo-text").textContent = `A small Linux to look around in: ${served.name} and busybox.`;
    if (served.bios) $("firmware-text").textContent = "SeaBIOS is there; other firmware can be given here.";
    if (served.relay_port) form.network_relay_url.value = `ws://${location.hostname}:${served.relay_port}/`;
    else form.network.value = "inbrowser";
}

/** The machine's options from the form. */
function options(start) {
    const file = (name) => form[name].files[0];
    const image = (name, url) => file(name) ?? (url && { url });
    const chosen = { memory_size: Number(form.memory_size.value) << 20, cmdline: form.cmdline.value };
    if (start === "demo") {
        Object.assign(chosen, { bzimage: { url: served.kernel }, initrd: { url: served.initrd } });
        chosen.cmdline += ` ${QUICK}`;
    } else {
        for (const name of ["cdrom", "hda", "fda", "bzimage", "initrd", "initial_state"]) {
            if (file(name)) chosen[name] = file(name);
        }
        if (!chosen.initial_state && (!chosen.bzimage || file("bios"))) {
            chosen.bios = image("bios", served.bios);
            chosen.vga_bios = image("vga_bios", served.vga_bios);
        }
        if (!chosen.bzimage) delete chosen.cmdline;
        if (!chosen.bzimage && !chosen.initial_state && !chosen.bios) {
            throw new Error("Give a BIOS to boot from disks, or a Linux kernel, or a state image.");
        }
    }
    const network = form.network.value;
    if (network === "relay" && form.network_relay_url.value) chosen.network_relay_url = form.network_relay_url.value;
    if (network === "inbrowser") chosen.network_relay_url = "inbrowser";
    chosen.preserve_mac_from_state_image = form.mac.value === "preserve";
    chosen.mac_address_translation = form.mac.value === "translate";
    return chosen;
}

async function start(chosen) {
    form.hidden = true;
    $("machine").hidden = false;
    $("serial").replaceChildren();
    say("Loading …");
    pc = new Nomad86({
        ...chosen,
        screen_container: $("screen"),
        serial_container_xtermjs: $("serial"),
        xterm_lib: Terminal,
    });
    pc.add_listener("download-progress", ({ file_name, loaded, total }) => {
        const name = String(file_name).split("/").pop();
        say(`Loading ${name}: ${total ? Math.round((100 * loaded) / total) + " %" : (loaded >> 20) + " MiB"}`);
    });
    pc.add_listener("download-error", ({ file_name, error }) => say(`${file_name}: ${error}`, true));
    pc.add_listener("screen-set-size", ([width, height]) => ($("s-screen").textContent = `${width} × ${height}`));
    pc.add_listener("emulator-ended", ({ reason, detail }) => {
        say(ENDS[reason] ?? `The machine stopped: ${detail ?? reason}`, reason !== "power-off");
        paused();
    });
    await pc.ready;
    if (form.network.value === "unplugged") pc.network_link(0, false);
    await pc.run();
    say("");
    paused();
    $("screen").querySelector("canvas").focus();
    stopwatch = setInterval(measure, 1000);
}

const ENDS = {
    "power-off": "The machine was switched off.",
    "triple-fault": "The processor shut down after a triple fault. Reset starts it again.",
};

async function end() {
    clearInterval(stopwatch);
    last = null;
    const old = pc;
    pc = null;
    await old?.destroy();
    $("machine").hidden = true;
    form.hidden = false;
    say("");
}

let last = null;

async function measure() {
    if (!pc) return;
    const now = performance.now();
    const stats = await pc.get_statistics();
    if (last) {
        const seconds = (now - last.now) / 1000;
        const rate = (stats.instructions - last.instructions) / seconds / 1e6;
        $("s-speed").textContent = `${rate.toFixed(rate < 10 ? 1 : 0)} M instructions/s`;
        $("s-load").textContent = `${Math.min(100, (stats.busy - last.busy) / seconds / 10).toFixed(0)} %`;
    }
    last = { now, instructions: stats.instructions, busy: stats.busy };
    $("s-time").textContent = `${(stats.milliseconds / 1000).toFixed(0)} s`;
    $("s-memory").textContent = `${stats.memory >> 20} MiB`;
    const [card] = stats.networks;
    $("s-net").textContent = card ? `${card.frames_in} frames in, ${card.frames_out} out` : "no card";
}

function paused() {
    document.querySelector("[data-do=pause]").textContent = pc?.is_running() ? "Pause" : "Resume";
}

function download(data, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(data instanceof Blob ? data : new Blob([data]));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

const stamp = () => new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-");

const ACTIONS = {
    async pause() {
        await (pc.is_running() ? pc.stop() : pc.run());
        paused();
    },
    async reset() {
        await pc.restart();
        if (!pc.is_running()) await pc.run();
        say("");
        paused();
    },
    power: () => pc.power_button(),
    async save() {
        say("Saving …");
        download(await pc.save_state(), `nomad86-${stamp()}.state`);
        say("");
    },
    async screenshot() {
        download(await pc.screen_make_screenshot(), `nomad86-${stamp()}.png`);
    },
    cad: () => pc.keyboard_send_keys(["ControlLeft", "AltLeft", "Delete"]),
    async type() {
        pc.keyboard_send_text(await navigator.clipboard.readText());
    },
    mouse: () => pc.lock_mouse(),
    full: () => $("screen").requestFullscreen(),
    keys() {
        $("keys").hidden = !$("keys").hidden;
        document.querySelector("[data-do=keys]").setAttribute("aria-expanded", String(!$("keys").hidden));
    },
    end,
};

$("tools").addEventListener("click", async (event) => {
    const action = ACTIONS[event.target.dataset?.do];
    if (!action || !pc) return;
    try {
        await action();
    } catch (error) {
        say(error.message, true);
    }
});

$("restore").addEventListener("change", async ({ target }) => {
    const [file] = target.files;
    target.value = "";
    if (!file || !pc) return;
    try {
        say("Restoring …");
        await pc.restore_state(file, { mac: form.mac.value });
        say("");
    } catch (error) {
        say(error.message, true);
    }
});

for (const name of ["screen", "serial"]) {
    $(`tab-${name}`).onclick = () => {
        for (const other of ["screen", "serial"]) {
            $(other).hidden = other !== name;
            $(`tab-${other}`).setAttribute("aria-selected", String(other === name));
        }
        if (name === "serial") pc?.terminal?.focus();
        else $("screen").querySelector("canvas").focus();
    };
}

form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
        await start(options(event.submitter.value));
    } catch (error) {
        await end();
        say(error.message, true);
    }
});

// Files that are dropped on the page: CD images boot as CDs, states are restored, the rest are hard disks.
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (!file || pc) return;
    const name = /\.iso$/i.test(file.name) ? "cdrom" : /\.state$/i.test(file.name) ? "initial_state" : "hda";
    const list = new DataTransfer();
    list.items.add(file);
    form[name].files = list.files;
    say(`${file.name} is in: press Start.`);
});

new TouchKeyboard($("keys"), () => pc);
$("keys").hidden = !matchMedia("(pointer: coarse)").matches;
ask();
