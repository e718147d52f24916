/** Operations whose work is done at once, by our service with its memory store. */
import { createServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { createMemoryStore } from "../../src/store/index.js";
import { PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { runListening } from "../child-side.js";
import { Print } from "./print.js";

// As many as a server can start while it is measured.
const operations = createOperations({ store: createMemoryStore({ maxOperations: 10_000_000 }) });
const print = operations.handle(Print, ({ request: { pages } }) => ({ pages }));

const server = createServer({
  routes: (router) =>
    router.service(Operations, operations.service).service(PrintService, { print }),
});
const { port } = await server.listen();
runListening(port);
