// Small helpers for elements. Text is only ever set as text: what scripts and
// clients send is never read as HTML.

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

// el makes an element with a class and children, which are elements or text.
export function el(tag, className = "", ...children) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children);
  return e;
}

export const clock = (time = Date.now()) => new Date(time).toLocaleTimeString([], { hour12: false });

// hex writes bytes as people read them; fromHex returns those that a text
// spells, or null.
export const hex = bytes => Array.from(bytes, b => b.toString(16).padStart(2, "0")).join(" ");

export function fromHex(text) {
  const digits = text.replace(/\s+/g, "");
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) return null;
  return Uint8Array.from(digits.match(/../g) ?? [], d => parseInt(d, 16));
}

// open opens a WebSocket at a path of this server.
export function open(path) {
  const socket = new WebSocket(location.origin.replace(/^http/, "ws") + path);
  socket.binaryType = "arraybuffer";
  return socket;
}
