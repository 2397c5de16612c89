import * as operations from "./operations.js";
import * as server from "./server.js";
import * as visitor from "./visitor.js";

visitor.start();
server.start();
operations.start(server.some);
