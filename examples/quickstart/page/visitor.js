// The sockets that this tab opens, as a visitor's browser would.

import { $, $$, clock, el, hex } from "./dom.js";

const kept = 300; // lines of a conversation
const visitors = new Set();
let active = null;
let count = 0;

// mark is in the query of every socket of this tab, so that the list of the
// server's sockets can tell which are ours.
const mark = Math.random().toString(36).slice(2, 8);
export const isOurs = info => info.parameters.tab === mark;

// onChanged calls fn when a socket of this tab has opened or closed.
const changed = new EventTarget();
export const onChanged = fn => changed.addEventListener("changed", fn);

class Visitor {
  constructor(path, name) {
    this.isRoom = name !== null;
    this.label = name === null ? `echo ${++count}` : `${decodeURIComponent(path.split("/")[2])} · ${name}`;
    const query = new URLSearchParams({ tab: mark, ...(name !== null && { name }) });
    this.lines = el("ol");
    this.unread = 0;
    this.socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}${path}?${query}`);
    this.socket.binaryType = "arraybuffer";
    const from = document.activeElement;
    this.socket.onopen = () => {
      this.opened = true;
      if (!this.isRoom) this.note("open: what you send comes back");
      this.changed();
      if (this === active && document.activeElement === from) $("#text").focus(); // who has gone elsewhere stays there
    };
    this.socket.onmessage = event => this.receive(event.data);
    this.socket.onclose = event => {
      this.note(ending(event, this.opened), event.code !== 1000);
      this.changed();
    };
  }

  changed() {
    render();
    changed.dispatchEvent(new Event("changed"));
  }

  get isOpen() { return this.socket.readyState === WebSocket.OPEN; }

  send(text, binary) {
    this.socket.send(binary ? new TextEncoder().encode(text) : text);
    if (!this.isRoom || binary) this.add(bubble(text, binary ? "you, binary" : "you", "own"));
  }

  receive(data) {
    if (typeof data !== "string") {
      const bytes = new Uint8Array(data);
      return this.add(bubble(el("code", "", hex(bytes)), `${bytes.length} bytes`, this.isRoom ? "server" : ""));
    }
    const notice = this.isRoom && noticeOf(data);
    if (!notice) return this.add(bubble(data, this.isRoom ? "the server, to this socket" : "echo", this.isRoom ? "server" : ""));
    const own = notice.socket_id === this.id;
    switch (notice.type) {
      case "welcome":
        this.id = notice.socket_id;
        return;
      case "said":
        return this.add(bubble(notice.text, `${notice.from}, ${clock(notice.time)}`, own ? "own" : ""));
      case "joined":
        return this.note(own ? `you are in ${notice.room}` : `${notice.from} came in`);
      case "left":
        return this.note(`${notice.from} left`);
    }
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
    visitors.delete(this);
    if (this === active) active = [...visitors].at(-1) ?? null;
    render();
  }
}

// ending says how a socket ended. Pages are not told why an upgrade was refused.
function ending({ code, reason }, opened) {
  if (!opened) return "not connected: the server refused this path, or cannot be reached";
  if (code === 1006) return "the connection was lost (1006): open another socket";
  return `closed with ${code}${reason && `, “${reason}”`}`;
}

function bubble(content, caption, kind) {
  return el("li", `said ${kind}`, el("small", "", caption), content);
}

// noticeOf returns the room's notice that the text is, or null.
function noticeOf(text) {
  try {
    const v = JSON.parse(text);
    return ["welcome", "joined", "said", "left"].includes(v?.type) && v.socket_id ? v : null;
  } catch {
    return null;
  }
}

function show(visitor) {
  active = visitor;
  if (active) active.unread = 0;
  render();
  $("#talk").scrollTop = $("#talk").scrollHeight;
}

function render() {
  const focused = $$("#tabs button").indexOf(document.activeElement);
  $("#tabs").replaceChildren(...Array.from(visitors, chip));
  $$("#tabs button")[focused]?.focus();
  $("#talk").replaceChildren(active ? active.lines : el("p", "empty", "No socket is open in this tab yet."));
  for (const field of $$("#say *:not(option)")) field.disabled = !active?.isOpen;
  $("#as").hidden = active !== null && active.isRoom;
}

function chip(visitor) {
  const choose = el("button", "", visitor.label);
  choose.ariaPressed = String(visitor === active);
  if (visitor.unread > 0) choose.append(el("b", "", visitor.unread));
  choose.onclick = () => show(visitor);
  const remove = el("button", "", "×");
  remove.ariaLabel = `Close ${visitor.label}`;
  remove.onclick = () => visitor.remove();
  return el("div", `chip${visitor === active ? " active" : ""}${visitor.isOpen ? " open" : ""}`, choose, remove);
}

const names = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Ken"];

export function start() {
  $("#name").value = names[Math.floor(Math.random() * names.length)];
  $("#endpoint").addEventListener("change", () => {
    const isRoom = $("#endpoint").value === "room";
    for (const field of $$("[data-for=room]")) {
      field.hidden = !isRoom;
      $("input", field).required = isRoom;
    }
  });
  $("#open").addEventListener("submit", event => {
    event.preventDefault();
    const visitor = $("#endpoint").value === "echo" ? new Visitor("/echo", null)
      : new Visitor(`/rooms/${encodeURIComponent($("#room").value)}`, $("#name").value);
    visitors.add(visitor);
    show(visitor);
  });
  $("#say").addEventListener("submit", event => {
    event.preventDefault();
    if (!active?.isOpen || $("#text").value === "") return;
    active.send($("#text").value, !active.isRoom && $("#as").value === "binary");
    $("#text").value = "";
  });
  render();
}
