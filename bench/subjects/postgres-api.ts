/** A replica on PostgreSQL that starts operations and runs none. */
import { createServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { connectPostgres } from "../../src/store/postgres/index.js";
import { type PrintRequest, PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { runListening } from "../child-side.js";
import { databaseUrl } from "./postgres-url.js";
import { Print } from "./print.js";

const operations = createOperations(await connectPostgres({ connectionString: databaseUrl() }));
const print = (request: PrintRequest) => operations.start(Print, request);

const server = createServer({
  routes: (router) =>
    router.service(Operations, operations.service).service(PrintService, { print }),
});
const { port } = await server.listen();
runListening(port);
