// The server on Bun, whose WebSockets are those of uWebSockets. It answers the control
// requests of package serve in the same way as the servers in Go.
import { readFileSync } from "node:fs";

const cfg = JSON.parse(process.argv[2]);
const everyone = "all";
const sockets = new Map(); // by id
let next = 0; // number of the next message
let victim;

const service = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  tls: cfg.TLS ? { cert: process.env.BENCH_CERT, key: process.env.BENCH_KEY } : undefined,
  fetch(request, server) {
    const data = { id: crypto.randomUUID() };
    if (!server.upgrade(request, { data })) return new Response("no upgrade", { status: 426 });
  },
  websocket: {
    perMessageDeflate: Boolean(cfg.Deflate),
    open(ws) {
      sockets.set(ws.data.id, ws);
      ws.subscribe(everyone);
    },
    message: cfg.Deflate ? (ws, m) => void ws.send(m, true) : (ws, m) => void ws.send(m),
    close(ws) {
      sockets.delete(ws.data.id);
    },
  },
});

// Nanoseconds since 1970 do not fit into a number: they are kept as two halves.
const half = 2 ** 32;
const start = clock();

function clock() {
  const ms = Date.now();
  while (Date.now() === ms); // now it is the beginning of a millisecond
  const at = BigInt(ms + 1) * 1_000_000n - BigInt(Bun.nanoseconds());
  return { high: Number(at / BigInt(half)), low: Number(at % BigInt(half)) };
}

const hex = (n) => n.toString(16).padStart(8, "0");

// A message of package message: number, time, and filler.
function message(size, number) {
  const low = start.low + Bun.nanoseconds();
  const high = start.high + Math.floor(low / half);
  return hex(number) + hex(high) + hex(low % half) + filler(size);
}

const fillers = new Map();

function filler(size) {
  if (!fillers.has(size)) {
    const all = "abcdefghijklmnopqrstuvwxyz012345".repeat(Math.ceil(size / 32) + 1);
    fillers.set(size, all.slice(24, Math.max(size, 24)));
  }
  return fillers.get(size);
}

function repeat(n, size, send) {
  const sent = { First: next, Calls: n, Took: 0 };
  const at = Bun.nanoseconds();
  for (let i = 0; i < n; i++) send(message(size, next++));
  sent.Took = Math.round(Bun.nanoseconds() - at);
  return sent;
}

function burst(n, size) {
  const all = [...sockets.values()].map((ws) => ws.data.id);
  if (all.length === 0) throw new Error("no sockets");
  return repeat(n, size, (m) => {
    const id = all[Math.floor(Math.random() * all.length)];
    if (sockets.get(id).send(m) === 0) throw new Error(`a message to ${id} was dropped`);
  });
}

function resident() {
  const line = /^Rss:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/smaps_rollup", "utf8"));
  return Number(line[1]) * 1024;
}

function usage() {
  const { user, system } = process.cpuUsage();
  return { CPU: (user + system) * 1000 };
}

function collect() {
  for (let i = 0; i < 3; i++) Bun.gc(true);
  return null;
}

function chooseVictim() {
  if (sockets.size !== 1) throw new Error(`${sockets.size} sockets, want the victim alone`);
  [victim] = sockets.values();
  return null;
}

// fill sends to the victim until that is refused or enough, and does not wait for it.
function fill(n, size) {
  if (!victim) throw new Error("there is no victim");
  setImmediate(() => {
    for (let i = 0; i < n && victim.send(message(size, i)) !== 0; i++);
  });
  return null;
}

const actions = {
  "GET /usage": usage,
  "GET /memory": () => ({ Resident: resident() }),
  "GET /sockets": () => sockets.size,
  "POST /gc": collect,
  "POST /broadcast": (n, size) => repeat(n, size, (m) => service.publish(everyone, m)),
  "POST /burst": burst,
  "POST /victim": chooseVictim,
  "POST /fill": fill,
};

const control = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request) {
    const url = new URL(request.url);
    const action = actions[`${request.method} ${url.pathname}`];
    if (!action) return new Response("Bun cannot tell that", { status: 501 });
    const amount = ["n", "size"].map((name) => Number(url.searchParams.get(name)));
    try {
      return Response.json(action(...amount));
    } catch (e) {
      return new Response(String(e.message), { status: 500 });
    }
  },
});

process.stdin.on("end", () => process.exit(0)).resume();
console.log(JSON.stringify({
  Service: `127.0.0.1:${service.port}`,
  Control: `127.0.0.1:${control.port}`,
}));
