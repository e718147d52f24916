import type { Message, Registry } from "@bufbuild/protobuf";
import { Code, type ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { typeRegistryOf } from "../any/type-registry.js";
import type { Compression } from "../direct/connect-protocol.js";
import { isPromise, type MaybePromise } from "../internal/is-promise.js";
import { atLeastOne, inRange } from "../internal/option-bounds.js";
import { rememberLast } from "../internal/remember-last.js";
import { bytesOfText, utf8Length } from "../internal/text-bytes.js";
import { createEncodedJson } from "../json/encoded-json.js";
import { createMessageJson } from "../json/message-json.js";
import { Operations } from "../protos.js";
import { notServed } from "../web/errors.js";
import { gzip } from "../web/gzip.js";
import type { Handler, HandlerRequest, HandlerResponse } from "../web/handler.js";
import { recordOfHeaders } from "../web/header-record.js";
import { type AnswerBody, answerBodyOf, assertPresentable, jsonBody } from "./answer.js";
import {
  type BatchPart,
  batchPath,
  batchResponse,
  bodyLength,
  maxBatchResponseBytes,
  parseBatch,
} from "./batch.js";
import { callTimeoutMs } from "./call-timeout.js";
import { negotiateCompression } from "./content-coding.js";
import { createDiscovery, type DiscoveryOptions, discoveryPath } from "./discovery-document.js";
import { errorAnswerOf } from "./error-answer.js";
import {
  batchFull,
  internalFault,
  malformedUrl,
  methodNotAllowed,
  notBatchable,
} from "./errors.js";
import { type HttpRuleOptions, selectorOf } from "./http-rules.js";
import type { CallAnswer } from "./method-call.js";
import { asGet, overridesGet, readQueryForm } from "./method-override.js";
import { isWellEscaped } from "./percent-encoding.js";
import { assertNoBody, readBody } from "./request-body.js";
import {
  type ReceivedMessage,
  receivedMessageOf,
  requestBytesOf,
  requestMessageOf,
} from "./request-message.js";
import { callDirect, type RestMethod } from "./rest-call.js";
import { type RestRoute, restRoutesOf } from "./rest-routes.js";
import {
  errorFormatOf,
  type Presentation,
  plainPresentation,
  presentationOf,
  splitQuery,
  systemHeadersOf,
} from "./system-parameters.js";
import { callUniversal } from "./universal-call.js";
import { parseQuery, type UrlParts, urlParts } from "./url-parts.js";

/** Options of a REST gateway. All fields are optional. */
export interface RestHandlerOptions extends HttpRuleOptions {
  /**
   * Additional types that an Any may hold. The types of the router's services, `operation_info`
   * and google.rpc are there already. Default: none. An unknown type is written as its URL and its
   * bytes, `{"@type": "…", "value": "base64"}`.
   */
  registry?: Registry | undefined;
  /**
   * How a body's members that are not fields, and names that are not enum values, are treated:
   * "refuse" answers 400 and names the field, as ProtoJSON asks for; "ignore" drops them.
   * Default: "refuse".
   */
  unknown?: "refuse" | "ignore" | undefined;
  /**
   * The query parameters that are system parameters of Google's APIs, such as `alt`, `key`, `fields`
   * and `callback`: "all" takes these names for them, "prefixed" takes `$alt`, `$key` and so on,
   * and leaves the plain names to fields of the request. Default: "all", which Google's clients
   * need.
   */
  systemParameters?: "all" | "prefixed" | undefined;
  /** Largest body of a request, compressed and not, in bytes; 413 above. Default: 4 MiB. */
  readMaxBytes?: number | undefined;
  /** Answers of fewer bytes are not compressed. Default: 1024. */
  compressMinBytes?: number | undefined;
  /**
   * The compressions of requests and responses, in the order of preference, such as
   * `compressionGzip` and `compressionBrotli` of connect-node. Default: gzip, by web streams.
   */
  acceptCompression?: readonly Compression[] | undefined;
  /** The names in the discovery document, or false for no document. Default: from the rules. */
  discovery?: DiscoveryOptions | false | undefined;
  /**
   * Whether `POST /batch` takes Google's batches: up to 100 requests in a multipart/mixed body,
   * which are answered one after another. Default: true.
   */
  batch?: boolean | undefined;
  /**
   * Whether `callback=f` makes a response a script that calls `f` (JSONP). Any page on the web can
   * read such responses, with the user's cookies and from the user's own network. Default: false.
   */
  jsonp?: boolean | undefined;
  /**
   * Called with the cause of a 500 response that the REST gateway itself produced, for example a
   * message that JSON cannot represent. Errors of the called method are not reported.
   */
  onInternalError?: ((error: unknown) => void) | undefined;
}

/**
 * Makes the REST gateway of all unary methods of a router that have an HTTP rule.
 *
 * The interceptors, limits and context values of the router apply to REST calls as they do to
 * calls in any other protocol. The gateway serves the paths that match a rule, under any HTTP
 * method, and the discovery document.
 *
 * @param router The router with all of its services: `handlers: (router) =>
 *   [createRestHandler(router)]` of `createServer` or `createWebHandler`.
 * @throws RangeError if an option is out of bounds or a rule is invalid.
 * @example
 * const server = createServer({
 *   operations,
 *   routes: (router) => router.service(Operations, operations.service),
 *   handlers: (router) => [createRestHandler(router, { rules: operationsHttpRules() })],
 * });
 */
export function createRestHandler(
  { handlers }: Pick<ConnectRouter, "handlers">,
  options: RestHandlerOptions = {},
): Handler {
  const readMaxBytes = atLeastOne("readMaxBytes", options.readMaxBytes ?? 4 * 1024 * 1024);
  const compressMinBytes = inRange("compressMinBytes", options.compressMinBytes ?? 1024, 0);
  const compressions = options.acceptCompression ?? [gzip];
  const { jsonp = false, systemParameters = "all" } = options;
  const limits = { readMaxBytes, compressions };
  const routes = restRoutesOf(handlers, options);
  const files = new Set(handlers.map(({ method }) => method.parent.file));
  const registry = typeRegistryOf(files, options.registry);
  const json = createMessageJson({
    registry,
    unknownAny: "refuse",
    unknownNames: options.unknown ?? "refuse",
  });
  const readQuery = rememberLast((query) => splitQuery(parseQuery(query), systemParameters));
  const writers = { json, encoded: createEncodedJson(registry, json) };
  const discovery =
    options.discovery === false
      ? undefined
      : createDiscovery(routes.all, options.discovery, options.batch ?? true);

  const call = (
    { binding, handler, direct }: RestRoute,
    segments: readonly string[],
    parsed: ParsedRequest,
  ): MaybePromise<Answer> => {
    const { request, url, presentation, split } = parsed;
    assertPresentable(binding, presentation);
    const systemHeaders = systemHeadersOf(split, request);
    const timeoutMs = callTimeoutMs(request);
    const finish = (called: CallAnswer): Answer => {
      const body = answerBodyOf(binding, called, presentation, writers);
      return { status: 200, header: called.header, body };
    };
    const callWith = (body: Uint8Array): MaybePromise<Answer> => {
      const contentType = request.headerOf("content-type");
      const content = { segments, query: split.others, body, contentType };
      const message = requestMessageOf(binding, content, json);
      const call = { request, origin: url.origin, systemHeaders, timeoutMs };
      const called =
        direct === undefined
          ? callUniversal(handler, requestBytesOf(binding.method.input, message), call)
          : callDirect(direct, receivedByDirect(direct, message, url, body), call);
      return isPromise(called) ? called.then(finish) : finish(called);
    };
    if (binding.body !== "none") return readBody(request, limits).then(callWith);
    if (request.body === null) return callWith(noBytes);
    return assertNoBody(request).then(() => callWith(noBytes));
  };

  const answer = (parsed: ParsedRequest, found: Found | undefined): MaybePromise<Answer> => {
    const { request, url, split, presentation } = parsed;
    const { method } = request;
    if (!isWellEscaped(url.path)) throw malformedUrl(url.path);
    if (found?.kind === "found") return call(found.target, found.segments, parsed);
    if (found === undefined && discovery !== undefined && isRead(method)) {
      const document = discovery.document(new Map(split.others).get("version"), url.origin);
      return { status: 200, header: undefined, body: jsonBody(document, presentation) };
    }
    const allow = allowOf(found?.allowed ?? ["GET"]);
    if (method !== "OPTIONS") throw methodNotAllowed(method, url.path, allow);
    return { status: 204, header: new Headers({ Allow: allow.join(", ") }), body: undefined };
  };

  const notifyOfCause = (cause: unknown) => {
    try {
      options.onInternalError?.(cause);
    } catch {
      // A hook that throws must not cost the client its response.
    }
  };

  const errorAnswer = (caught: unknown, presentation: Presentation): Answer => {
    const error = internalFault(caught);
    // An error of the called method has no cause at this point, because its own server reports the
    // cause.
    if (error.code === Code.Internal && error.cause !== undefined) notifyOfCause(error.cause);
    const { errorFormat } = presentation;
    const { httpStatus, json: body, header } = errorAnswerOf(error, errorFormat, json);
    // A page does not run a script whose status is an error (HTML, "fetch a classic script").
    const status = presentation.callback === undefined ? httpStatus : 200;
    return { status, header, body: jsonBody(body, presentation) };
  };

  const encode = (
    { status, header, body }: Answer,
    request: Pick<HandlerRequest, "method" | "headerOf">,
  ): MaybePromise<HandlerResponse> => {
    const headers = recordOfHeaders(header);
    headers["x-content-type-options"] = "nosniff";
    if (body === undefined) return { status, headers, body };
    const { contentType, content } = body;
    headers["content-type"] = contentType;
    if (compressions.length > 0) {
      const varies = headers.vary === undefined ? "" : `${headers.vary}, `;
      headers.vary = `${varies}Accept-Encoding`;
    }
    const isHead = request.method === "HEAD";
    const length = typeof content === "string" ? utf8Length(content) : content.length;
    const compression =
      length < compressMinBytes
        ? undefined
        : negotiateCompression(request.headerOf("accept-encoding"), compressions);
    if (compression === undefined) {
      headers["content-length"] = String(length);
      return { status, headers, body: isHead ? "" : content };
    }
    return compression.compress(bytesOfContent(content)).then((compressed) => {
      headers["content-encoding"] = compression.name;
      headers["content-length"] = String(compressed.length);
      return { status, headers, body: isHead ? "" : compressed };
    });
  };

  /**
   * @param found The rules of the path; undefined for the discovery document.
   * @param form The POST whose body is the query; undefined for a request with its query in the URL.
   */
  const respond = (
    request: HandlerRequest,
    url: UrlParts,
    found: Found | undefined,
    form: HandlerRequest | undefined,
  ): MaybePromise<HandlerResponse> => {
    let presentation = plainPresentation;
    const fail = (caught: unknown) => encode(errorAnswer(caught, presentation), request);
    const respondTo = (query: string): MaybePromise<Answer> => {
      const split = readQuery(query);
      const errorFormat = errorFormatOf(split);
      // The error format also holds for errors in the other system parameters.
      presentation = { ...presentation, errorFormat };
      presentation = presentationOf(split, request, errorFormat, jsonp);
      return answer({ request, url, split, presentation }, found);
    };
    const succeed = (answered: Answer) => encode(answered, request);
    let answered: MaybePromise<Answer>;
    try {
      answered =
        form === undefined
          ? respondTo(url.query)
          : readQueryForm(form, limits).then((query) => respondTo(`${url.query}&${query}`));
    } catch (caught) {
      return fail(caught);
    }
    // Most handlers of small responses return them synchronously, and a microtask is not free.
    return isPromise(answered) ? answered.then(succeed, fail) : succeed(answered);
  };

  const serve = (request: HandlerRequest): MaybePromise<HandlerResponse> | undefined => {
    const url = urlParts(request.url);
    const form = overridesGet(request) ? request : undefined;
    const asked = form === undefined ? request : asGet(form);
    const isDiscovery = discovery !== undefined && url.path === discoveryPath;
    if (isDiscovery && isRead(asked.method)) return respond(asked, url, undefined, form);
    const found = lookUp(routes.table, asked.method, url.path);
    if (found.kind !== "none") return respond(asked, url, found, form);
    return isDiscovery ? respond(asked, url, undefined, form) : undefined;
  };

  const servePart = ({ request }: BatchPart): MaybePromise<HandlerResponse> => {
    const refuse = (error: ConnectError) =>
      encode(errorAnswer(error, plainPresentation), request ?? plainRequest);
    if (request === undefined) return refuse(notBatchable("must be of type application/http"));
    const { path } = urlParts(request.url);
    if (path === batchPath) return refuse(notBatchable("cannot be a batch"));
    const method = overridesGet(request) ? "GET" : request.method;
    const found = lookUp(routes.table, method, path);
    if (found.kind === "found" && isWait(found.target)) {
      return refuse(notBatchable("cannot be a wait, which holds the others up"));
    }
    return serve(request) ?? refuse(notServed(path));
  };

  /** One part after another, so that a batch is never more than one call of its connection. */
  const respondToBatch = async (request: HandlerRequest): Promise<HandlerResponse> => {
    try {
      if (request.method !== "POST") throw methodNotAllowed(request.method, batchPath, ["POST"]);
      const { origin } = urlParts(request.url);
      const parts = parseBatch(request, origin, await readBody(request, limits));
      const responses: { contentId: string | undefined; response: HandlerResponse }[] = [];
      let length = 0;
      for (const part of parts) {
        request.signal.throwIfAborted();
        const response =
          length > maxBatchResponseBytes
            ? await encode(
                errorAnswer(batchFull(maxBatchResponseBytes), plainPresentation),
                part.request ?? plainRequest,
              )
            : await servePart(part);
        length += bodyLength(response);
        responses.push({ contentId: part.contentId, response });
      }
      const body = batchResponse(responses);
      return encode({ status: 200, header: undefined, body }, request);
    } catch (caught) {
      return encode(errorAnswer(caught, plainPresentation), request);
    }
  };

  return (request) => {
    const served = serve(request);
    if (served !== undefined || options.batch === false) return served;
    return urlParts(request.url).path === batchPath ? respondToBatch(request) : undefined;
  };
}

/** The rules that a path has. */
type Found = Exclude<ReturnType<typeof lookUp>, { readonly kind: "none" }>;

/** A request with the parts of its URL. */
interface ParsedRequest {
  readonly request: HandlerRequest;
  readonly url: UrlParts;
  readonly split: ReturnType<typeof splitQuery>;
  readonly presentation: Presentation;
}

interface Answer {
  readonly status: number;
  /** The headers that the call set; undefined if it set no header. */
  readonly header: Headers | undefined;
  readonly body: AnswerBody | undefined;
}

const noBytes = new Uint8Array();

/** Returns the message of a direct call, within the limits of the method. */
function receivedByDirect(
  { route: { spec, options } }: RestMethod,
  message: Message,
  { path, query }: UrlParts,
  body: Uint8Array,
): ReceivedMessage {
  const contentLength = path.length + query.length + body.byteLength;
  return receivedMessageOf(spec.method.input, message, contentLength, options.readMaxBytes);
}

/** The request of a part that is not one: nothing in it changes how the refusal is written. */
const plainRequest = { method: "", headerOf: () => null };

function isWait({ binding }: RestRoute): boolean {
  return selectorOf(binding.method) === `${Operations.typeName}.WaitOperation`;
}

function bytesOfContent(content: AnswerBody["content"]): Uint8Array<ArrayBuffer> {
  return typeof content === "string" ? bytesOfText(content) : content;
}

function isRead(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

/** HEAD is served as GET unless it has its own rule. */
function lookUp(table: ReturnType<typeof restRoutesOf>["table"], method: string, path: string) {
  const found = table.find(method, path);
  return method === "HEAD" && found.kind === "otherMethod" ? table.find("GET", path) : found;
}

function allowOf(methods: readonly string[]): string[] {
  const head = methods.includes("GET") ? ["HEAD"] : [];
  return [...new Set([...methods, ...head, "OPTIONS"])].sort();
}
