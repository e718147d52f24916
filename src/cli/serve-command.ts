import type { FileRegistry } from "@bufbuild/protobuf";
import { Command, Option } from "@commander-js/extra-typings";
import { InvalidArgumentError } from "commander";
import type { Server, ServerAddress } from "../node/index.js";
import { typeRegistryOf } from "../rest/type-registry.js";
import { createMemoryStore, type OperationStore } from "../server/index.js";
import type { CommandContext } from "./command-context.js";
import { createEmulator, type EmulatorOptions } from "./emulator.js";
import { badCertificate, badRestRule, cannotListen, incompleteTls, notLoadable } from "./errors.js";
import { exitCodes } from "./exit-codes.js";
import { loadOperations } from "./load-operations.js";
import { printable, printableJson } from "./printable.js";
import { readProtoSet } from "./proto-set.js";
import { readBoundedFile } from "./read-bounded-file.js";
import { storeOperations } from "./store-operations.js";

/** Most operations that an emulator holds. */
const maxOperations = 100_000;

/** How long calls under way may take to end when the server is told to stop, in milliseconds. */
const graceMs = 10_000;

/** `longrunning serve`: a stand-alone server of operations, for tests in any language. */
export function serveCommand(context: CommandContext, exit: (code: number) => void) {
  return new Command("serve")
    .summary("serve operations, as an emulator for tests")
    .description(
      "Serve google.longrunning.Operations by gRPC, gRPC-Web, Connect and REST on one port, with " +
        "health and reflection. Operations that are not done stay so until they are cancelled. " +
        "SIGTERM or SIGINT ends it when the calls under way are answered, or after 10 s; a " +
        "second one at once. Nothing is kept on disk.",
    )
    .option("--host <host>", "the address to listen on; 0.0.0.0 for all", "127.0.0.1")
    .addOption(
      new Option("--port <number>", "the port to listen on; 0 for any free one")
        .argParser(parsePort)
        .default(8080),
    )
    .option("--load <file>", "serve the operations of this ListOperationsResponse (JSON)")
    .option("--proto-set <file>", "a FileDescriptorSet with the types of the payloads")
    .option("--rest-version <version>", "first segment of the REST paths", "v1")
    .option(
      "--rest-parent <pattern>",
      "what operations are below of, as 'projects/*/locations/*' (default: nothing)",
    )
    .option("--tls-cert <file>", "serve TLS with this certificate (PEM)")
    .option("--tls-key <file>", "the certificate's key (PEM)")
    .option("--json", "print the address as JSON")
    .addHelpText(
      "after",
      "\nExample:\n  longrunning serve --port 8080 --load operations.json --rest-parent 'projects/*/locations/*'\n",
    )
    .action(async (options) => {
      const { out, err } = context.terminal;
      const warn = (line: string) => err.write(`longrunning serve: ${printable(line)}\n`);
      const protoSet =
        options.protoSet === undefined ? undefined : await readProtoSet(options.protoSet);
      const tls = await readTls(options.tlsCert, options.tlsKey);
      const store = createMemoryStore({ maxOperations });
      if (options.load !== undefined) await load(options.load, store, protoSet, warn);
      const server = emulatorOf({
        store,
        protoSet,
        rest: { version: options.restVersion, parent: options.restParent },
        tls,
        log: warn,
      });
      const address = await listen(server, options.host, options.port);
      const stopped = closeOnSignal(context, server);
      out.write(options.json ? `${printableJson(address, 0)}\n` : `listening on ${address.url}\n`);
      await stopped;
      exit(exitCodes.success);
    });
}

async function load(
  path: string,
  store: OperationStore,
  protoSet: FileRegistry | undefined,
  warn: (line: string) => void,
): Promise<void> {
  const { operations, isPage } = await loadOperations(path, typeRegistryOf([], protoSet));
  if (operations.length > maxOperations) {
    const why = `has ${operations.length} of them, which is more than the limit of ${maxOperations}`;
    throw notLoadable(path, "operations", why);
  }
  const [leftOut] = await storeOperations(store, operations);
  if (leftOut !== undefined) {
    throw notLoadable(path, leftOut.name, "is the name of an operation that is there already");
  }
  if (isPage) warn(`${path} has a nextPageToken: it is one page, and what follows is not loaded`);
}

async function readTls(
  certPath: string | undefined,
  keyPath: string | undefined,
): Promise<EmulatorOptions["tls"]> {
  if (certPath === undefined && keyPath === undefined) return undefined;
  if (certPath === undefined || keyPath === undefined) throw incompleteTls();
  return { cert: await readBoundedFile(certPath), key: await readBoundedFile(keyPath) };
}

function emulatorOf(options: EmulatorOptions): Server {
  try {
    return createEmulator(options);
  } catch (cause) {
    // Node's errors of TLS have codes; ours about bounds have none.
    if (cause instanceof RangeError) throw badRestRule(cause);
    if (options.tls !== undefined) throw badCertificate(cause);
    throw cause;
  }
}

async function listen(server: Server, host: string, port: number): Promise<ServerAddress> {
  try {
    return await server.listen({ host, port });
  } catch (cause) {
    await server.close({ graceMs: 0 });
    throw cannotListen(host, port, cause);
  }
}

/** Close the server on the first signal, and end at once on the second. */
function closeOnSignal(context: CommandContext, server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    let isClosing = false;
    const off = context.onSignal(() => {
      if (isClosing) {
        context.exitNow(exitCodes.interrupted);
        return;
      }
      isClosing = true;
      server.close({ graceMs }).then(resolve, reject).finally(off);
    });
  });
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) {
    throw new InvalidArgumentError("It must be a whole number from 0 to 65535.");
  }
  return port;
}
