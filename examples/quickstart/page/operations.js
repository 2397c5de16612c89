// The operations, as calls of the app's JSON API, and the list of what was
// called and answered.

import { $, $$, clock, el } from "./dom.js";

const shown = 100; // calls in the list
const called = new EventTarget();

// onCalled calls fn after every operation.
export const onCalled = fn => called.addEventListener("called", fn);

// ask makes a request and returns its status and the value of its JSON answer.
export async function ask(method, path, body) {
  const answer = await fetch(path, { method, body: body && JSON.stringify(body) });
  const text = await answer.text();
  return { status: answer.status, value: text === "" ? null : JSON.parse(text) };
}

// call is ask that puts the call and its answer, whatever it is, into the list.
export async function call(method, path, body) {
  let answer;
  try {
    answer = await ask(method, path, body);
  } catch (problem) {
    answer = { status: 0, value: `no answer: ${problem.message}` };
  }
  record(method, path, body, answer);
  called.dispatchEvent(new Event("called"));
  return answer;
}

const of = id => `/api/sockets/${encodeURIComponent(id)}`;

export const send = (id, message, type) => call("POST", `${of(id)}/send`, { message, type });
export const close = id => call("DELETE", of(id));
export const closeAll = () => call("DELETE", "/api/sockets");
export const list = () => ask("GET", "/api/sockets");

function record(method, path, body, { status, value }) {
  const failed = status === 0 || status >= 400;
  const item = el("li", failed ? "call failed" : "call",
    el("span", "status", status || "—"),
    el("code", "request", `${method} ${path}${body ? " " + short(JSON.stringify(body)) : ""}`),
    el("time", "", clock()),
    el("code", "answer", value === null ? "no content" : JSON.stringify(value)));
  $("#log .empty")?.remove();
  $("#log").prepend(item);
  $("#log").children[shown]?.remove();
}

const short = text => text.length > 160 ? `${text.slice(0, 120)}… (${text.length} characters)` : text;

// What fails, for each of the buttons.
const tries = {
  unknown: () => close("nobody-has-this-id"),
  base64: id => send(id ?? "nobody-has-this-id", "%%%", "data-binary"),
  type: id => send(id ?? "nobody-has-this-id", "hello", "data-picture"),
  large: id => send(id, "x".repeat(2 << 20), "data-text"),
  upgrade: () => call("GET", "/echo"),
  route: () => call("GET", "/rooms/a/b"),
};

// start makes the buttons work; socket returns the id of some socket, or
// undefined.
export function start(socket) {
  for (const button of $$("[data-try]")) {
    button.addEventListener("click", () => tries[button.dataset.try](socket()));
  }
}
