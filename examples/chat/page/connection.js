// A connection to a room, which comes back when it was lost.

const shortest = 500, longest = 10_000; // milliseconds until the next attempt

// connect enters the room. It calls handlers[message.type] for every message,
// and state("open" or "away") as it changes, until leave is called.
export function connect(room, name, handlers, state) {
  let socket, timer, attempts = 0, left = false;

  function open() {
    const url = `${location.origin.replace(/^http/, "ws")}/rooms/${encodeURIComponent(room)}`;
    socket = new WebSocket(`${url}?${new URLSearchParams({ name })}`);
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
    socket.onclose = () => {
      if (left) return;
      state("away");
      // Some chance keeps everybody from coming back in the same moment.
      const wait = Math.min(longest, shortest * 2 ** attempts++) * (.5 + Math.random());
      timer = setTimeout(open, wait);
    };
  }

  open();
  return {
    // say reports whether the message could be sent.
    say(text) {
      if (socket.readyState !== WebSocket.OPEN) return false;
      socket.send(text);
      return true;
    },
    leave() {
      left = true;
      clearTimeout(timer);
      socket.close(1000);
    },
  };
}
