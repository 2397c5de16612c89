// A connection to a room, which comes back when it was lost.

const shortest = 500, longest = 10_000; // milliseconds until the next attempt
const loggedOut = 4001; // the code with which the server ends the sockets of a session

// connect enters the room. It calls handlers[message.type] for every message,
// and state("open", "away" or "logged out") as it changes, until leave is called.
export function connect(room, handlers, state) {
  let socket, timer, attempts = 0, left = false;

  // A browser sends no headers of ours with a WebSocket, and what is in its address ends up
  // in logs. So who we are is in a ticket, good for one socket, which the cookie gets us.
  async function open() {
    let ticket;
    try {
      const answer = await fetch("ticket", { method: "POST" });
      if (left) return;
      if (answer.status === 401) return state("logged out");
      if (!answer.ok) return away();
      ticket = await answer.text();
    } catch {
      return away();
    }
    if (left) return;
    const url = `${location.origin.replace(/^http/, "ws")}/rooms/${encodeURIComponent(room)}`;
    socket = new WebSocket(url, ["chat.v1", `ticket.${ticket}`]);
    socket.onopen = () => {
      if (left) return;
      attempts = 0;
      state("open");
    };
    socket.onmessage = event => {
      if (left) return;
      const message = JSON.parse(event.data);
      handlers[message.type]?.(message);
    };
    socket.onclose = event => event.code === loggedOut && !left ? state("logged out") : away();
  }

  function away() {
    if (left) return;
    state("away");
    // Some chance keeps everybody from coming back in the same moment.
    const wait = Math.min(longest, shortest * 2 ** attempts++) * (.5 + Math.random());
    timer = setTimeout(open, wait);
  }

  open();
  return {
    // say reports whether the message could be sent.
    say(text) {
      if (socket?.readyState !== WebSocket.OPEN) return false;
      socket.send(text);
      return true;
    },
    leave() {
      left = true;
      clearTimeout(timer);
      socket?.close(1000);
    },
  };
}
