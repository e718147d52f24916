import type {
  DescFile,
  DescMessage,
  DescMethodUnary,
  MessageShape,
  Registry,
} from "@bufbuild/protobuf";
import { create, createRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { ConnectError, createContextValues } from "@connectrpc/connect";
import { typeRegistryOf } from "../any/type-registry.js";
import { runUnaryCall } from "../direct/connect-protocol.js";
import { concatBytes } from "../internal/concat-bytes.js";
import { atLeastOne } from "../internal/option-bounds.js";
import { responseTypes } from "../internal/response-types.js";
import { streamChunks } from "../internal/stream-chunks.js";
import { createMessageJson, type MessageJson } from "../json/message-json.js";
import { parseJson } from "../json/parse-json.js";
import { HttpBodySchema } from "../protos.js";
import { errorFromAnswer, errorInSuccess } from "./error-from-answer.js";
import { answerTooLarge, noHttpRule, redirected, unreachable, unreadableAnswer } from "./errors.js";
import { type HttpRequest, httpRequestOf } from "./http-request.js";
import {
  type HttpBinding,
  type HttpRuleOptions,
  httpBindingsOf,
  selectorOf,
} from "./http-rules.js";
import { isHttpBody } from "./request-message.js";

/**
 * The address of a REST server, and how to call it. Its rules are the rules of `HttpRuleOptions`.
 */
export interface RestTransportOptions extends HttpRuleOptions {
  /** `https://host`, with a path before those of the rules where the server has one. */
  baseUrl: string;
  /** Sends the requests. Default: the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Interceptors of the transport's calls. Default: none. */
  interceptors?: Interceptor[] | undefined;
  /** For calls without one of their own, in milliseconds. Default: none. */
  defaultTimeoutMs?: number | undefined;
  /** Largest answer, in bytes. Default: 64 MiB. */
  readMaxBytes?: number | undefined;
  /**
   * Additional types that an Any may hold. The types of the called service's file, and the
   * response and metadata types of a long-running client, are there already. Default: none. An Any of an unknown type holds all of its JSON as a google.protobuf.Struct,
   * unless the server sent its bytes.
   */
  registry?: Registry | undefined;
}

/**
 * Creates a Connect transport for servers that have REST and JSON only, by the HTTP rules of the
 * called methods. It makes unary calls: a method that streams, or has no rule, is UNIMPLEMENTED. Errors are those of the server's body, details included.
 *
 * @throws RangeError for an option out of bounds.
 * @example
 * const rules = operationsHttpRules();
 * const transport = createRestTransport({ baseUrl: "https://example.com", rules });
 * const operation = await createOperationsClient(transport).get("operations/1");
 */
export function createRestTransport(options: RestTransportOptions): Transport {
  const { interceptors, defaultTimeoutMs } = options;
  const baseUrl = options.baseUrl.replace(/\/+$/, "");
  const readMaxBytes = atLeastOne("readMaxBytes", options.readMaxBytes ?? 64 * 1024 * 1024);
  const methods = createMethodCache(options);

  const exchange = async (
    { target, binding, body }: HttpRequest,
    header: Headers,
    signal: AbortSignal,
  ): Promise<Response> => {
    const fetch = options.fetch ?? globalThis.fetch;
    let response: Response;
    try {
      response = await fetch(baseUrl + target, {
        method: binding.httpMethod === "*" ? "POST" : binding.httpMethod,
        headers: header,
        body: typeof body?.content === "string" ? body.content : asBytes(body?.content),
        signal,
        // The mode "error" is not used because Workers refuse it.
        redirect: "manual",
      });
    } catch (cause) {
      throw unreachable(baseUrl, cause);
    }
    // A browser reports a redirect as the status 0.
    if (response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400)) {
      await response.body?.cancel();
      throw redirected(baseUrl, response.headers.get("Location") ?? "");
    }
    return response;
  };

  return {
    async unary(method, signal, timeoutMs, headerInit, message, contextValues) {
      const { bindings, jsonFor } = methods(method);
      const json = jsonFor(contextValues?.get(responseTypes) ?? noTypes);
      if (bindings.length === 0) throw noHttpRule(selectorOf(method), "it has no HTTP rule");
      const limitMs = timeoutMs ?? defaultTimeoutMs;
      const request = httpRequestOf(bindings, method.input, create(method.input, message), json);
      const header = new Headers(headerInit);
      header.set("Accept", "application/json");
      if (limitMs !== undefined && limitMs > 0) {
        header.set("X-Server-Timeout", String(limitMs / 1000));
      }
      return runUnaryCall({
        interceptors,
        signal,
        // Connect treats a timeout of 0 or less as no timeout.
        timeoutMs: limitMs === undefined || limitMs <= 0 ? undefined : limitMs,
        req: {
          stream: false,
          service: method.parent,
          method,
          requestMethod: request.binding.httpMethod,
          url: baseUrl + request.target,
          header,
          contextValues: contextValues ?? createContextValues(),
          message,
        },
        async next(call) {
          // The message is read again, because an interceptor may have replaced it.
          const sent = httpRequestOf(bindings, method.input, call.message, json);
          if (sent.body !== undefined) call.header.set("Content-Type", sent.body.contentType);
          const answer = await exchange(sent, call.header, call.signal);
          const bytes = await readAnswer(answer, readMaxBytes, baseUrl);
          if (!answer.ok) throw errorFromAnswer(answer.status, answer.headers, bytes, json);
          return {
            stream: false,
            service: method.parent,
            method,
            header: answer.headers,
            trailer: new Headers(),
            message: messageOf(sent.binding, method, answer.headers, bytes, json),
          };
        },
      });
    },
    async stream(method) {
      throw noHttpRule(selectorOf(method), "it is a stream");
    },
  };
}

