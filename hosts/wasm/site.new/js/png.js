// The screen as a PNG file, with what every runtime has.
//
// Spec: PNG (W3C), sections 5 and 11.

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n >>> 0;
});

function crc(bytes) {
    let value = 0xffffffff;
    for (const byte of bytes) value = TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
    return ~value >>> 0;
}

function chunk(kind, data) {
    const out = new Uint8Array(12 + data.length);
    const view = new DataView(out.buffer);
    view.setUint32(0, data.length);
    out.set(new TextEncoder().encode(kind), 4);
    out.set(data, 8);
    view.setUint32(8 + data.length, crc(out.subarray(4, 8 + data.length)));
    return out;
}

/** A PNG of pixels red, green, blue, alpha; the alpha is left out. */
export async function encode(width, height, rgba) {
    const rows = new Uint8Array(height * (1 + width * 3));
    let to = 0;
    for (let y = 0, from = 0; y < height; y++) {
        rows[to++] = 0;
        for (let x = 0; x < width; x++, from += 4) {
            rows[to++] = rgba[from];
            rows[to++] = rgba[from + 1];
            rows[to++] = rgba[from + 2];
        }
    }
    const packed = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
    const header = new Uint8Array(13);
    const view = new DataView(header.buffer);
    view.setUint32(0, width);
    view.setUint32(4, height);
    // Eight bits a sample, truecolour.
    header.set([8, 2], 8);
    const parts = [
        Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
        chunk("IHDR", header),
        chunk("IDAT", new Uint8Array(await new Response(packed).arrayBuffer())),
        chunk("IEND", new Uint8Array(0)),
    ];
    return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** A picture of an engine's screen, also when nobody looks at it. */
export async function screenshot(engine) {
    if (!engine.looked) {
        // The picture is only drawn for those who look: look until there is one.
        engine.core.look(true);
        engine.picture = null;
        const until = performance.now() + 2000;
        while (!engine.picture && performance.now() < until) {
            if (!engine.runner.running) engine.core.run(20);
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
        engine.changed = null;
    }
    const { picture } = engine;
    if (!picture) throw new Error("the screen shows nothing yet");
    const png = await encode(picture.width, picture.height, engine.pixels(0, picture.height));
    if (!engine.looked) engine.core.look(false);
    return png;
}
