// The Debian guest that the native program fetches and caches.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");

/** Options for a machine with the guest's kernel and initial RAM disk. */
export async function debian() {
    const output = execFileSync(
        "cargo",
        ["run", "--quiet", "--release", "-p", "nomad86-host", "--example", "debian_guest"],
        { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
    );
    const [kernel, initrd] = output.trim().split("\n");
    return { bzimage: { url: kernel }, initrd: { url: initrd } };
}