/** The rules of a method, found once. */
interface CallableMethod {
  readonly bindings: readonly HttpBinding[];
  /** Returns the JSON of the method's types and of the types that a caller expects. */
  jsonFor(types: readonly DescMessage[]): MessageJson;
}

const noTypes: readonly DescMessage[] = [];

function createMethodCache(options: RestTransportOptions) {
  const methods = new Map<DescMethodUnary, CallableMethod>();
  const codecs = new Map<DescFile, WeakMap<readonly DescMessage[], MessageJson>>();
  const codecOf = (file: DescFile, types: readonly DescMessage[]): MessageJson => {
    const byTypes = codecs.get(file) ?? new WeakMap();
    codecs.set(file, byTypes);
    const own = options.registry === undefined ? [] : [options.registry];
    const codec: MessageJson =
      byTypes.get(types) ??
      createMessageJson({
        registry: typeRegistryOf([file], createRegistry(...types, ...own)),
        unknownAny: "struct",
      });
    byTypes.set(types, codec);
    return codec;
  };
  return (method: DescMethodUnary): CallableMethod => {
    const callable = methods.get(method) ?? {
      bindings: httpBindingsOf(method, options),
      jsonFor: (types) => codecOf(method.parent.file, types),
    };
    methods.set(method, callable);
    return callable;
  };
}

/** A copy, as a body must not lie in shared memory. */
function asBytes(content: Uint8Array | undefined): Uint8Array<ArrayBuffer> | undefined {
  return content && new Uint8Array(content);
}

async function readAnswer(
  { body }: Response,
  maxBytes: number,
  baseUrl: string,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of body === null ? [] : streamChunks(body)) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > maxBytes) break;
    }
  } catch (cause) {
    throw unreachable(baseUrl, cause);
  }
  if (length > maxBytes) throw answerTooLarge(maxBytes);
  return concatBytes(chunks);
}

function messageOf<O extends DescMessage>(
  { responseBody }: HttpBinding,
  { output }: DescMethodUnary<DescMessage, O>,
  header: Headers,
  bytes: Uint8Array,
  json: MessageJson,
): MessageShape<O> {
  const contentType = header.get("Content-Type") ?? "";
  const raw = { contentType, data: bytes };
  if (isHttpBody(output)) {
    // The descriptor may be a copy of this package's descriptor. The bytes are the same.
    return fromBinary(output, toBinary(HttpBodySchema, create(HttpBodySchema, raw)));
  }
  if (responseBody?.message !== undefined && isHttpBody(responseBody.message)) {
    const desc: DescMessage = output;
    const whole = reflect(desc);
    whole.set(responseBody, reflect(HttpBodySchema, create(HttpBodySchema, raw)));
    return fromBinary(output, toBinary(desc, whole.message));
  }
  if (bytes.length === 0) return create(output);
  if (!/^(application|text)\/([\w.-]+\+)?json\b/i.test(contentType)) {
    throw unreadableAnswer(output.typeName, `is "${contentType}"`);
  }
  try {
    const parsed = parseJson(bytes);
    const error = errorInSuccess(parsed, output, header, bytes, json);
    if (error !== undefined) throw error;
    return json.read(output, responseBody ? { [responseBody.jsonName]: parsed } : parsed);
  } catch (cause) {
    if (cause instanceof ConnectError) throw cause;
    throw unreadableAnswer(output.typeName, "is other JSON", cause);
  }
}
