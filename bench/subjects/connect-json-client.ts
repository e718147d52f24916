/** GetOperation by the Connect protocol in JSON. */
import { Operations } from "../../src/protos.js";
import { runClient } from "../child-side.js";
import { httpCaller } from "./http-client.js";
import { operation } from "./operation.js";

const body = JSON.stringify({ name: operation.name });

runClient((baseUrl) =>
  httpCaller(baseUrl, {
    method: "POST",
    path: `/${Operations.typeName}/GetOperation`,
    headers: {
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(body)),
      "connect-protocol-version": "1",
    },
    body,
  }),
);
