// Small helpers for elements. Text is only ever set as text: what clients send
// is never read as HTML.

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

// json returns a value as indented, coloured JSON.
export function json(value) {
  const out = document.createDocumentFragment();
  const token = /("(?:\\.|[^"\\])*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;
  const text = JSON.stringify(value, null, 2);
  let at = 0;
  for (const m of text.matchAll(token)) {
    out.append(text.slice(at, m.index), el("span", m[2] ? "key" : m[1] ? "str" : "num", m[1] ?? m[0]), m[2] ?? "");
    at = m.index + m[0].length;
  }
  out.append(text.slice(at));
  return out;
}

// bytes and their forms for people and for JSON.
export const hex = bytes => Array.from(bytes, b => b.toString(16).padStart(2, "0")).join(" ");
export const base64 = bytes => btoa(String.fromCharCode(...bytes));
export const fromBase64 = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));

// fromHex returns the bytes that the text spells, or null.
export function fromHex(text) {
  const digits = text.replace(/\s+/g, "");
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) return null;
  return Uint8Array.from(digits.match(/../g) ?? [], d => parseInt(d, 16));
}
