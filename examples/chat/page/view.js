// What the page shows. Text is only ever set as text: what people write is never
// read as HTML.

const $ = selector => document.querySelector(selector);
const kept = 500; // lines
const talk = $("#talk");
let room = "", me = "";
let latest = null; // the message above the next
let follow = true; // the end of the conversation stays in sight
let typing = false; // the field for a message had the focus when the connection was lost
let listed = []; // the rooms

const toEnd = () => { talk.scrollTop = talk.scrollHeight; };
talk.addEventListener("scroll", () => { follow = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 60; });
new ResizeObserver(() => follow && toEnd()).observe(talk);

function el(tag, className = "", ...children) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children);
  return e;
}

// face is a square with the first letter of a name, in a colour of its own.
function face(name) {
  const e = el("span", "face", [...name][0].toUpperCase());
  let sum = 0;
  for (const c of name) sum = (sum * 31 + c.codePointAt(0)) % 9973;
  e.style.background = `oklch(55% .13 ${sum * 137.5 % 360})`; // the golden angle spreads them
  e.ariaHidden = "true";
  return e;
}

export function enter(newRoom) {
  room = newRoom;
  document.title = `${room} · gateway chat`;
  $("#room").textContent = room;
  $("#here").textContent = "";
  $("#who").replaceChildren();
  $("#more").hidden = true;
  talk.replaceChildren();
  rooms(listed);
  state("connecting");
}

// refuse says that there is no such room.
export function refuse() {
  state("not connected");
  talk.replaceChildren(el("li", "empty",
    "There can be no room of this name: it has 1 to 40 characters, and more than one or two dots. Choose another room."));
}

const states = { open: ["connected", "good"], away: ["trying again", "bad"], "not connected": ["not connected", "bad"] };

export function state(now) {
  const [text, kind] = states[now] ?? [now, ""];
  $("#state").textContent = text;
  $("#state").className = `pill ${kind}`;
  if (document.activeElement === $("#text")) typing = true;
  for (const field of document.querySelectorAll("#say *")) field.disabled = now !== "open";
  if (now !== "open") return;
  if (typing && document.activeElement === document.body) $("#text").focus();
  typing = false;
}

// history shows who we are, and what was said before we came.
export function history({ you, said }) {
  me = you;
  $("#you").replaceChildren("You are ", el("b", "", you));
  latest = null;
  talk.replaceChildren(...said.map(line));
  if (said.length === 0) talk.append(el("li", "empty", "Nothing was said here yet."));
  talk.firstElementChild.classList.add("first");
  toEnd();
}

export function say(message) {
  $("#talk .empty")?.remove();
  talk.append(line(message));
  if (talk.childElementCount > kept) talk.firstElementChild.remove();
  talk.firstElementChild.classList.add("first");
  if (follow || message.from === me) toEnd();
}

// line is a message. One that follows another of the same person within five
// minutes has no name above it.
function line(message) {
  const same = latest?.from === message.from && message.time - latest.time < 300_000;
  latest = message;
  const time = el("time", "", new Date(message.time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false }));
  return el("li", `turn${same ? " same" : ""}${message.from === me ? " own" : ""}`,
    face(message.from), el("span", "by", message.from, time), el("span", "what", message.text));
}

export function who({ members, names }) {
  $("#here").textContent = members === 1 ? "only you" : `${members} people`;
  $("#who").replaceChildren(...names.map(name => el("li", name === me ? "own" : "", face(name), name)));
  $("#more").hidden = members <= names.length;
  $("#more").textContent = `and ${members - names.length} more`;
}

export function rooms(list) {
  listed = list;
  const focused = document.activeElement?.dataset.room;
  if (!list.some(r => r.name === room)) list = [{ name: room, members: 0 }, ...list];
  $("#rooms").replaceChildren(...list.map(r => {
    const button = el("button", "", el("span", "", r.name), el("b", "", r.members || ""));
    button.dataset.room = r.name;
    button.ariaLabel = `${r.name}, ${r.members === 1 ? "1 person" : `${r.members} people`}`;
    button.onclick = () => { location.hash = encodeURIComponent(r.name); };
    if (r.name === room) button.ariaCurrent = "true";
    return el("li", "", button);
  }));
  if (focused !== undefined) $(`#rooms [data-room="${CSS.escape(focused)}"]`)?.focus();
}
