// Events by name, as v86's bus has them.

export class Bus {
    /** @param {(name: string, value: unknown) => void} send where `send` goes: to the machine */
    constructor(send) {
        this.listeners = new Map();
        this.send = send;
    }

    register(name, listener, self) {
        const list = this.listeners.get(name) ?? [];
        list.push({ listener, self });
        this.listeners.set(name, list);
    }

    unregister(name, listener) {
        const list = this.listeners.get(name) ?? [];
        this.listeners.set(name, list.filter((entry) => entry.listener !== listener));
    }

    /** Whether somebody listens. */
    heard(name) {
        return (this.listeners.get(name)?.length ?? 0) > 0;
    }

    /** Tells those who listen. */
    emit(name, value) {
        for (const { listener, self } of this.listeners.get(name) ?? []) listener.call(self, value);
    }
}
