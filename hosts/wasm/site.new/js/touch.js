// Keys for screens without a keyboard: those that a phone's own keyboard lacks, and a field that opens it.

/** Label, `KeyboardEvent.code`; those with a third entry stay down until the next key. */
const KEYS = [
    ["Esc", "Escape"],
    ["Tab", "Tab"],
    ["Ctrl", "ControlLeft", true],
    ["Alt", "AltLeft", true],
    ["Shift", "ShiftLeft", true],
    ["F1", "F1"],
    ["F2", "F2"],
    ["F8", "F8"],
    ["F10", "F10"],
    ["F12", "F12"],
    ["Home", "Home"],
    ["End", "End"],
    ["PgUp", "PageUp"],
    ["PgDn", "PageDown"],
    ["Del", "Delete"],
    ["←", "ArrowLeft"],
    ["↑", "ArrowUp"],
    ["↓", "ArrowDown"],
    ["→", "ArrowRight"],
    ["⏎", "Enter"],
];

export class TouchKeyboard {
    /**
     * @param {HTMLElement} container
     * @param {() => import("./nomad86.js").Nomad86 | null} machine the machine of the moment
     */
    constructor(container, machine) {
        this.machine = machine;
        this.held = new Map();
        container.classList.add("touch-keyboard");
        this.field = document.createElement("input");
        this.field.type = "text";
        this.field.setAttribute("aria-label", "Type into the machine");
        this.field.placeholder = "type here";
        for (const [name, value] of [["autocapitalize", "off"], ["autocomplete", "off"], ["spellcheck", "false"]]) {
            this.field.setAttribute(name, value);
        }
        this.field.addEventListener("input", () => this.text());
        this.field.addEventListener("keydown", (event) => this.editing(event));
        container.append(this.field);
        for (const [label, code, holds] of KEYS) container.append(this.button(label, code, holds));
    }

    button(label, code, holds) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = label;
        button.title = code;
        // The field keeps the focus, so that the phone's keyboard stays open.
        button.addEventListener("pointerdown", (event) => {
            event.preventDefault();
            if (holds) this.hold(code, button);
            else this.stroke(code);
        });
        return button;
    }

    hold(code, button) {
        const down = !this.held.has(code);
        this.machine()?.key(code, down);
        if (down) this.held.set(code, button);
        else this.held.delete(code);
        button.setAttribute("aria-pressed", String(down));
    }

    stroke(code) {
        this.machine()?.keyboard_send_keys([code]);
        this.letGo();
    }

    letGo() {
        for (const [code, button] of this.held) this.hold(code, button);
    }

    text() {
        const text = this.field.value;
        this.field.value = "";
        if (!text) return;
        // With Ctrl or Alt held it is the key that counts, not the character.
        const letter = this.held.size && /^[a-z]$/i.test(text) ? `Key${text.toUpperCase()}` : null;
        if (letter) this.stroke(letter);
        else this.machine()?.keyboard_send_text(text);
        this.letGo();
    }

    /** Keys that put no text into the field. */
    editing(event) {
        if (!["Enter", "Backspace", "Tab", "Escape"].includes(event.key)) return;
        event.preventDefault();
        this.stroke(event.key);
    }
}
