import {
  create,
  createRegistry,
  fromBinary,
  type JsonObject,
  type JsonValue,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import {
  createLongRunningClient,
  createOperationsClient,
  longRunning,
  OperationError,
  type ResumeToken,
  type Snapshot,
} from "connect-longrunning";
import {
  ErrorInfoSchema,
  file_google_rpc_error_details,
  GetOperationRequestSchema,
  OperationSchema,
  Operations,
} from "connect-longrunning/protos";
import { GrpcWebClientBase, MethodDescriptor, RpcError } from "grpc-web";
import {
  file_printing_v1_printing,
  type PrintMetadata,
  PrintMetadataSchema,
  type PrintResponse,
  PrintResponseSchema,
  PrintService,
} from "../gen/printing/v1/printing_pb.js";

// This runs in the browser. The address of the page says which server it calls, and how.

/** How the page talks to the server. */
export type WireName = "Connect in binary" | "Connect in JSON" | "gRPC-Web";

/** The server's side of a scenario, so that neither side guesses at time. */
export interface PrintGates {
  /** Resolves when the server holds a WaitOperation call for an operation whose work has begun. */
  waited(name: string): Promise<void>;
  /** Resolves when it holds it no more. */
  waitedNoMore(name: string): Promise<void>;
  /** Let the work go on to the next page, or to its end. */
  goOn(): Promise<void>;
}

declare global {
  interface Window extends PrintGates {
    printPage: PrintPage;
  }
}

/** How long the calls of `crowd` took, in milliseconds. */
export interface Crowd {
  readonly kind: string;
  /** All starts. */
  readonly startsMs: number;
  /** CancelOperation, while the others wait. */
  readonly cancelMs: number;
  /** The time between the begin of CancelOperation and the result. */
  readonly settledMs: number;
}

/** The events of the page, as plain data. */
export interface PrintPage {
  /** Start an operation of two pages and iterate it to its end. */
  watch(): Promise<JsonValue>;
  /** Start one, wait for it, and have it cancelled. */
  cancel(): Promise<JsonValue>;
  /** Start one that can be taken up by the token that this returns, as JSON. */
  start(): Promise<string>;
  /** Take it up and see it to its end. */
  resume(token: string): Promise<JsonValue>;
  /** Start one, wait for it, stop waiting, and wait again. */
  abort(): Promise<JsonValue>;
  /** Waits for the results of many operations, and cancels the last one. */
  crowd(operations: number): Promise<Crowd>;
  /** Start one that fails. */
  fail(): Promise<JsonValue>;
  /** Ask for one that does not exist. */
  miss(): Promise<JsonValue>;
  /** Start one, and get it and one that does not exist by Google's grpc-web. */
  getByGrpcWeb(): Promise<JsonValue>;
}

const { wire, baseUrl = "" } = Object.fromEntries(new URLSearchParams(location.search));
const transport = createTransport(wire, baseUrl);
const options = { poll: { initialDelayMs: 50, multiplier: 1, jitter: 0 } };
const Print = longRunning(PrintService.method.print, {
  response: PrintResponseSchema,
  metadata: PrintMetadataSchema,
});
const printer = createLongRunningClient({ print: Print }, transport, options);
const client = createOperationsClient(transport, options);
const print = (pages: number) => printer.print({ parent: "printers/p", pages });

window.printPage = {
  async watch() {
    const handle = await print(2);
    const seen: JsonValue[] = [];
    for await (const snapshot of handle) {
      seen.push(plainSnapshot(snapshot));
      if (snapshot.kind === "running" && snapshot.metadata !== undefined) await window.goOn();
    }
    return { seen, result: toJson(PrintResponseSchema, await handle.result()) };
  },
  async cancel() {
    const handle = await print(1);
    const ended = errorOf(handle.result());
    await window.waited(handle.name);
    await handle.cancel();
    return plainError(await ended);
  },
  start: async () => JSON.stringify((await print(1)).resumeToken),
  async resume(json) {
    const token: ResumeToken = JSON.parse(json);
    const handle = await printer.print.resume(token);
    const ended = handle.outcome();
    await window.waited(handle.name);
    await window.goOn();
    return { token: { ...token }, ended: plainSnapshot(await ended) };
  },
  async abort() {
    const handle = await print(1);
    const leaving = new AbortController();
    const aborted = errorOf(handle.result({ signal: leaving.signal }));
    await window.waited(handle.name);
    leaving.abort(new Error("the reader has left"));
    const error = plainError(await aborted);
    await window.waitedNoMore(handle.name);
    const { done } = await client.get(handle.name);
    await window.goOn();
    return { error, done, result: toJson(PrintResponseSchema, await handle.result()) };
  },
  async crowd(operations) {
    const firstMs = performance.now();
    const handles = await Promise.all(Array.from({ length: operations }, () => print(1)));
    const startsMs = performance.now() - firstMs;
    const leaving = new AbortController();
    const outcomes = handles.map((handle) => handle.outcome({ signal: leaving.signal }));
    const [last] = handles.slice(-1);
    const [ending] = outcomes.slice(-1);
    if (last === undefined || ending === undefined) throw new RangeError("no operation");
    for (const outcome of outcomes) outcome.catch(() => undefined);
    // The client has sent all polls that it may send at once.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const startMs = performance.now();
    await last.cancel();
    const cancelMs = performance.now() - startMs;
    const { kind } = await ending;
    const settledMs = performance.now() - startMs;
    leaving.abort();
    return { kind, startsMs, cancelMs, settledMs };
  },
  fail: async () => plainError(await errorOf((await print(0)).result())),
  miss: async () => plainError(await errorOf(client.get("printers/p/operations/nobody"))),
  async getByGrpcWeb() {
    // Connect's servers do not answer its base64 format.
    const foreign = new GrpcWebClientBase({ format: "binary" });
    const get = async (name: string) => {
      const request = new Bytes(
        toBinary(GetOperationRequestSchema, create(GetOperationRequestSchema, { name })),
      );
      const answer = await foreign.unaryCall(
        `${baseUrl}/${Operations.typeName}/GetOperation`,
        request,
        { "x-goog-request-params": `name=${name}` },
        getOperation,
      );
      return fromBinary(OperationSchema, answer.bytes);
    };
    const { name, done } = await get((await print(1)).name);
    const missing = await errorOf(get("printers/p/operations/nobody"));
    if (!(missing instanceof RpcError)) throw missing;
    return { name, done, missing: { code: missing.code, message: missing.message } };
  },
};

/** A message for grpc-web: its bytes. */
class Bytes {
  readonly bytes: Uint8Array;
  constructor(...bytes: unknown[]) {
    this.bytes = bytes[0] instanceof Uint8Array ? bytes[0] : new Uint8Array();
  }
}

const getOperation = new MethodDescriptor(
  `/${Operations.typeName}/GetOperation`,
  "unary",
  Bytes,
  Bytes,
  (request: Bytes) => request.bytes,
  (bytes: Uint8Array) => new Bytes(bytes),
);

function createTransport(wire: string | undefined, baseUrl: string): Transport {
  switch (wire as WireName | undefined) {
    case "Connect in binary":
      return createConnectTransport({ baseUrl, useBinaryFormat: true });
    case "Connect in JSON": {
      // JSON is what this transport speaks unless told otherwise.
      const registry = createRegistry(file_printing_v1_printing, file_google_rpc_error_details);
      return createConnectTransport({ baseUrl, jsonOptions: { registry } });
    }
    case "gRPC-Web":
      return createGrpcWebTransport({ baseUrl });
    case undefined:
      throw new TypeError("the address of this page says no wire");
  }
}

function plainSnapshot(snapshot: Snapshot<PrintResponse, PrintMetadata>): JsonObject {
  return {
    kind: snapshot.kind,
    ...(snapshot.metadata && { metadata: toJson(PrintMetadataSchema, snapshot.metadata) }),
    ...(snapshot.kind === "succeeded" && {
      response: toJson(PrintResponseSchema, snapshot.response),
    }),
  };
}

function plainError(error: unknown): JsonObject {
  if (!(error instanceof ConnectError)) throw error;
  return {
    ...(error instanceof OperationError && { kind: error.kind, name: error.operationName }),
    code: Code[error.code],
    message: error.rawMessage,
    infos: error.findDetails(ErrorInfoSchema).map((info) => toJson(ErrorInfoSchema, info)),
    ...(error.cause !== undefined && { cause: String(error.cause) }),
  };
}

function errorOf(call: Promise<object>): Promise<unknown> {
  return call.then(
    () => new TypeError("the call resolved"),
    (error: unknown) => error,
  );
}
