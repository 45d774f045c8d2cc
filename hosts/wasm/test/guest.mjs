// A state image of the demo's Debian guest, which the native program fetches, boots and saves at the prompt.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
/** The native program: cargo build --release -p nomad86-cli. */
export const program = process.env.NOMAD86 ?? join(root, "target/release/nomad86");
/** The kernel need not test its ciphers first. */
export const CMDLINE = "console=ttyS0 quiet cryptomgr.notests";

/** Runs the native program and returns what it wrote. */
export function native(args, timeout = 400_000) {
    return execFileSync(program, args, { cwd: root, encoding: "utf8", timeout, stdio: ["ignore", "pipe", "pipe"] });
}

let folder;

/** A folder of this run's own. */
export function scratch() {
    folder ??= mkdtempSync(join(tmpdir(), "nomad86-test-"));
    return folder;
}

/** Debian at its prompt, booted and saved natively. */
export function savedState() {
    const file = process.env.NOMAD86_STATE ?? join(scratch(), "debian.state");
    if (!existsSync(file)) {
        native([
            ..."demo --display none -m 128 --nic user,model=ne2k_pci --append".split(" "),
            ...[CMDLINE, "--expect", "nomad86: ready", "--expect", "# ", "--save", file],
        ]);
    }
    return file;
}

/** Gives the guest's card a fixed address, on a network where nobody answers DHCP. */
export function address(number) {
    return `killall udhcpc; ip address flush dev eth0; ip address add 10.9.0.${number}/24 dev eth0; ip link set eth0 up\n`;
}

/** A command whose answer, but not itself, has `name=ok`. */
export function check(command, name) {
    return `${command} && echo ${name}=o''k\n`;
}
