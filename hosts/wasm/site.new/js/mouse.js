// The page's mouse as the machine's, while the pointer is locked; fingers move it like a touchpad.

export class Mouse {
    constructor(element, machine) {
        this.machine = machine;
        this.element = element;
        this.enabled = true;
        this.finger = null;
        this.abort = new AbortController();
        const listen = (target, type, handler) =>
            target.addEventListener(type, handler, { signal: this.abort.signal, passive: false });
        listen(element, "mousedown", (event) => this.press(event));
        listen(document, "mouseup", (event) => this.locked() && this.buttons(event));
        listen(document, "mousemove", (event) => this.move(event));
        listen(element, "wheel", (event) => this.wheel(event));
        listen(element, "contextmenu", (event) => event.preventDefault());
        listen(document, "pointerlockchange", () => this.changed());
        listen(element, "touchstart", (event) => this.touch(event));
        listen(element, "touchmove", (event) => this.drag(event));
        listen(element, "touchend", (event) => this.lift(event));
    }

    locked() {
        return document.pointerLockElement === this.element;
    }

    /** The mouse belongs to the machine until Escape. */
    lock() {
        this.element.focus();
        const asked = this.element.requestPointerLock?.();
        asked?.catch?.(() => {});
    }

    changed() {
        this.machine.bus.emit("mouse-enable", this.locked());
        if (!this.locked()) this.machine.mouse_buttons(0);
    }

    press(event) {
        if (!this.enabled) return;
        if (this.locked()) {
            event.preventDefault();
            this.buttons(event);
        } else {
            this.lock();
        }
    }

    /** Bits as browsers and PS/2 mice both have them: 1 left, 2 right, 4 middle. */
    buttons(event) {
        this.machine.mouse_buttons(event.buttons & 7);
    }

    move(event) {
        if (this.locked()) this.machine.mouse_move(event.movementX, event.movementY);
    }

    wheel(event) {
        if (!this.locked()) return;
        event.preventDefault();
        this.machine.mouse_move(0, 0, Math.sign(event.deltaY));
    }

    touch(event) {
        if (!this.enabled) return;
        event.preventDefault();
        this.element.focus({ preventScroll: true });
        const { clientX: x, clientY: y } = event.touches[0];
        this.finger = { x, y, moved: false, fingers: event.touches.length };
    }

    drag(event) {
        if (!this.finger) return;
        event.preventDefault();
        const { clientX: x, clientY: y } = event.touches[0];
        const [dx, dy] = [Math.round(x - this.finger.x), Math.round(y - this.finger.y)];
        if (dx || dy) this.machine.mouse_move(dx, dy);
        this.finger = { ...this.finger, x, y, moved: this.finger.moved || Math.abs(dx) + Math.abs(dy) > 2 };
    }

    /** A tap is a click, one with two fingers the right button's. */
    lift(event) {
        if (!this.finger || event.touches.length) return;
        event.preventDefault();
        if (!this.finger.moved) {
            this.machine.mouse_buttons(this.finger.fingers > 1 ? 2 : 1);
            setTimeout(() => this.machine.mouse_buttons(0), 60);
        }
        this.finger = null;
    }

    destroy() {
        if (this.locked()) document.exitPointerLock();
        this.abort.abort();
    }
}
