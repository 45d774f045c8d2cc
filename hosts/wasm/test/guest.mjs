// The Debian guest: its files, and a state image of it that the native program saved at the shell's prompt.

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

/** Paths of the guest's kernel and initial RAM disk, fetched and cached by the native side. */
export function debian() {
    const output = execFileSync(
        "cargo",
        ["run", "--quiet", "--release", "-p", "nomad86-host", "--example", "debian_guest"],
        { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
    );
    const [kernel, initrd] = output.trim().split("\n");
    return { kernel, initrd };
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
        const { kernel, initrd } = debian();
        native([
            ..."run --engine jit --display none -m 128 --nic user,model=ne2k_pci".split(" "),
            ...["--kernel", kernel, "--initrd", initrd, "--append", CMDLINE],
            ...["--expect", "nomad86: ready", "--expect", "# ", "--save", file],
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
