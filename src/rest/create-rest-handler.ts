import type { Registry } from "@bufbuild/protobuf";
import { Code, type ConnectRouter, type ContextValues } from "@connectrpc/connect";
import {
  type Compression,
  type UniversalServerRequest,
  type UniversalServerResponse,
  universalServerRequestFromFetch,
  universalServerResponseToFetch,
} from "@connectrpc/connect/protocol";
import { atLeastOne, inRange } from "../internal/option-bounds.js";
import { type AnswerBody, answerBodyOf, assertPresentable, jsonBody } from "./answer.js";
import { callTimeoutMs } from "./call-timeout.js";
import { negotiateCompression } from "./content-coding.js";
import { createDiscovery, type DiscoveryOptions, discoveryPath } from "./discovery-document.js";
import { errorAnswerOf } from "./error-answer.js";
import { internalFault, malformedUrl, methodNotAllowed, noSuchPath } from "./errors.js";
import { gzip } from "./gzip.js";
import type { HttpRuleOptions } from "./http-rules.js";
import { createMessageJson } from "./message-json.js";
import { oneChunk } from "./one-chunk.js";
import { isWellEscaped } from "./percent-encoding.js";
import { assertNoBody, readBody } from "./request-body.js";
import { requestBytesOf } from "./request-message.js";
import { type RestRoute, restRoutesOf } from "./rest-routes.js";
import {
  errorFormatOf,
  type Presentation,
  plainPresentation,
  presentationOf,
  setSystemHeaders,
  splitQuery,
} from "./system-parameters.js";
import { typeRegistryOf } from "./type-registry.js";
import { callUniversal } from "./universal-call.js";
import { parseQuery, type UrlParts, urlParts } from "./url-parts.js";

/** How a REST face is made. */
export interface RestHandlerOptions extends HttpRuleOptions {
  /**
   * Types that an Any may hold besides those that the router's services, `operation_info` and
   * google.rpc bring. Default: none. A type that is known nowhere is answered as its URL and its
   * bytes, `{"@type": "…", "value": "base64"}`.
   */
  registry?: Registry | undefined;
  /** Largest body of a request, compressed and not, in bytes; 413 above. Default: 4 MiB. */
  readMaxBytes?: number | undefined;
  /** Answers of fewer bytes are not compressed. Default: 1024. */
  compressMinBytes?: number | undefined;
  /**
   * Compressions in the order of preference, in both directions, as Connect's adapters have them
   * (`compressionGzip`, `compressionBrotli` of connect-node). Default: gzip, by the web's streams.
   */
  acceptCompression?: readonly Compression[] | undefined;
  /** What the discovery document says; false for none. Default: what the rules tell. */
  discovery?: DiscoveryOptions | false | undefined;
  /** Told what a 500 of this code comes from, such as a message that no JSON can hold. */
  onInternalError?: ((error: unknown) => void) | undefined;
}

/** The REST face of a Connect router. */
export interface RestHandler {
  /**
   * Whether a path, as it stands in a URL, is the REST face's, under whatever HTTP method; others
   * may be for the router's RPC protocols, on the same port. A query behind it does not matter.
   */
  matches(path: string): boolean;
  /** Answer a request. Never rejects: what goes wrong is an answer too. */
  fetch(request: Request, contextValues?: ContextValues): Promise<Response>;
  /**
   * The same for adapters, from a request in Connect's own form: `url` is absolute, and its path may
   * be as raw as it came, which the web's Request does not let be. `body` is null where it is
   * known that there is none.
   */
  answer(request: UniversalServerRequest): Promise<RestAnswer>;
  /** The same as a handler of Connect's. */
  handle(request: UniversalServerRequest): Promise<UniversalServerResponse>;
}

/** An answer, ready to be sent. */
export interface RestAnswer {
  readonly status: number;
  readonly header: Headers;
  /** Empty for HEAD; undefined where the status has none. */
  readonly body: Uint8Array | undefined;
}

/**
 * Make the REST face of all unary methods of a router that have an HTTP rule. Calls go through
 * the router's own handlers, so that its interceptors, limits and context values hold for them
 * as for any other protocol.
 *
 * @param router With all of its services; `createConnectRouter` makes one, and adapters hand theirs
 *   to `routes`.
 * @throws RangeError for an option out of bounds and a rule that cannot be.
 */
