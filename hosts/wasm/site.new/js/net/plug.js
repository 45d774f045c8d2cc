// From the options `network_relay_url` and `net_device` to a cable.

import { BroadcastCable, PortCable, ScriptCable } from "./local.js";
import { RelayCable } from "./relay.js";

/**
 * @param {{ relay_url?: string, port?: MessagePort, id?: number | string }} device
 * @param {{ wake: () => void, emit: (frame: Uint8Array) => void, report: (state: string, why?: string) => void,
 *     WebSocket?: typeof WebSocket }} hooks
 */
export function plug(device, hooks) {
    const url = device.relay_url ?? "";
    if (device.port) return new PortCable(device.port, hooks.wake);
    if (!url) return new ScriptCable(hooks.emit, hooks.wake);
    const [scheme, name] = url.split(/:(.*)/s);
    switch (scheme) {
        case "inbrowser":
            return new BroadcastCable(name || device.id || 0, hooks.wake);
        case "ws":
        case "wss":
            return new RelayCable(url, hooks.wake, hooks);
        default:
            throw new Error(
                `network_relay_url: '${url}' is none of ws://…, wss://… and inbrowser; leave it out to send and ` +
                    "receive frames by script",
            );
    }
}
