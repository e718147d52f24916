import type { FileRegistry } from "@bufbuild/protobuf";
import { Command, Option } from "@commander-js/extra-typings";
import { typeRegistryOf } from "../any/type-registry.js";
import { printable, printableJson } from "../display/printable.js";
import { followCheck } from "../health/follow-check.js";
import type { Server, ServerAddress } from "../node/index.js";
import { Operations } from "../protos.js";
import type { OperationStore } from "../store/index.js";
import type { CommandContext } from "./command-context.js";
import { databaseUrlsOption } from "./database-url.js";
import { parseDuration } from "./duration.js";
import {
  consolePath,
  createEmulator,
  type EmulatorOptions,
  type WorkingService,
} from "./emulator.js";
import {
  badCertificate,
  badRestRule,
  cannotListen,
  incompleteTls,
  notLoadable,
  twoStores,
} from "./errors.js";
import { exitCodes } from "./exit-codes.js";
import { loadOperations } from "./load-operations.js";
import { createMetricsEndpoint, type MetricsEndpoint } from "./metrics-endpoint.js";
import { maxOperations, openStore, type StorePlace } from "./open-store.js";
import {
  pageTokenKeyBeside,
  pageTokenKeyFromFile,
  pageTokenKeyFromText,
  pageTokenKeyVariable,
} from "./page-token-key.js";
import { parsePort } from "./port.js";
import { readProtoSet } from "./proto-set.js";
import { readBoundedFile } from "./read-bounded-file.js";
import { storeOperations } from "./store-operations.js";

/** How long calls may take to finish after a signal to stop, in milliseconds. */
const graceMs = 10_000;

/** Time between two reads of a database, and the longest time of one, in milliseconds. */
const checkIntervalMs = 5000;

/** A name that no operation has, because its last segment is not an id. */
const unusedName = "operations/-";

/** `longrunning serve`: serves operations, for tests in any language. */
export function serveCommand(context: CommandContext, exit: (code: number) => void) {
  return new Command("serve")
    .summary("serve operations, from memory or from a database")
    .description(
      "Serve google.longrunning.Operations by gRPC, gRPC-Web, Connect and REST on one port, with " +
        "health and reflection. Operations that are not done stay so until they are cancelled. " +
        "SIGTERM or SIGINT ends it when the calls under way are answered, or after 11 s; a " +
        "second one within a second, a third one at once. Nothing is kept on disk without --data (which wants Node 22.13 or " +
        "the package libsql) or --database-url (pg and pg-boss).",
    )
    .option("--host <host>", "the address to listen on; 0.0.0.0 for all", "127.0.0.1")
    .addOption(
      new Option("--port <number>", "the port to listen on; 0 for any free one")
        .argParser(parsePort)
        .default(8080),
    )
    .option("--load <file>", "serve the operations of this ListOperationsResponse (JSON)")
    .option("--data <file>", "keep the operations in this SQLite file, for one server")
    .addOption(
      databaseUrlsOption(
        "keep the operations in this PostgreSQL database, for any number of servers; " +
          "postgres://user:password@host:port/database. Several are shards: give all servers the same ones in the same order",
      ),
    )
    .option(
      "--page-token-key-file <file>",
      "seal page tokens with this key, 32 bytes in base64, which replicas must share; or " +
        `${pageTokenKeyVariable} (default: with --data kept beside the file, else of this process)`,
    )
    .option("--proto-set <file>", "a FileDescriptorSet with the types of the payloads")
    .option("--rest-version <version>", "first segment of the REST paths", "v1")
    .option(
      "--rest-parent <pattern>",
      "what operations are below of, as 'projects/*/locations/*' (default: nothing)",
    )
    .addOption(
      new Option(
        "--max-wait <duration>",
        "the longest time for which a WaitOperation call is held; 12s behind a proxy that cuts calls after 15 s",
      )
        .argParser(parseDuration)
        .default(25_000, "25s"),
    )
    .option("--tls-cert <file>", "serve TLS with this certificate (PEM)")
    .option("--tls-key <file>", "the certificate's key (PEM)")
    .option(
      "--allowed-host <names...>",
      "further host names that requests may be for; '*' for all (default: on a loopback address, only its names)",
    )
    .addOption(
      new Option(
        "--metrics-port <number>",
        "show metrics to Prometheus on this port of the same address, at /metrics; 0 for any free one",
      ).argParser(parsePort),
    )
    .option("--console", "serve a page to see, follow and cancel the operations, at /console/")
    .option(
      "--conformance-driver",
      "serve longrunning.conformance.v1.Driver too, which starts operations with work for `longrunning conformance`; " +
        "callers with 'Authorization: Bearer NAME' see their own operations only",
    )
    .addOption(
      new Option(
        "--drain-delay <duration>",
        "after a signal to stop, show NOT_SERVING and accept starts for this time, so that load balancers notice first",
      )
        .argParser(parseDuration)
        .default(0, "0"),
    )
    .option("--json", "print the address as JSON")
    .addHelpText(
      "after",
      "\nExample:\n  longrunning serve --port 8080 --load operations.json --rest-parent 'projects/*/locations/*'\n",
    )
    .action(async (given, command) => {
      const options = { ...given, ...storePlaceOf(given, command) };
      const { out, err } = context.terminal;
      const warn = (line: string) => err.write(`longrunning serve: ${printable(line)}\n`);
      const protoSet =
        options.protoSet === undefined ? undefined : await readProtoSet(options.protoSet);
      const tls = await readTls(options.tlsCert, options.tlsKey);
      const metrics =
        options.metricsPort === undefined ? undefined : await createMetricsEndpoint(context.clock);
      const opened = await openStore(options, metrics?.postgresObserver);
      const { store, counting, databases } = opened;
      let server: Server;
      try {
        if (options.load !== undefined) await load(options.load, store, protoSet, warn);
        server = emulatorOf({
          opened,
          pageTokenKey: await pageTokenKeyOf(options, warn),
          protoSet,
          hasConsole: options.console === true,
          working: options.conformanceDriver ? await loadDriver() : undefined,
          rest: { version: options.restVersion, parent: options.restParent },
          maxWaitMs: options.maxWait,
          tls,
          allowedHosts: options.allowedHost?.includes("*") ? "*" : options.allowedHost,
          observer: metrics?.observer,
          log: warn,
        });
      } catch (cause) {
        await opened.close();
        throw cause;
      }
      const address = await listen(server, options.host, options.port);
      const consoleUrl = options.console ? `${address.url}${consolePath}/` : undefined;
      let metricsUrl: string | undefined;
      if (metrics !== undefined) {
        if (counting !== undefined) metrics.show(counting);
        metricsUrl = await listenForMetrics(metrics, server, options);
      }
      const unwatch = showHealth(context, server, databases, warn);
      const stopped = closeOnSignal(context, server, options.drainDelay, unwatch);
      if (options.json) {
        out.write(`${printableJson({ ...address, metricsUrl, consoleUrl }, 0)}\n`);
      } else {
        out.write(`listening on ${address.url}\n`);
        if (consoleUrl !== undefined) out.write(`console at ${consoleUrl}\n`);
        if (metricsUrl !== undefined) out.write(`metrics at ${metricsUrl}\n`);
      }
      await stopped;
      await metrics?.close();
      exit(exitCodes.success);
    });
}

