// A BIOS image by hand: the processor starts at its last 16 bytes.

/** 64 KiB of firmware that writes the RTC's minutes to the debug console, over and over. */
export function bios() {
    const image = new Uint8Array(65536).fill(0xf4);
    // mov al, 2; out 70h, al; in al, 71h; out 0E9h, al; jmp back
    image.set([0xb0, 0x02, 0xe6, 0x70, 0xe4, 0x71, 0xe6, 0xe9, 0xeb, 0xf6], 0xff00);
    image.set([0xe9, 0x0d, 0xff], 0xfff0);
    return image;
}

/** A boot disk of `size` bytes whose first sector writes the text of its second to COM1. */
export function bootDisk(size, text) {
    const disk = new Uint8Array(size);
    disk.set([
        // xor ax, ax; mov ds, ax; mov es, ax; push dx
        0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x52,
        // 8 data bits: mov dx, 3FBh; mov al, 3; out dx, al; pop dx
        0xba, 0xfb, 0x03, 0xb0, 0x03, 0xee, 0x5a,
        // read sector 2 of the drive that booted: mov bx, 7E00h; mov ax, 201h; mov cx, 2; mov dh, 0; int 13h
        0xbb, 0x00, 0x7e, 0xb8, 0x01, 0x02, 0xb9, 0x02, 0x00, 0xb6, 0x00, 0xcd, 0x13,
        // mov si, 7E00h; next: lodsb; test al, al; jz end; mov dx, 3F8h; out dx, al; jmp next; end: hlt; jmp end
        0xbe, 0x00, 0x7e, 0xac, 0x84, 0xc0, 0x74, 0x06, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xf5, 0xf4, 0xeb, 0xfd,
    ]);
    disk.set([0x55, 0xaa], 510);
    disk.set(new TextEncoder().encode(text), 512);
    return disk;
}

/** 64 KiB of firmware with this code at F000:0000. */
function firmware(code) {
    const image = new Uint8Array(65536).fill(0xf4);
    image.set(code);
    // jmp F000:0000
    image.set([0xea, 0x00, 0x00, 0x00, 0xf0], 0xfff0);
    return image;
}

/** mov dx, port; mov al, value; out dx, al; and some hundred microseconds: mov cx, 4000h; loop $ */
const out = (port, value) => [0xba, port & 0xff, port >> 8, 0xb0, value, 0xee, 0xb9, 0x00, 0x40, 0xe2, 0xfe];

/** The loudspeaker at `hertz`: counter 2 in mode 3, its gate and the speaker on; then the processor halts. */
export function speaker(hertz) {
    const count = Math.floor(1193182 / hertz);
    const on = [...out(0x43, 0xb6), ...out(0x42, count & 0xff), ...out(0x42, count >> 8), ...out(0x61, 3)];
    return firmware([0xfa, ...on, 0xf4, 0xeb, 0xfd]);
}

/** Writes what the mouse says to COM1: its acknowledgement FA, then packets of three bytes. */
export function mouse() {
    // 8 data bits on COM1; the second port on, and reports of what happens there.
    const set = [...out(0x3fb, 3), ...out(0x64, 0xa8), ...out(0x64, 0x60), ...out(0x60, 0x00), ...out(0x64, 0xd4), ...out(0x60, 0xf4)];
    // next: in al, 64h; test al, 1; jz next; in al, 60h; mov dx, 3F8h; out dx, al; jmp next
    const poll = [0xe4, 0x64, 0xa8, 0x01, 0x74, 0xfa, 0xe4, 0x60, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xf2];
    return firmware([0xfa, ...set, ...poll]);
}
