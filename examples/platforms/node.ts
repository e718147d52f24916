// node node.ts: TypeScript without a build, on Node 22.18 and newer.
import { createServer } from "node:http";
import { createNodeListener } from "connect-longrunning/node";
import { web } from "./service.ts";

const server = createServer(createNodeListener(web.handler));
server.listen(Number(process.env.PORT ?? 8080));
