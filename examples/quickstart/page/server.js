// All sockets of the server: the list, and the chosen one with what can be done
// to it.

import { $, $$, base64, el, fromBase64, fromHex, hex, json } from "./dom.js";
import * as operations from "./operations.js";
import { isOurs, onChanged } from "./visitor.js";

const interval = 2000; // milliseconds between two looks at the list
const rows = new Map(); // by id
let infos = [];
let chosen = null; // an id
let timer = 0;

// some returns the chosen id, or that of some socket, or undefined.
export const some = () => infos.some(i => i.socket_id === chosen) ? chosen : infos[0]?.socket_id;

// refresh looks at the list now, and again after a while.
async function refresh() {
  clearTimeout(timer);
  try {
    const { status, value } = await operations.list();
    if (status !== 200) throw new Error(value?.error);
    infos = value.sockets;
    say(`serving ${value.total} ${value.total === 1 ? "socket" : "sockets"}`, "good");
    render(value.total);
  } catch {
    say("no answer, trying again", "bad");
  }
  clearTimeout(timer);
  timer = setTimeout(refresh, document.hidden ? 5 * interval : interval);
}

// say sets the state of the server, if it is another: it is read out to those who
// do not see it.
function say(text, kind) {
  const health = $("#health");
  if (health.textContent === text) return;
  health.textContent = text;
  health.className = `pill ${kind}`;
}

function render(total) {
  const seen = new Set(infos.map(i => i.socket_id));
  for (const [id, row] of rows) {
    if (!seen.has(id)) {
      row.remove();
      rows.delete(id);
    }
  }
  infos.sort((a, b) => b.opened - a.opened || (a.socket_id < b.socket_id ? -1 : 1));
  infos.forEach((info, i) => {
    const row = rows.get(info.socket_id) ?? newRow(info);
    update(row.firstChild, info);
    const there = $("#sockets").children[i];
    if (there !== row) $("#sockets").insertBefore(row, there ?? null);
  });
  $("#none").hidden = total > 0;
  $("#close-all").disabled = total === 0;
  $("[data-try=large]").disabled = infos.length === 0;
  renderChosen();
}

function newRow(info) {
  const button = el("button", "row");
  button.dataset.id = info.socket_id;
  button.append(el("span", "uri"), el("span", "age"), el("span", "last"), el("code", "", ellipsis(info.socket_id)));
  button.onclick = () => choose(info.socket_id);
  const row = el("li", "", button);
  rows.set(info.socket_id, row);
  return row;
}

function update(button, info) {
  button.ariaPressed = String(info.socket_id === chosen);
  $(".uri", button).replaceChildren(pathOf(info.uri));
  if (info.values?.name) $(".uri", button).append(` · ${info.values.name}`);
  if (isOurs(info)) $(".uri", button).append(el("span", "tag", "this tab"));
  $(".age", button).textContent = ageOf(info.opened);
  $(".last", button).textContent = lastOf(info);
}

// pathOf returns the path of a URI. It is no URL for a browser if a client has sent
// a host that is none, such as x:99999.
const pathOf = uri => decodeURIComponent(uri.replace(/^\w+:\/\/[^/?]*/, "").replace(/\?.*/s, ""));

const ellipsis = id => `${id.slice(0, 10)}…${id.slice(-6)}`;

function ageOf(opened) {
  const s = Math.max(0, Math.round((Date.now() - opened) / 1000));
  if (s < 60) return `${s} s`;
  return s < 3600 ? `${Math.floor(s / 60)} min` : `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
}

// lastOf says what the socket's latest event was.
function lastOf(info) {
  if (info.type !== "data") return info.type === "open" ? "open, no message yet" : info.type;
  if (info.message === undefined) return `a message of ${info.message_size} bytes`;
  if (info.message_type === "data-text") return `“${info.message}”`;
  return `bytes ${hex(fromBase64(info.message).slice(0, 24))}`;
}

function choose(id) {
  chosen = id;
  for (const button of $$("#sockets .row")) button.ariaPressed = String(button.dataset.id === chosen);
  renderChosen();
}

// renderChosen shows the chosen socket. When it has gone it stays on the page,
// with what was known of it: operations on it fail, and show how.
function renderChosen() {
  $("#chosen").hidden = chosen === null;
  if (chosen === null) return;
  const info = infos.find(i => i.socket_id === chosen);
  $("#chosen-id").textContent = chosen;
  $("#chosen-state").textContent = info ? "" : "gone";
  $("#chosen-state").className = info ? "tag" : "tag bad";
  if (info) renderInfo(info);
}

function renderInfo({ headers, ...info }) {
  const text = JSON.stringify({ ...info, headers }); // the headers last: they are many
  const pre = $("#info pre");
  if (pre.dataset.shows === text) return; // keeps what a person has marked in it
  pre.dataset.shows = text;
  pre.replaceChildren(json(JSON.parse(text)));
}

async function send(event) {
  event.preventDefault();
  const field = $("#message");
  let message = field.value;
  if ($("#type").value === "data-binary") {
    const bytes = fromHex(message);
    field.setCustomValidity(bytes ? "" : "Bytes are pairs of hex digits, as in: de ad be ef");
    if (!field.reportValidity()) return;
    message = base64(bytes);
  }
  const { status } = await operations.send(chosen, message, $("#type").value);
  if (status < 300) field.value = "";
}

export function start() {
  $("#send").addEventListener("submit", send);
  $("#message").addEventListener("input", () => $("#message").setCustomValidity(""));
  $("#type").addEventListener("change", () => {
    $("#message").placeholder = $("#type").value === "data-binary" ? "de ad be ef" : "Message from the server";
    $("#message").setCustomValidity("");
  });
  $("#close").addEventListener("click", () => operations.close(chosen));
  $("#close-all").addEventListener("click", () => operations.closeAll());
  operations.onCalled(refresh);
  onChanged(refresh);
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  refresh();
}
