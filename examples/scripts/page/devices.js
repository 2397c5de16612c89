// Devices that this page plays, and the feed on which it sees all of them. Shown
// where the solution has the two routes.

import { $, el, open } from "./dom.js";

const needed = ["/devices/{id}", "/feed"];
const most = 6; // devices of this page
const period = 700; // milliseconds between two reports
const points = 40;
const rows = new Map(); // by the device's name
let feed = null, average = null, count = 0, own = 0;
const mark = Math.random().toString(36).slice(2, 5);

export function show(routes) {
  const possible = needed.every(r => routes.includes(r));
  $("#devices").hidden = !possible;
  if (possible && !feed) follow();
  const timed = routes.includes("/feed/average");
  $("#more-devices").hidden = !timed;
  if (timed && !average) listen();
}

// listen shows what the timer of the solution tells.
function listen() {
  average = open("/feed/average");
  average.onmessage = event => {
    const { devices, average: value } = JSON.parse(event.data);
    $("#average").textContent = devices === 0 ? "No device has a temperature."
      : `${value.toFixed(1)} °C on average of ${devices} device${devices === 1 ? "" : "s"}, says the timer.`;
  };
  average.onclose = () => { average = null; };
}

// reportOnce is a device without a socket.
async function reportOnce() {
  const temperature = Math.round(180 + 80 * Math.random()) / 10;
  await fetch(`api/devices/meter-${mark}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ temperature }),
  }).catch(() => {}); // the page says already that the server does not answer
}

function follow() {
  feed = open("/feed");
  feed.onmessage = event => {
    const { device, temperature, gone } = JSON.parse(event.data);
    if (gone) drop(device);
    else report(device, temperature);
  };
  feed.onclose = () => {
    feed = null; // the next look at the routes opens it again
    for (const device of [...rows.keys()]) drop(device);
  };
}

function drop(device) {
  rows.get(device)?.item.remove();
  rows.delete(device);
  $("#no-device").hidden = rows.size > 0;
}

function report(device, temperature) {
  let row = rows.get(device);
  if (!row) {
    row = { values: [], line: document.createElementNS("http://www.w3.org/2000/svg", "polyline"), value: el("b") };
    const chart = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    chart.setAttribute("viewBox", "0 0 200 36");
    chart.setAttribute("preserveAspectRatio", "none");
    chart.append(row.line);
    row.item = el("li", "", el("span", "", device), chart, row.value);
    rows.set(device, row);
    $("#readings").append(row.item);
    $("#no-device").hidden = true;
  }
  row.values.push(temperature);
  if (row.values.length > points) row.values.shift();
  row.value.textContent = `${temperature.toFixed(1)} °C`;
  row.line.setAttribute("points", polyline(row.values));
}

function polyline(values) {
  const low = Math.min(...values) - .5, high = Math.max(...values) + .5;
  return values.map((v, i) => `${200 - (values.length - 1 - i) * 200 / (points - 1)},${34 - 32 * (v - low) / (high - low)}`).join(" ");
}

// play opens a socket that reports a temperature, which wanders.
function play() {
  const socket = open(`/devices/sensor-${mark}-${++count}`);
  let temperature = 18 + 8 * Math.random(), drift = 0, timer = 0;
  own++;
  const step = () => {
    drift = .8 * drift + (Math.random() - .5);
    temperature += .5 * drift;
    socket.send(JSON.stringify({ temperature: Math.round(temperature * 10) / 10 }));
  };
  socket.onopen = () => { step(); timer = setInterval(step, period); };
  socket.onclose = () => {
    clearInterval(timer);
    own--;
    $("#start-device").disabled = false;
  };
  $("#start-device").disabled = own >= most;
}

export function start() {
  $("#start-device").addEventListener("click", play);
  $("#report").addEventListener("click", reportOnce);
}
