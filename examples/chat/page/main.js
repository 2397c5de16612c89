// The page of the chat: one room at a time, whose name is behind the # of the
// address.

import { connect } from "./connection.js";
import * as view from "./view.js";

const $ = selector => document.querySelector(selector);
let connection = null;

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
  view.enter(room);
  if (!canBe(room)) return view.refuse();
  connection = connect(room, {
    history: message => view.history(message),
    said: message => view.say(message),
    who: message => view.who(message),
    rooms: message => view.rooms(message.rooms),
  }, now => now === "logged out" ? logIn() : view.state(now));
}

// logIn goes to the form, from where the way leads back into this room.
const logIn = () => location.replace(`login.html${location.hash}`);

$("#leave").addEventListener("click", async () => {
  const answer = await fetch("logout", { method: "POST" }).catch(() => null);
  if (answer?.ok) logIn(); // otherwise the cookie is still there
});
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
