// The page of the chat: one room at a time, whose name is behind the # of the
// address.

import { connect } from "./connection.js";
import * as view from "./view.js";

const $ = selector => document.querySelector(selector);
const names = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Ken"];
let connection = null;

const roomOf = hash => {
  try {
    return decodeURIComponent(hash.slice(1)) || "lobby";
  } catch {
    return "lobby";
  }
};

// enter leaves the room that this tab is in and goes into the one of the address.
function enter() {
  connection?.leave();
  const room = roomOf(location.hash), name = $("#name").value;
  view.enter(room, name);
  connection = connect(room, name, {
    history: message => view.history(message.said),
    said: message => view.say(message),
    who: message => view.who(message),
    rooms: message => view.rooms(message.rooms),
  }, view.state);
}

$("#name").value = sessionStorage.getItem("name") ?? names[Math.floor(Math.random() * names.length)];
$("#name").addEventListener("change", () => {
  if (!$("#name").reportValidity()) return;
  sessionStorage.setItem("name", $("#name").value);
  enter();
});
$("#name").addEventListener("keydown", event => event.key === "Enter" && event.target.blur());
$("#go").addEventListener("submit", event => {
  event.preventDefault();
  location.hash = encodeURIComponent($("#other").value);
  $("#other").value = "";
});
$("#say").addEventListener("submit", event => {
  event.preventDefault();
  if ($("#text").value !== "" && connection.say($("#text").value)) $("#text").value = "";
});
addEventListener("hashchange", enter);
enter();