export function createRestHandler(
  { handlers }: Pick<ConnectRouter, "handlers">,
  options: RestHandlerOptions = {},
): RestHandler {
  const readMaxBytes = atLeastOne("readMaxBytes", options.readMaxBytes ?? 4 * 1024 * 1024);
  const compressMinBytes = inRange("compressMinBytes", options.compressMinBytes ?? 1024, 0);
  const compressions = options.acceptCompression ?? [gzip];
  const limits = { readMaxBytes, compressions };
  const routes = restRoutesOf(handlers, options);
  const files = new Set(handlers.map(({ method }) => method.parent.file));
  const registry = typeRegistryOf(files, options.registry);
  const json = createMessageJson({ registry, unknownAny: "refuse" });
  const discovery =
    options.discovery === false ? undefined : createDiscovery(routes.all, options.discovery);

  const call = async (
    route: RestRoute,
    segments: readonly string[],
    asked: Asked,
  ): Promise<Answer> => {
    const { binding, handler } = route;
    const { request, presentation, split } = asked;
    assertPresentable(binding, presentation);
    const header = new Headers(request.header);
    setSystemHeaders(split, header);
    const timeoutMs = callTimeoutMs(header);
    if (binding.body === "none") await assertNoBody(request);
    const body = binding.body === "none" ? noBytes : await readBody(request, limits);
    const content = { segments, query: split.others, body, header };
    const bytes = requestBytesOf(binding, content, json);
    const called = await callUniversal(handler, bytes, header, timeoutMs, request);
    const answerBody = answerBodyOf(binding, called.message, presentation, json);
    return { status: 200, header: called.header, body: answerBody };
  };

  const answer = async (asked: Asked): Promise<Answer> => {
    const { request, url, split, presentation } = asked;
    const { method } = request;
    if (!isWellEscaped(url.path)) throw malformedUrl(url.path);
    if (discovery !== undefined && url.path === discoveryPath && isRead(method)) {
      const document = discovery.document(new Map(split.others).get("version"), url.origin);
      return { status: 200, header: new Headers(), body: jsonBody(document, presentation) };
    }
    const found = lookUp(routes.table, method, url.path);
    if (found.kind === "found") return call(found.target, found.segments, asked);
    const isDiscovery = discovery !== undefined && url.path === discoveryPath;
    if (found.kind === "none" && !isDiscovery) throw noSuchPath(url.path);
    const allow = allowOf(found.kind === "none" ? ["GET"] : found.allowed);
    if (method !== "OPTIONS") throw methodNotAllowed(method, url.path, allow);
    return { status: 204, header: new Headers({ Allow: allow.join(", ") }), body: undefined };
  };

  const tell = (cause: unknown) => {
    try {
      options.onInternalError?.(cause);
    } catch {
      // A hook that throws must not cost the client its answer.
    }
  };

  const errorAnswer = (caught: unknown, presentation: Presentation): Answer => {
    const error = internalFault(caught);
    // What came over the wire of the call has no cause: its server knows of it.
    if (error.code === Code.Internal && error.cause !== undefined) tell(error.cause);
    const { errorFormat } = presentation;
    const { httpStatus, json: body, header } = errorAnswerOf(error, errorFormat, json);
    // A page shows no script whose status is an error (HTML, "fetch a classic script").
    const status = presentation.callback === undefined ? httpStatus : 200;
    return { status, header, body: jsonBody(body, presentation) };
  };

  const encode = async (
    { status, header, body }: Answer,
    request: UniversalServerRequest,
  ): Promise<RestAnswer> => {
    header.set("X-Content-Type-Options", "nosniff");
    if (body === undefined) return { status, header, body };
    header.set("Content-Type", body.contentType);
    if (compressions.length > 0) header.append("Vary", "Accept-Encoding");
    const isSmall = body.bytes.length < compressMinBytes;
    const compression = isSmall
      ? undefined
      : negotiateCompression(request.header.get("Accept-Encoding"), compressions);
    const bytes = compression === undefined ? body.bytes : await compression.compress(body.bytes);
    if (compression !== undefined) header.set("Content-Encoding", compression.name);
    header.set("Content-Length", String(bytes.length));
    return { status, header, body: request.method === "HEAD" ? noBytes : bytes };
  };

  const respond = async (request: UniversalServerRequest): Promise<RestAnswer> => {
    let presentation = plainPresentation;
    let answered: Answer;
    try {
      const url = urlParts(request.url);
      const split = splitQuery(parseQuery(url.query));
      const errorFormat = errorFormatOf(split);
      // What is read first holds for the faults of what is read next.
      presentation = { ...presentation, errorFormat };
      presentation = presentationOf(split, request, errorFormat);
      answered = await answer({ request, url, split, presentation });
    } catch (caught) {
      answered = errorAnswer(caught, presentation);
    }
    return encode(answered, request);
  };

  const handle = async (request: UniversalServerRequest): Promise<UniversalServerResponse> => {
    const { status, header, body } = await respond(request);
    return { status, header, body: body && oneChunk(body) };
  };

  return {
    matches(path) {
      const { path: bare } = urlParts(`http://localhost${path}`);
      if (discovery !== undefined && bare === discoveryPath) return true;
      return routes.table.find("", bare).kind !== "none";
    },
    async fetch(request, contextValues) {
      const universal = universalServerRequestFromFetch(request, {});
      return universalServerResponseToFetch(await handle({ ...universal, contextValues }));
    },
    answer: respond,
    handle,
  };
}

/** A request with what its URL says. */
interface Asked {
  readonly request: UniversalServerRequest;
  readonly url: UrlParts;
  readonly split: ReturnType<typeof splitQuery>;
  readonly presentation: Presentation;
}

interface Answer {
  readonly status: number;
  readonly header: Headers;
  readonly body: AnswerBody | undefined;
}

const noBytes = new Uint8Array();

function isRead(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

/** HEAD is answered as GET where it has no rule of its own. */
function lookUp(table: ReturnType<typeof restRoutesOf>["table"], method: string, path: string) {
  const found = table.find(method, path);
  return method === "HEAD" && found.kind === "otherMethod" ? table.find("GET", path) : found;
}

function allowOf(methods: readonly string[]): string[] {
  const head = methods.includes("GET") ? ["HEAD"] : [];
  return [...new Set([...methods, ...head, "OPTIONS"])].sort();
}
