// A BIOS image by hand: the processor starts at its last 16 bytes.

/** 64 KiB of firmware that writes the RTC's minutes to the debug console, over and over. */
export function bios() {
    const image = new Uint8Array(65536).fill(0xf4);
    // mov al, 2; out 70h, al; in al, 71h; out 0E9h, al; jmp back
    image.set([0xb0, 0x02, 0xe6, 0x70, 0xe4, 0x71, 0xe6, 0xe9, 0xeb, 0xf6], 0xff00);
    image.set([0xe9, 0x0d, 0xff], 0xfff0);
    return image;
}
