// The sockets that this tab opens on the routes of the solution.

import { $, $$, clock, el, fromHex, hex, open } from "./dom.js";

const kept = 300; // lines of a conversation
const sockets = new Set();
let active = null, patterns = [], count = 0;

const names = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Ken"];
const name = names[Math.floor(Math.random() * names.length)];

// Where to begin with the routes of the bundled solution. A sample that begins
// with "hex " is sent as bytes.
const hints = {
  "/chat/{room}": { path: () => `/chat/lobby?name=${names[(names.indexOf(name) + count) % names.length]}`, samples: ["Hello, everybody", "Is this thing on?"] },
  "/devices/{id}": { path: () => `/devices/boiler-${count + 1}`, samples: ['{"temperature": 21.5}', '{"temperature": "hot"}', "not JSON"] },
  "/feed": { path: () => "/feed", samples: [] },
  "/bytes": { path: () => "/bytes", samples: ["hex 01 02 03 ff", "some text"] },
};

// pathOf is a path that the pattern matches.
const pathOf = pattern => hints[pattern]?.path() ?? pattern.replace(/\{(\w+)(\.\.\.)?\}/g, "$1");

class Socket {
  constructor(pattern, path) {
    count++;
    Object.assign(this, { pattern, path, lines: el("ol"), unread: 0, socket: open(path) });
    const from = document.activeElement;
    this.socket.onopen = () => {
      this.opened = true;
      this.note("open");
      render();
      if (this === active && document.activeElement === from) $("#text").focus(); // who has gone elsewhere stays there
    };
    this.socket.onmessage = event => this.receive(event.data);
    this.socket.onclose = event => {
      this.note(ending(event, this.opened), event.code !== 1000);
      render();
    };
  }

  get isOpen() { return this.socket.readyState === WebSocket.OPEN; }

  send(data) {
    this.socket.send(data);
    this.add(bubble(data, "you", "own"));
  }

  receive(data) {
    this.add(bubble(typeof data === "string" ? data : new Uint8Array(data), clock(), ""));
  }

  note(text, bad = false) { this.add(el("li", bad ? "note bad" : "note", text)); }

  add(line) {
    const talk = $("#talk");
    const follow = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 40;
    this.lines.append(line);
    if (this.lines.childElementCount > kept) this.lines.firstElementChild.remove();
    if (this !== active) {
      this.unread++;
      render();
    } else if (follow) {
      talk.scrollTop = talk.scrollHeight;
    }
  }

  remove() {
    this.socket.close(1000);
    sockets.delete(this);
    if (this === active) active = [...sockets].at(-1) ?? null;
    render();
  }
}

// ending says how a socket ended. Pages are not told why an upgrade was refused.
function ending({ code, reason }, opened) {
  if (!opened) return "not connected: no route has this path, or the server cannot be reached";
  if (code === 1006) return "the connection was lost (1006): open another socket";
  return `closed with ${code}${reason && `, “${reason}”`}`;
}

function bubble(data, caption, kind) {
  if (typeof data === "string") return el("li", `said ${kind}`, el("small", "", caption), /^[[{]/.test(data) ? el("code", "", data) : data);
  return el("li", `said ${kind}`, el("small", "", `${caption}, ${data.length} bytes`), el("code", "", hex(data)));
}

function show(socket) {
  active = socket;
  if (active) active.unread = 0;
  render();
  $("#talk").scrollTop = $("#talk").scrollHeight;
}

function render() {
  const focused = $$("#tabs button").indexOf(document.activeElement);
  $("#tabs").replaceChildren(...Array.from(sockets, chip));
  $$("#tabs button")[focused]?.focus();
  $("#talk").replaceChildren(active ? active.lines : el("p", "empty", "No socket is open in this tab yet."));
  for (const field of $$("#say *:not(option)")) field.disabled = !active?.isOpen;
  const samples = active?.isOpen ? hints[active.pattern]?.samples ?? [] : [];
  $("#samples").replaceChildren(...samples.map(text => {
    const button = el("button", "", text.replace(/^hex /, "bytes "));
    button.onclick = () => active.send(text.startsWith("hex ") ? fromHex(text.slice(4)) : text);
    return button;
  }));
}

function chip(socket) {
  const choose = el("button", "", socket.path.split("?")[0]);
  choose.title = socket.path;
  choose.ariaPressed = String(socket === active);
  if (socket.unread > 0) choose.append(el("b", "", socket.unread));
  choose.onclick = () => show(socket);
  const remove = el("button", "", "×");
  remove.ariaLabel = `Close ${socket.path}`;
  remove.onclick = () => socket.remove();
  return el("div", `chip${socket === active ? " active" : ""}${socket.isOpen ? " open" : ""}`, choose, remove);
}

// routes shows the routes that are deployed now.
export function routes(now) {
  if (now.join() === patterns.join()) return;
  patterns = now;
  const chosen = $("#route").value;
  $("#route").replaceChildren(...now.map(p => new Option(p, p)));
  if (now.includes(chosen)) $("#route").value = chosen;
  else suggest();
}

function suggest() {
  $("#path").value = $("#route").value ? pathOf($("#route").value) : "";
}

export function start() {
  $("#route").addEventListener("change", suggest);
  $("#open").addEventListener("submit", event => {
    event.preventDefault();
    const socket = new Socket($("#route").value, $("#path").value);
    sockets.add(socket);
    show(socket);
    suggest();
  });
  $("#say").addEventListener("submit", event => {
    event.preventDefault();
    const field = $("#text"), asHex = $("#as").value === "hex";
    if (!active?.isOpen || field.value === "") return;
    const bytes = asHex ? fromHex(field.value) : null;
    field.setCustomValidity(asHex && !bytes ? "Bytes are pairs of hex digits, as in: de ad be ef" : "");
    if (!field.reportValidity()) return;
    active.send(bytes ?? field.value);
    field.value = "";
  });
  $("#text").addEventListener("input", () => $("#text").setCustomValidity(""));
  render();
}
