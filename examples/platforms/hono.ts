// Hono, here on Node; on Bun, Deno and Workers the app is the same.
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { web } from "./service.ts";

const app = new Hono();
app.get("/hello", (context) => context.text("hello"));
app.mount("/", web.fetch);
serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 8080) });
