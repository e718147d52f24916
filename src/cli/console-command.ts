import { randomBytes } from "node:crypto";
import { Option } from "@commander-js/extra-typings";
import { createConsoleHandler } from "../console/console-handler.js";
import { printable, printableJson } from "../display/printable.js";
import { createServer } from "../node/index.js";
import { tellFailure } from "./call-server.js";
import type { CommandContext } from "./command-context.js";
import { createForwardingRouter } from "./console-proxy.js";
import { cannotListen } from "./errors.js";
import { exitCodes } from "./exit-codes.js";
import { failureOf } from "./failure.js";
import { parsePort } from "./port.js";
import { readProtoSet } from "./proto-set.js";
import { serverCommand } from "./server-command.js";

/** The address of the page: only this machine can reach it. */
const host = "127.0.0.1";

/** How long calls may take to finish after a signal to stop, in milliseconds. */
const graceMs = 1000;

/** `longrunning console`: a page for the operations of any server, through a proxy on loopback. */
export function consoleCommand(context: CommandContext, exit: (code: number) => void) {
  return serverCommand("console", "how long one call may take (default: the page's)")
    .summary("open a page for the operations of a server")
    .description(
      "Serve a page on a loopback address that lists, follows, cancels and deletes the operations " +
        "of a server. The printed link holds a token, which the page keeps for its tab: other " +
        "programs and pages cannot use the proxy without it. Ctrl-C ends it.",
    )
    .addOption(
      new Option("--port <number>", "the port of the page; 0 for any free one")
        .argParser(parsePort)
        .default(0),
    )
    .option("--parent <parents...>", "the parents that the page offers; it opens the first one")
    .option("--read-only", "refuse to cancel and to delete")
    .option(
      "--allowed-host <names...>",
      "further host names that the page may be opened by, behind a tunnel; '*' for all",
    )
    .addHelpText(
      "after",
      "\nExample:\n  longrunning console --server https://api.example.com --parent projects/p\n",
    )
    .action(async (options) => {
      const { out } = context.terminal;
      let off: () => void = () => undefined;
      const stopped = new Promise<void>((resolve) => {
        off = context.onSignal(resolve);
      });
      let close: () => Promise<void> = async () => undefined;
      try {
        const protoSet =
          options.protoSet === undefined ? undefined : await readProtoSet(options.protoSet);
        const forwarding = await createForwardingRouter(options, protoSet);
        close = async () => forwarding.close();
        const token = randomBytes(32).toString("base64url");
        const handler = createConsoleHandler(
          forwarding.router,
          {
            path: "/",
            readOnly: options.readOnly === true,
            parents: options.parent,
            registry: protoSet,
          },
          {
            token,
            server: {
              url: options.server.href.replace(/\/+$/, ""),
              protocol: options.protocol,
            },
          },
        );
        const server = createServer({
          // All calls go through the handler, which requires the token.
          routes: () => undefined,
          health: false,
          reflection: false,
          handlers: () => [handler],
          allowedHosts: options.allowedHost?.includes("*") ? "*" : options.allowedHost,
          log: () => undefined,
        });
        close = async () => {
          await server.close({ graceMs });
          forwarding.close();
        };
        const { url } = await server
          .listen({ host, port: options.port })
          .catch((cause: unknown) => {
            throw cannotListen("--port", host, options.port, cause);
          });
        const link = `${url}/#token=${token}`;
        out.write(
          options.json
            ? `${printableJson({ url: link }, 0)}\n`
            : `open ${printable(link)}\nthe page shows ${printable(options.server.href)}; Ctrl-C ends it\n`,
        );
        await stopped;
        exit(exitCodes.success);
      } catch (error) {
        const failure = failureOf(error, options.server.href);
        tellFailure(context, failure);
        exit(failure.exitCode);
      } finally {
        off();
        await close();
      }
    });
}
