// The page of the chat: one room at a time, whose name is behind the # of the
// address.

import { connect } from "./connection.js";
import * as view from "./view.js";

const $ = selector => document.querySelector(selector);
const names = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Ken"];
let connection = null;

let name = sessionStorage.getItem("name") || names[Math.floor(Math.random() * names.length)];

const roomOf = hash => {
  try {
    return decodeURIComponent(hash.slice(1)).trim() || "lobby";
  } catch {
    return "lobby";
  }
};

// canBe reports whether the server has a room of that name. A browser takes the
// names of one and of two dots for steps in a path.
const canBe = room => [...room].length <= 40 && ![".", ".."].includes(room) && !room.includes("\0");

// enter leaves the room that this tab is in and goes into the one of the address.
function enter() {
  connection?.leave();
  connection = null;
  const room = roomOf(location.hash);
  view.enter(room, name);
  if (!canBe(room)) return view.refuse();
  connection = connect(room, name, {
    history: message => view.history(message.said),
    said: message => view.say(message),
    who: message => view.who(message),
    rooms: message => view.rooms(message.rooms),
  }, view.state);
}

$("#name").value = name;
$("#name").addEventListener("blur", () => {
  const wanted = $("#name").value.trim() || name; // without a name, the old one stays
  $("#name").value = wanted;
  if (wanted === name) return;
  name = wanted;
  sessionStorage.setItem("name", name);
  enter();
});
$("#name").addEventListener("keydown", event => event.key === "Enter" && event.target.blur());
$("#go").addEventListener("submit", event => {
  event.preventDefault();
  location.hash = encodeURIComponent($("#other").value.trim());
  $("#other").value = "";
});
$("#say").addEventListener("submit", event => {
  event.preventDefault();
  const text = $("#text").value.trim();
  if (text !== "" && connection?.say(text)) $("#text").value = "";
});
addEventListener("hashchange", enter);
enter();
