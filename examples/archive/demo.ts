import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  codeName,
  createLongRunningClient,
  createOperationsClient,
  OperationError,
  type OperationHandle,
  outcomeOf,
  standardDetailsOf,
  type WatchOptions,
} from "connect-longrunning";
import { Compress } from "./archive-service.js";
import type { CompressMetadata, CompressResponse } from "./gen/archive/v1/archive_pb.js";
import { createProgressDisplay, progressText } from "./progress-display.js";
import { startArchiveServer } from "./server.js";

type CompressHandle = OperationHandle<CompressResponse, CompressMetadata>;

/** The values that the steps of the demo share. */
interface Scene {
  /** The folder to compress. */
  readonly folder: string;
  /** The directory of the archives: a new one, so that leftover files are visible. */
  readonly directory: string;
  /** Path of the one archive that stays. */
  readonly archive: string;
  start(request: { folder: string; archive: string }): Promise<CompressHandle>;
}

/** Look often: the folder may be compressed in a fraction of a second. */
const looking: WatchOptions = { poll: { initialDelayMs: 10, maxDelayMs: 80 } };

async function main(args: readonly string[]): Promise<void> {
  const [argument] = args.filter((one) => one !== "--console");
  // npm runs scripts in the package's folder and says here where its user is.
  const folder = resolve(process.env.INIT_CWD ?? ".", argument ?? typescriptFolder());
  if (!(await isFolder(folder))) throw new Error(`"${folder}" is not a folder`);
  const directory = await mkdtemp(join(tmpdir(), "connect-longrunning-demo-"));
  const server = await startArchiveServer();
  let isPlayed = false;
  try {
    console.log(`The archive service is at ${server.baseUrl}; the client speaks gRPC.`);
    await play(createGrpcTransport({ baseUrl: server.baseUrl }), folder, directory);
    isPlayed = true;
    if (args.includes("--console")) await showConsole(server.baseUrl);
  } finally {
    await server.close();
    if (!isPlayed) await rm(directory, { recursive: true });
  }
}

/** Prints the address of the page with the operations, and resolves when the user interrupts. */
async function showConsole(baseUrl: string): Promise<void> {
  console.log(`\nThe operations are at ${baseUrl}/console/ until you press Ctrl-C.`);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", () => resolve()).once("SIGTERM", () => resolve());
  });
}

async function play(transport: Transport, folder: string, directory: string): Promise<void> {
  const archiver = createLongRunningClient({ compress: Compress }, transport);
  const archive = join(directory, `${basename(folder) || "root"}.tar.gz`);
  const scene: Scene = { folder, directory, archive, start: archiver.compress };

  console.log(`\n1. Compress ${folder}`);
  const { name } = await compress(scene);
  console.log("\n2. Compress it again, and cancel half-way");
  await cancelHalfWay(scene);
  console.log("\n3. Compress a folder that does not exist");
  await fail(scene);

  const operations = createOperationsClient(transport);
  console.log("\n4. List with the filter: done = true");
  for await (const operation of operations.list({ filter: "done = true" })) {
    const outcome = outcomeOf(operation, Compress);
    const end = "error" in outcome ? codeName(outcome.error.code) : outcome.kind;
    console.log(`   ${operation.name}  ${end}`);
  }

  console.log("\n5. Delete the first, then get it");
  await operations.delete(name);
  const error = await operations.get(name).then(
    () => undefined,
    (cause: unknown) => ConnectError.from(cause),
  );
  if (error?.code !== Code.NotFound) throw error ?? new Error(`${name} is still there`);
  printError(error);
}

/** The way of every operation: start it, follow it, take its result. */
async function compress({ start, folder, archive }: Scene): Promise<CompressHandle> {
  const handle = await start({ folder, archive });
  console.log(`   ${handle.name}`);
  const display = createProgressDisplay(process.stdout);
  try {
    for await (const { metadata } of handle.watch(looking)) {
      if (metadata !== undefined) display.show(metadata);
    }
  } finally {
    display.end();
  }
  const response = await handle.result();
  const [made, from] = [response.archiveBytes, response.contentBytes].map(grouped);
  console.log(`   archive  ${response.archive}`);
  console.log(`   bytes    ${made} made of ${from}, ratio ${response.ratio.toFixed(3)}`);
  console.log(`   SHA-256  ${response.sha256}`);
  return handle;
}

async function cancelHalfWay({ start, folder, directory, archive }: Scene): Promise<void> {
  const second = join(directory, `second-${basename(archive)}`);
  const handle = await start({ folder, archive: second });
  for await (const { kind, metadata } of handle.watch(looking)) {
    if (kind !== "running" || metadata === undefined) continue;
    if (metadata.bytesDone === 0n || metadata.bytesDone === metadata.bytesTotal) continue;
    console.log(`   cancelled at ${progressText(metadata)}`);
    await handle.cancel();
    break;
  }
  const error = await errorOf(handle);
  if (error === undefined) {
    console.log("   The folder is so small that it was compressed before a cancellation came.");
    await rm(second);
  } else {
    if (error.kind !== "cancelled") throw error;
    printError(error);
  }
  const left = (await readdir(directory)).filter((name) => name !== basename(archive));
  if (left.length > 0) throw new Error(`left behind in ${directory}: ${left.join(", ")}`);
  if (error !== undefined) console.log("   no partial file is left");
}

async function fail({ start, directory }: Scene): Promise<void> {
  const folder = join(directory, "no-such-folder");
  const error = await errorOf(await start({ folder, archive: join(directory, "never.tar.gz") }));
  if (error?.code !== Code.NotFound) throw error ?? new Error(`${folder} should not exist`);
  printError(error);
}

/** The error that an operation ends with; undefined if it succeeds. */
async function errorOf(handle: CompressHandle): Promise<OperationError | undefined> {
  try {
    await handle.result();
    return undefined;
  } catch (error) {
    if (error instanceof OperationError) return error;
    throw error;
  }
}

function printError(error: ConnectError): void {
  console.log(`   error ${error.code} ${codeName(error.code)}: ${error.rawMessage}`);
  const { errorInfo, resourceInfo } = standardDetailsOf(error);
  if (errorInfo) console.log(`   ErrorInfo     ${errorInfo.reason} of ${errorInfo.domain}`);
  if (resourceInfo) {
    console.log(`   ResourceInfo  ${resourceInfo.resourceType} ${resourceInfo.resourceName}`);
  }
}

function grouped(bytes: bigint): string {
  return bytes.toLocaleString("en-US");
}

/** The folder that the demo compresses by default. */
function typescriptFolder(): string {
  return dirname(fileURLToPath(import.meta.resolve("typescript/package.json")));
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? `demo: ${error.message}` : error);
  process.exitCode = 1;
});
