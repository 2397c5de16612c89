// The conversation with the package ws.
import assert from "node:assert/strict";
import { once } from "node:events";
import WebSocket from "ws";
import { conversation } from "./conversation.mjs";

const addr = process.argv[2];

await conversation(addr, (url, protocols) => new WebSocket(url, protocols, { perMessageDeflate: { threshold: 0 } }));

// What only ws can do: pings of its own, and a look at the refusal.
const ws = new WebSocket(`ws://${addr}/echo`);
await once(ws, "open");
ws.ping("are you there");
const [pong] = await once(ws, "pong");
assert.equal(pong.toString(), "are you there");
ws.close(4000, "enough");
const [code, reason] = await once(ws, "close");
assert.deepEqual([code, reason.toString()], [4000, "enough"]);

const lost = new WebSocket(`ws://${addr}/nothing`);
lost.on("error", () => {});
const [, response] = await once(lost, "unexpected-response");
assert.equal(response.statusCode, 404);
lost.terminate();

console.log("ok");
process.exit(0);
