// What is deployed, what is wrong with the latest edit, and what each script
// has done.

import { $, clock, el } from "./dom.js";

let shown = ""; // what the table was made of

export function lost() {
  pill("no answer, trying again", "bad");
  shown = ""; // what comes next is shown again
}

// pill sets the state; the text only if it is another: it is read out to those who
// do not see it.
function pill(text, kind) {
  if ($("#state").textContent !== text) $("#state").textContent = text;
  $("#state").className = `pill ${kind}`;
}

export function show({ state, scripts, open }) {
  const text = JSON.stringify([state, scripts, open]);
  if (text === shown) return; // keeps what a person has marked
  shown = text;
  const refused = state.problems.length > 0;
  if (state.deployed === 0) pill("nothing is deployed", "bad");
  else pill(`serving ${count(state.routes, "route")}, ${count(open, "socket")}`, refused ? "bad" : "good");
  problems(state);
  $("#source").replaceChildren(...state.source === ""
    ? ["It comes with the example, inside the program."]
    : [el("code", "", state.source), state.deployed ? `, deployed at ${clock(state.deployed)}` : ""]);
  $("#scripts").replaceChildren(...scripts.map(row));
  const more = state.modules.map(file => el("code", "", file));
  $("#modules").hidden = more.length === 0;
  $("#modules").replaceChildren("Modules: ", ...more.flatMap((m, i) => i ? [" ", m] : [m]));
  $("#warnings").replaceChildren(...state.warnings.map(w => el("li", "", el("code", "", `${w.file}:${w.line}`), ` ${w.text}`)));
}

const count = (what, name) => {
  const n = what.length ?? what;
  return `${n} ${name}${n === 1 ? "" : "s"}`;
};

function problems({ problems, deployed }) {
  $("#refused").hidden = problems.length === 0;
  $("#still").textContent = deployed ? `What was deployed at ${clock(deployed)} goes on serving.` : "Nothing serves yet.";
  $("#problems").replaceChildren(...problems.map(p => el("li", "",
    el("code", "place", `${p.file}:${p.line}`), el("span", "", p.text), p.code ? el("pre", "", p.code) : "")));
}

function row(s) {
  return el("tr", "",
    el("td", "", el("b", "", s.route || "event handler"), el("code", "", s.file)),
    el("td", "num", s.runs), el("td", s.errors ? "num failed" : "num", s.errors),
    el("td", "num", s.runs ? Math.round(s.micros) : "–"));
}