async function loadDriver(): Promise<WorkingService> {
  const { conformanceDriver } = await import("./conformance/driver-service.js");
  return conformanceDriver;
}

/** --data wins over a database of the environment. Both options together are an error. */
function storePlaceOf(
  { data, databaseUrl }: StorePlace,
  command: { getOptionValueSource(name: "databaseUrl"): string | undefined },
): StorePlace {
  if (data === undefined || databaseUrl === undefined) return { data, databaseUrl };
  if (command.getOptionValueSource("databaseUrl") !== "env") throw twoStores();
  return { data, databaseUrl: undefined };
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
  const leftOut = await storeOperations(store, operations);
  if (leftOut.length > 0) {
    warn(`${path}: ${leftOut.length} of its operations are there already, and stay as they are`);
  }
  if (isPage) warn(`${path} has a nextPageToken: it is one page, and what follows is not loaded`);
}

/** Returns the key for page tokens, and undefined for a random key of this process. */
async function pageTokenKeyOf(
  options: StorePlace & { readonly pageTokenKeyFile?: string | undefined },
  warn: (line: string) => void,
): Promise<Uint8Array | undefined> {
  if (options.pageTokenKeyFile !== undefined) return pageTokenKeyFromFile(options.pageTokenKeyFile);
  const text = process.env[pageTokenKeyVariable] ?? "";
  if (text !== "") return pageTokenKeyFromText(text, pageTokenKeyVariable);
  if (options.data !== undefined) return pageTokenKeyBeside(options.data);
  if (options.databaseUrl !== undefined) {
    warn("without --page-token-key-file no other replica takes the page tokens of this one");
  }
  return undefined;
}

/** Sets health to NOT_SERVING while no database answers. */
function showHealth(
  { clock }: CommandContext,
  { health }: Server,
  databases: readonly OperationStore[],
  warn: (line: string) => void,
): () => void {
  const answering = new Set(databases);
  const unwatch = databases.map((database, at) =>
    followCheck(
      () => database.get(unusedName),
      checkIntervalMs,
      clock,
      (isReachable) => {
        if (isReachable) answering.add(database);
        else answering.delete(database);
        const status = answering.size > 0 ? "SERVING" : "NOT_SERVING";
        for (const service of ["", Operations.typeName]) health?.set(service, status);
        const which =
          databases.length === 1 ? "the database" : `database ${at + 1} of ${databases.length}`;
        warn(`${which} ${isReachable ? "answers again" : "does not answer"}: ${status}`);
      },
    ),
  );
  return () => {
    for (const stop of unwatch) stop();
  };
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
    // The REST rules throw a RangeError. Node's TLS errors have other classes.
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
    throw cannotListen("--port", host, port, cause);
  }
}

async function listenForMetrics(
  metrics: MetricsEndpoint,
  server: Server,
  { host, metricsPort = 0 }: { readonly host: string; readonly metricsPort?: number | undefined },
): Promise<string> {
  try {
    return await metrics.listen(host, metricsPort);
  } catch (cause) {
    await server.close({ graceMs: 0 });
    throw cause;
  }
}

/**
 * Closes the server on the first signal. The second one ends the grace: the work is handed over, and
 * the process ends within a second. The third one ends the process at once.
 */
function closeOnSignal(
  context: CommandContext,
  server: Server,
  drainDelayMs: number,
  onClosing: () => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let signals = 0;
    const off = context.onSignal(() => {
      signals += 1;
      if (signals === 1) {
        onClosing();
        const close = { graceMs: graceMs + drainDelayMs, drainDelayMs };
        server.close(close).then(resolve, reject).finally(off);
      } else if (signals === 2) {
        const exit = () => context.exitNow(exitCodes.interrupted);
        server.close({ graceMs: 0 }).then(exit, exit);
      } else {
        context.exitNow(exitCodes.interrupted);
      }
    });
  });
}
