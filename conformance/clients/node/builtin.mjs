// The conversation with the WebSocket that is built into Node.
import { conversation } from "./conversation.mjs";

await conversation(process.argv[2], (url, protocols) => new WebSocket(url, protocols));
console.log("ok");
process.exit(0);
