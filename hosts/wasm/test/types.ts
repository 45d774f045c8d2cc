// Compiles when the types describe what users write: npm run types.
import { Hub, Nomad86, type MacPolicy, type Statistics } from "../js/nomad86.js";

const hub = new Hub();
const pc = new Nomad86({ bzimage: { url: "vmlinuz" }, cmdline: "quiet", net_device: { port: hub.port() } });
pc.add_listener("serial0-output-byte", (byte) => byte.toFixed());
pc.add_listener("serial1-output-byte", (byte: number) => byte);
pc.add_listener("emulator-ended", ({ reason }) => reason.length);
pc.bus.send("net0-receive", new Uint8Array(60));
const mac: MacPolicy = "translate";
const stats: Statistics = await pc.get_statistics();
const notes = await pc.restore_state(await pc.save_state(), { mac });
const wire: string = notes.cards[0]!.wire;
// @ts-expect-error there is no such option
new Nomad86({ hdx: "x" });
export { stats, wire };
