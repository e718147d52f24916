// Fastify 5. Its body parsers are off on these routes, so that the listener reads the body.
import { createNodeListener } from "connect-longrunning/node";
import fastify from "fastify";
import { web } from "./service.ts";

const listener = createNodeListener(web.handler);
const app = fastify();
app.register(async (routes) => {
  routes.removeAllContentTypeParsers();
  routes.addContentTypeParser("*", (_request, _body, done) => done(null));
  routes.all("/*", (request, reply) => {
    reply.hijack();
    listener(request.raw, reply.raw);
  });
});
await app.listen({ port: Number(process.env.PORT ?? 8080) });
