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
  $("#warned").hidden = state.warnings.length === 0;
  $("#warnings").replaceChildren(...state.warnings.map(place));
}

const place = p => el("li", "", el("code", "place", `${p.file}:${p.line}`), el("span", "", p.text), p.code ? el("pre", "", p.code) : "");

const count = (what, name) => {
  const n = what.length ?? what;
  return `${n} ${name}${n === 1 ? "" : "s"}`;
};

function problems({ problems, deployed }) {
  $("#refused").hidden = problems.length === 0;
  $("#still").textContent = deployed ? `What was deployed at ${clock(deployed)} goes on serving.` : "Nothing serves yet.";
  $("#problems").replaceChildren(...problems.map(place));
}

// amount writes a number with its unit, short.
function amount(n, unit) {
  if (unit === "s") return n < 1 ? `${(n * 1000).toPrecision(2)} ms` : `${n} s`;
  if (unit === "B") return n < 2 ** 20 ? `${Math.ceil(n / 1024)} KiB` : `${Math.round(n / 2 ** 20)} MiB`;
  return n.toLocaleString("en");
}

// nearest shows the bound that a run of the script came nearest to; the others are in
// its title.
function nearest(bounds) {
  const limited = bounds.filter(b => b.limit > 0).map(b => ({ ...b, share: b.most / b.limit }));
  const b = limited.sort((x, y) => y.share - x.share)[0];
  if (!b || b.share === 0) return el("td", "bounds", "–");
  const meter = el("meter");
  Object.assign(meter, { value: b.share, high: .8, optimum: 0 });
  meter.ariaLabel = `${b.name}: ${Math.round(b.share * 100)} %`;
  const text = `${b.name} ${b.share < .01 ? "< 1" : Math.round(b.share * 100)} %`;
  const cell = el("td", "bounds", meter, el("small", "", text));
  cell.title = limited.map(b => `${b.name}: ${amount(b.most, b.unit)} of ${amount(b.limit, b.unit)}`).join("\n");
  return cell;
}

function row(s) {
  return el("tr", "",
    el("td", "", el("b", "", s.route || s.event || "event handler"), el("code", "", s.file),
      s.refused ? el("small", "refused", ` ${s.refused} refused`) : ""),
    el("td", "num", s.runs), el("td", s.errors ? "num failed" : "num", s.errors),
    el("td", "num", s.runs ? Math.round(s.micros) : "–"), nearest(s.bounds));
}
