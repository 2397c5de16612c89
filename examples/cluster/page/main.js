"use strict";
const $ = id => document.getElementById(id);
let own = ""; // id of the own socket
let ws;

function element(tag, text, className) {
  const e = document.createElement(tag);
  e.textContent = text;
  if (className) e.className = className;
  return e;
}

// A socket id begins with ten characters that name its node.
const nodeOf = id => id.slice(0, 10);

function say(item) {
  $("talk").append(item);
  item.scrollIntoView({ block: "nearest" });
}

// connect comes back after every end of the connection: the balancer has another node.
function connect() {
  ws = new WebSocket(`ws://${location.host}/ws`);
  ws.onmessage = event => {
    const line = JSON.parse(event.data);
    if (line.you) {
      own = line.you;
      $("state").textContent = `connected to ${nodeOf(own)}`;
      $("state").className = "pill good";
      say(element("li", `connected to node ${nodeOf(own)}`, "note"));
      return;
    }
    const item = element("li", "");
    item.append(element("code", nodeOf(line.from), "muted"), " ", line.text);
    say(item);
  };
  ws.onclose = () => {
    own = "";
    $("state").textContent = "reconnecting";
    $("state").className = "pill bad";
    setTimeout(connect, 200 + Math.random() * 300);
  };
}

$("say").onsubmit = event => {
  event.preventDefault();
  if (!own) return; // the text stays until there is a connection
  ws.send(JSON.stringify({ text: event.target.text.value }));
  event.target.reset();
};

function button(text, action, node, enabled) {
  const b = element("button", text);
  b.disabled = !enabled;
  b.onclick = async () => {
    b.disabled = true;
    await fetch(`/${action}?node=${node.name}`, { method: "POST" });
  };
  return b;
}

function row(node) {
  const tr = document.createElement("tr");
  tr.dataset.node = node.name;
  tr.append(element("td", ""), element("td", node.state, node.state), element("td", node.sockets),
    element("td", `${Math.max(0, (Date.now() - new Date(node.last_heard)) / 1000).toFixed(0)} s ago`, "muted"));
  tr.firstChild.append(element("code", node.name), " ", element("span", node.version, "muted"));
  const actions = element("td", "");
  const up = node.state === "up";
  actions.append(button("drain", "drain", node, up), " ", button("kill -9", "kill", node, up));
  tr.append(actions);
  return tr;
}

async function refresh() {
  try {
    const response = await fetch("/state");
    if (response.ok) show(await response.json());
  } catch { /* the balancer is away; the next try shows when it is back */ }
  setTimeout(refresh, 700);
}

function show(state) {
  $("nodes").replaceChildren(...state.nodes.map(row));
  $("silent").hidden = !state.silent;
  $("silent").textContent = `no answer from ${(state.silent ?? []).join(", ")}: their sockets are not listed`;
  $("groups").replaceChildren(...Object.entries(state.groups).map(([name, n]) => element("li", `${name}: ${n}`)));
  $("count").textContent = state.sockets?.length ?? 0;
  $("sockets").replaceChildren(...(state.sockets ?? []).map(id => element("li", id + (id === own ? " (you)" : ""))));
}

connect();
refresh();
