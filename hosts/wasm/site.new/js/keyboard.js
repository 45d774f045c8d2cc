// The page's keyboard as the machine's, key by key, by their places: the layout is the guest's business.

export class Keyboard {
    /** @param {HTMLElement} element what has the focus while keys are the machine's */
    constructor(element, machine) {
        this.machine = machine;
        this.element = element;
        this.enabled = true;
        this.down = new Set();
        this.abort = new AbortController();
        const listen = (target, type, handler) => target.addEventListener(type, handler, { signal: this.abort.signal });
        listen(element, "keydown", (event) => this.press(event));
        listen(element, "keyup", (event) => this.release(event));
        listen(element, "blur", () => this.releaseAll());
        listen(window, "blur", () => this.releaseAll());
        listen(element, "paste", (event) => this.paste(event));
    }

    press(event) {
        if (!this.enabled || !event.code || event.isComposing) return;
        // Shift+Insert and Ctrl+Shift+V paste into the guest instead of reaching it.
        if ((event.ctrlKey || event.metaKey) && event.shiftKey && event.code === "KeyV") return;
        event.preventDefault();
        this.down.add(event.code);
        this.machine.key(event.code, true);
    }

    release(event) {
        if (!this.down.delete(event.code)) return;
        event.preventDefault();
        this.machine.key(event.code, false);
    }

    /** Keys whose release goes elsewhere would hang in the guest. */
    releaseAll() {
        for (const code of this.down) this.machine.key(code, false);
        this.down.clear();
    }

    paste(event) {
        const text = event.clipboardData?.getData("text");
        if (this.enabled && text) {
            event.preventDefault();
            this.machine.keyboard_send_text(text);
        }
    }

    destroy() {
        this.releaseAll();
        this.abort.abort();
    }
}
