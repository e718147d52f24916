import {
  create,
  isMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { type Any, AnySchema, anyUnpack, EmptySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { ListOperationsResponseSchema, type Operation, OperationSchema } from "../../src/protos.js";
import { registry } from "./wires.js";

/**
 * The response or the error of a call, as data that can be written
 * down by hand: the JSON form of the messages, with two differences. A payload of
 * a type that is not in the registry shows its bytes, in hex; a page token, which
 * cannot be predicted, shows only that it is one.
 */
export async function plain(call: Promise<Message>): Promise<JsonObject> {
  try {
    return plainMessage(await call);
  } catch (error) {
    return plainError(error);
  }
}

function plainMessage(message: Message): JsonObject {
  if (isMessage(message, OperationSchema)) return plainOperation(message);
  if (isMessage(message, EmptySchema)) return {};
  if (isMessage(message, ListOperationsResponseSchema)) {
    const { operations, nextPageToken, unreachable } = message;
    return {
      operations: operations.map(plainOperation),
      ...(nextPageToken !== "" && { nextPageToken: plainToken(nextPageToken) }),
      ...(unreachable.length > 0 && { unreachable }),
    };
  }
  throw new TypeError(`no plain form of ${message.$typeName}`);
}

function plainOperation({ name, metadata, done, result }: Operation): JsonObject {
  return {
    name,
    done,
    ...(metadata && { metadata: plainAny(metadata) }),
    ...(result.case === "response" && { response: plainAny(result.value) }),
    ...(result.case === "error" && {
      error: {
        code: result.value.code,
        message: result.value.message,
        details: result.value.details.map(plainAny),
      },
    }),
  };
}

function plainError(thrown: unknown): JsonObject {
  // Not ConnectError.from, which would make one of whatever went wrong in the test.
  if (!(thrown instanceof ConnectError)) throw thrown;
  return {
    code: Code[thrown.code] ?? thrown.code,
    message: thrown.rawMessage,
    details: thrown.details.map((detail) => {
      if ("desc" in detail) throw new TypeError("the error never crossed a wire");
      const typeUrl = `type.googleapis.com/${detail.type}`;
      return plainAny(create(AnySchema, { typeUrl, value: detail.value }));
    }),
  };
}

function plainAny(any: Any): JsonObject {
  const message = anyUnpack(any, registry);
  const schema = message && registry.getMessage(message.$typeName);
  if (message === undefined || schema === undefined) {
    return { "@type": any.typeUrl, bytes: Buffer.from(any.value).toString("hex") };
  }
  return { "@type": any.typeUrl, ...asObject(toJson(schema, message)) };
}

function asObject(json: JsonValue): JsonObject {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json;
  throw new TypeError("a message whose JSON form is no object");
}

/** AIP-158: a page token is URL-safe. */
function plainToken(token: string): string {
  return /^[A-Za-z0-9_-]+$/.test(token) ? "TOKEN" : token;
}
