// Next, app router: the catch-all segment passes every path to the handler.
import { web } from "../../../service.ts";

export const dynamic = "force-dynamic";
export const { fetch: GET, fetch: POST, fetch: PATCH, fetch: PUT, fetch: DELETE } = web;
