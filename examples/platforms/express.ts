// Express 5. The listener works behind express.json(), too: it takes the parsed body.
import { createNodeListener } from "connect-longrunning/node";
import express from "express";
import { web } from "./service.ts";

express()
  .use(express.json())
  .use(createNodeListener(web.handler))
  .listen(Number(process.env.PORT ?? 8080));
