// Media for the drives. The core asks for sectors and takes "not yet" for an answer; these fetch them meanwhile.
//
// Writes go into memory over the original, which is never changed. A medium that lies here as a whole answers at
// once; files and addresses are read in pieces when the guest asks for them.

import { DISK } from "./core.js";

const SECTOR = 512;
/** What is fetched at a time. */
const CHUNK = 256 * 1024;
/** Pieces that are kept; beyond it the oldest go. */
const KEPT = 512;
/** Sectors in a piece of what was written. */
const PAGE = 4096;

/** A medium whose bytes `fetchRange(from, to)` gets. */
export class RangeDisk {
    /**
     * @param {number} size bytes
     * @param {(from: number, to: number) => Promise<Uint8Array>} fetchRange
     * @param {{ readOnly?: boolean, wake?: () => void, report?: (error: Error) => void }} more
     */
    constructor(size, fetchRange, more = {}) {
        this.size = size;
        this.sectors = Math.ceil(size / SECTOR);
        this.readOnly = more.readOnly ?? false;
        this.fetchRange = fetchRange;
        this.wake = more.wake ?? (() => {});
        this.report = more.report ?? (() => {});
        this.chunks = new Map();
        this.loading = new Map();
        this.written = new Map();
        this.failed = new Map();
        this.bytesLoaded = 0;
    }

    read(lba, buffer) {
        const from = lba * SECTOR;
        const to = from + buffer.length;
        let ready = true;
        for (let n = Math.floor(from / CHUNK); n * CHUNK < to; n++) {
            if (this.chunks.has(n) || this.covered(Math.max(from, n * CHUNK), Math.min(to, (n + 1) * CHUNK))) continue;
            if (this.failed.get(n) > 2) {
                this.failed.delete(n);
                return DISK.IO;
            }
            this.load(n);
            ready = false;
        }
        if (!ready) return DISK.PENDING;
        for (let at = from; at < to; ) {
            const page = this.written.get(Math.floor(at / PAGE));
            const end = Math.min(to, (Math.floor(at / PAGE) + 1) * PAGE);
            if (page) buffer.set(page.subarray(at % PAGE, (at % PAGE) + end - at), at - from);
            else this.original(at, buffer.subarray(at - from, end - from));
            at = end;
        }
        return DISK.READY;
    }

    /** Whether all of a range has been written, so that the original does not matter. */
    covered(from, to) {
        for (let page = Math.floor(from / PAGE); page * PAGE < to; page++) {
            if (!this.written.has(page)) return false;
        }
        return true;
    }

    original(at, buffer) {
        const chunk = this.chunks.get(Math.floor(at / CHUNK));
        const start = at % CHUNK;
        const bytes = chunk?.subarray(start, start + buffer.length) ?? [];
        buffer.set(bytes);
        buffer.fill(0, bytes.length);
    }

    load(n) {
        if (this.loading.has(n)) return;
        const from = n * CHUNK;
        const load = this.fetchRange(from, Math.min(from + CHUNK, this.size)).then(
            (bytes) => {
                if (this.chunks.size >= KEPT) this.chunks.delete(this.chunks.keys().next().value);
                this.chunks.set(n, bytes);
                this.bytesLoaded += bytes.length;
                this.failed.delete(n);
            },
            (error) => {
                this.failed.set(n, (this.failed.get(n) ?? 0) + 1);
                this.report(error);
            },
        );
        this.loading.set(
            n,
            load.then(() => {
                this.loading.delete(n);
                this.wake();
            }),
        );
    }

    write(lba, data) {
        if (this.readOnly) return DISK.READ_ONLY;
        const from = lba * SECTOR;
        const to = from + data.length;
        // A page that is only partly written needs the rest of it from the original first.
        for (let at = from - (from % PAGE); at < to; at += PAGE) {
            const whole = from <= at && at + PAGE <= to;
            if (!whole && !this.written.has(at / PAGE)) {
                const n = Math.floor(at / CHUNK);
                if (this.chunks.has(n)) continue;
                if (this.failed.get(n) > 2) {
                    this.failed.delete(n);
                    return DISK.IO;
                }
                this.load(n);
                return DISK.PENDING;
            }
        }
        for (let at = from; at < to; ) {
            const number = Math.floor(at / PAGE);
            const end = Math.min(to, (number + 1) * PAGE);
            let page = this.written.get(number);
            if (!page) {
                page = new Uint8Array(PAGE);
                if (end - at < PAGE) this.original(number * PAGE, page);
                this.written.set(number, page);
            }
            page.set(data.subarray(at - from, end - from), at % PAGE);
            at = end;
        }
        return DISK.READY;
    }

    flush() {
        return DISK.READY;
    }
}

/** A medium that lies in memory as a whole; it is changed in place. */
export class MemoryDisk {
    /** @param {Uint8Array} bytes */
    constructor(bytes, readOnly = false) {
        this.bytes = bytes;
        this.size = bytes.length;
        this.sectors = Math.ceil(bytes.length / SECTOR);
        this.readOnly = readOnly;
    }

    read(lba, buffer) {
        const bytes = this.bytes.subarray(lba * SECTOR, lba * SECTOR + buffer.length);
        buffer.set(bytes);
        buffer.fill(0, bytes.length);
        return DISK.READY;
    }

    write(lba, data) {
        if (this.readOnly) return DISK.READ_ONLY;
        const room = this.bytes.length - lba * SECTOR;
        this.bytes.set(data.length > room ? data.subarray(0, room) : data, lba * SECTOR);
        return DISK.READY;
    }

    flush() {
        return DISK.READY;
    }
}

/**
 * A medium from `{ buffer }`, `{ file }` (a Blob) or `{ url, async }`.
 * @param {object} image
 * @param {{ readOnly?: boolean, wake?: () => void, report?: (error: Error) => void }} more
 */
export async function openDisk(image, more) {
    if (image.bytes) return new MemoryDisk(image.bytes, more.readOnly);
    if (image.file) {
        const range = async (from, to) => new Uint8Array(await image.file.slice(from, to).arrayBuffer());
        return new RangeDisk(image.file.size, range, more);
    }
    const { url } = image;
    const size = image.size ?? (await sizeOf(url));
    const range = async (from, to) => {
        const response = await fetch(url, { headers: { Range: `bytes=${from}-${to - 1}` } });
        if (response.status !== 206) {
            throw new Error(`${url}: the server does not send parts of files (status ${response.status})`);
        }
        return new Uint8Array(await response.arrayBuffer());
    };
    return new RangeDisk(size, range, more);
}

async function sizeOf(url) {
    const response = await fetch(url, { headers: { Range: "bytes=0-0" } });
    await response.body?.cancel();
    const size = Number(response.headers.get("Content-Range")?.split("/")[1]);
    if (response.status !== 206 || !Number.isSafeInteger(size)) {
        throw new Error(
            `${url}: the server does not send parts of files (status ${response.status}); leave 'async' out to ` +
                "load it as a whole",
        );
    }
    return size;
}
