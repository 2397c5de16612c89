// The page asks the server again and again what is deployed, and shows it.

import * as devices from "./devices.js";
import * as output from "./output.js";
import * as solution from "./solution.js";
import * as sockets from "./sockets.js";

const interval = 500; // milliseconds

async function refresh() {
  try {
    const answer = await fetch(`api/scripts?after=${output.latest()}`);
    if (!answer.ok) throw new Error(answer.status);
    const view = await answer.json();
    solution.show(view);
    sockets.routes(view.state.routes);
    devices.show(view.state.routes);
    output.show(view.log);
  } catch {
    solution.lost();
  }
  setTimeout(refresh, document.hidden ? 4 * interval : interval);
}

sockets.start();
devices.start();
refresh();
