/** ListOperations of 1,000 operations over REST, compact. */
import { runClient } from "../child-side.js";
import { httpCaller } from "./http-client.js";
import { listParent } from "./listed-operations.js";

runClient((baseUrl) =>
  httpCaller(baseUrl, {
    method: "GET",
    path: `/v1/${listParent}/operations?pageSize=1000&alt=json&prettyPrint=false`,
    headers: { accept: "application/json" },
  }),
);
