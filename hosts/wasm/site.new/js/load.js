// Files of a machine from wherever they are: bytes, Blobs, addresses, and paths in Node.

/** Whether this is Node.js (or something that looks like it). */
export const NODE = typeof process === "object" && !!process.versions?.node;

/**
 * All of an image as bytes. `progress` hears of what is downloaded.
 * @param {string} name the option, for messages
 * @param {string | ArrayBuffer | Uint8Array | Blob | { url?: string, buffer?: ArrayBuffer | Blob }} image
 * @param {(event: { file_name: string, loaded: number, total: number }) => void} progress
 * @returns {Promise<Uint8Array>}
 */
export async function loadBytes(name, image, progress = () => {}) {
    const source = typeof image === "string" ? { url: image } : image;
    const data = source?.buffer && !ArrayBuffer.isView(source) ? source.buffer : source;
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    if (typeof Blob !== "undefined" && data instanceof Blob) return new Uint8Array(await data.arrayBuffer());
    if (typeof source?.url === "string") return download(name, source.url, progress);
    throw new Error(`${name}: give { url }, { buffer } or a File`);
}

async function download(name, url, progress) {
    if (NODE && !/^(https?|data|blob):/.test(url)) {
        const { readFile } = await import("node:fs/promises");
        try {
            return new Uint8Array(await readFile(url.startsWith("file:") ? new URL(url) : url));
        } catch (error) {
            throw new Error(`${name}: ${url}: ${error.message}`);
        }
    }
    let response;
    try {
        response = await fetch(url);
    } catch (error) {
        throw new Error(`${name}: ${url} cannot be fetched: ${error.message}`);
    }
    if (!response.ok) throw new Error(`${name}: ${url}: the server answers ${response.status} ${response.statusText}`);
    const total = Number(response.headers.get("Content-Length")) || 0;
    const parts = [];
    let loaded = 0;
    for (const reader = response.body.getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) break;
        parts.push(value);
        loaded += value.length;
        progress({ file_name: url, loaded, total });
    }
    const bytes = new Uint8Array(loaded);
    parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
    return bytes;
}

/** What a disk option means for the machine's thread: bytes, a Blob, or an address that is read in parts. */
export async function diskImage(name, image, progress) {
    if (typeof Blob !== "undefined") {
        if (image instanceof Blob) return { file: image };
        if (image?.buffer instanceof Blob) return { file: image.buffer };
    }
    if (image?.url && image.async) return { url: absolute(image.url), size: image.size };
    return { bytes: await loadBytes(name, image, progress) };
}

/** An address that means the same in a worker. */
export function absolute(url) {
    return typeof location === "object" ? new URL(url, document.baseURI).href : url;
}
