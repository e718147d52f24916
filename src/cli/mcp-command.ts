import type { DescService } from "@bufbuild/protobuf";
import { createMcpService, serveStdio } from "../mcp/index.js";
import { isLongRunning } from "../operation/long-running.js";
import { createReflectionLookup } from "../reflection/reflection-lookup.js";
import { tellFailure } from "./call-server.js";
import type { CommandContext } from "./command-context.js";
import { openConnection } from "./connection.js";
import { noServices } from "./errors.js";
import { exitCodes } from "./exit-codes.js";
import { failureOf } from "./failure.js";
import { readProtoSet } from "./proto-set.js";
import { serverCommand } from "./server-command.js";

/** `longrunning mcp`: the methods of a server as tools, over standard input and output. */
export function mcpCommand(context: CommandContext, exit: (code: number) => void) {
  return serverCommand("mcp", "how long one call of a method may take (default: 50s)")
    .summary("offer a server's methods to AI agents (MCP over stdio; experimental)")
    .description(
      "Speak the Model Context Protocol over standard input and output. The tools call the server's " +
        "long-running methods, or with --all its other unary methods as well. The server's " +
        "reflection (grpc only) or --proto-set has the methods.",
    )
    .option("--all", "offer all unary methods, not the long-running ones alone")
    .addHelpText(
      "after",
      "\nExample, for Claude Code:\n" +
        "  claude mcp add printing -- npx connect-longrunning mcp --server http://localhost:8080\n",
    )
    .action(async (options) => {
      const stopped = new AbortController();
      const off = context.onSignal(() => stopped.abort());
      let close: () => void = () => undefined;
      try {
        const protoSet =
          options.protoSet === undefined ? undefined : await readProtoSet(options.protoSet);
        const connection = await openConnection(
          {
            ...options,
            ca: options.ca,
            headerCommand: options.headerCommand,
            insecure: options.insecure === true,
          },
          "",
          protoSet,
        );
        close = connection.close;
        const services: DescService[] =
          protoSet === undefined
            ? await createReflectionLookup(connection.transport, stopped.signal).services()
            : [...protoSet].filter((type) => type.kind === "service");
        if (services.length === 0) throw noServices(options.server.href);
        const service = createMcpService(
          services.flatMap(({ methods }) => methods),
          {
            methods: options.all === true ? () => true : isLongRunning,
            registry: protoSet,
            serverInfo: { name: "longrunning", version: context.version },
            callTimeoutMs: options.timeout,
            // The process serves one user. The option --header has that user's credentials.
            listOperations: true,
            clock: context.clock,
          },
        );
        const { input, terminal } = context;
        const write = (line: string) => terminal.out.write(line);
        const { transport } = connection;
        await serveStdio(service, { transport, input, write }, stopped.signal);
        exit(exitCodes.success);
      } catch (error) {
        const failure = failureOf(error, options.server.href);
        tellFailure(context, failure);
        exit(failure.exitCode);
      } finally {
        close();
        off();
      }
    });
}
