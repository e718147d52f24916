/** GetOperation over REST, compact as Connect's JSON is. */
import { runClient } from "../child-side.js";
import { httpCaller } from "./http-client.js";
import { operation } from "./operation.js";

runClient((baseUrl) =>
  httpCaller(baseUrl, {
    method: "GET",
    path: `/v1/${operation.name}?alt=json&prettyPrint=false`,
    headers: { accept: "application/json" },
  }),
);
