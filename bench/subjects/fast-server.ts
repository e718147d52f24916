/** GetOperation by createServer and a handler that returns a constant Operation. */
import { createServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { runListening } from "../child-side.js";
import { operation } from "./operation.js";

const server = createServer({
  routes: (router) => router.service(Operations, { getOperation: () => operation }),
});
const { port } = await server.listen();
runListening(port);
