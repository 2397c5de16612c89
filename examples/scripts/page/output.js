// What scripts print, and how they fail.

import { $, clock, el } from "./dom.js";

const kept = 200;
let last = 0; // the number of the latest entry

export const latest = () => last;

export function show(entries) {
  if (entries.length === 0) return;
  if (entries[0].number <= last) $("#log").replaceChildren(); // another process
  last = entries.at(-1).number;
  const log = $("#log");
  const follow = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  $(".empty", log)?.remove();
  log.append(...entries.map(line));
  while (log.childElementCount > kept) log.firstElementChild.remove();
  if (follow) log.scrollTop = log.scrollHeight;
}

function line(e) {
  const place = e.line ? `${e.script}:${e.line}` : e.script ?? "";
  const item = el("li", e.level, el("time", "", clock(e.time)), el("code", "place", place), el("span", "what", e.text));
  if (e.detail) item.append(el("pre", "", e.detail));
  return item;
}
