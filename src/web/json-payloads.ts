import {
  clone,
  create,
  createFileRegistry,
  type DescFile,
  type DescMessage,
  fromBinary,
  isMessage,
  type JsonReadOptions,
  type JsonWriteOptions,
  type MessageShape,
  type Registry,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { type Any, AnySchema, anyIs, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Interceptor } from "@connectrpc/connect";
import { typeRegistryOf } from "../any/type-registry.js";
import { typeNameFromUrl } from "../internal/type-url.js";
import { fieldsWithAny, isAny } from "../json/fields-with-any.js";
import { mayLackJson } from "../json/may-lack-json.js";
import { maxJsonDepth } from "../json/parse-json.js";

/**
 * Writes payloads that have no other JSON as `{"@type": "…", "value": "<base64>"}` in Connect's
 * JSON, as the REST gateway does: those of unregistered types, and those of registered types whose
 * bytes are malformed or whose values JSON cannot hold.
 *
 * Connect writes JSON with Protobuf-ES, which fails as a whole for one such Any. So `writable` replaces such an Any with an Any of a registered type: a message with the bytes, whose
 * name follows the URL of the payload. The encoder of the text removes that name again. The name is
 * random, so that a request cannot contain it.
 */
export interface JsonPayloads {
  /** Connect's options of JSON, with a registry of the services' types and of `own`. */
  readonly jsonOptions: ConnectJsonOptions;
  /** Makes `writable` of the responses of calls in JSON. */
  readonly interceptor: Interceptor;
  /** The message, or a copy that these options can write. */
  writable<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): MessageShape<Desc>;
}

type Payload = Pick<Any, "typeUrl" | "value">;

/** Connect reads these of its `jsonOptions`, and declares the first two. */
type ConnectJsonOptions = Partial<JsonReadOptions & JsonWriteOptions> & {
  readonly textEncoder?: { encode(text: string): Uint8Array };
};

/** @param files The files of the services; called when the first type is asked for. */
export function createJsonPayloads(
  files: () => Iterable<DescFile>,
  own: ConnectJsonOptions | undefined,
): JsonPayloads {
  let known: Registry | undefined;
  const registry = (): Registry => {
    known ??= typeRegistryOf(files(), own?.registry);
    return known;
  };
  let bytesDesc: DescMessage | undefined;
  // The mark is drawn at the first use, because Workers refuse random values outside of a request.
  const bytesType = (): DescMessage => {
    bytesDesc ??= bytesMessage(`unregistered_${crypto.randomUUID().replaceAll("-", "")}`);
    return bytesDesc;
  };
  const suffixOf = ({ typeName }: DescMessage) => `#/${typeName}`;
  const utf8 = own?.textEncoder ?? new TextEncoder();
  const asBytes = ({ typeUrl, value }: Any): Payload => {
    const desc = bytesType();
    return {
      typeUrl: typeUrl + suffixOf(desc),
      value: toBinary(desc, create(desc, { value })),
    };
  };
  /** The payload to write in place of one that Protobuf-ES cannot write; undefined if it can. */
  const replacement = (any: Any, depth: number): Payload | undefined => {
    const { typeUrl, value } = any;
    if (typeUrl === "") return undefined;
    const desc = registry().getMessage(typeNameFromUrl(typeUrl));
    if (desc === undefined || !anyIs(any, desc) || depth >= maxJsonDepth) return asBytes(any);
    try {
      const message = fromBinary(desc, value);
      const written = replaceAnys(desc, message, depth + 1);
      if (mayLackJson(desc)) toJson(desc, written, { registry: writing });
      return written === message ? undefined : { typeUrl, value: toBinary(desc, written) };
    } catch {
      return asBytes(any);
    }
  };
  const replaceAnys = <Desc extends DescMessage>(
    desc: Desc,
    message: MessageShape<Desc>,
    depth: number,
  ): MessageShape<Desc> => {
    if (!holdsAny(desc)) return message;
    const replaced = anysOf(reflect(desc, message)).map((any) => replacement(any, depth));
    if (replaced.every((payload) => payload === undefined)) return message;
    const copy = clone(desc, message);
    for (const [at, any] of anysOf(reflect(desc, copy)).entries()) {
      Object.assign(any, replaced[at]);
    }
    return copy;
  };
  const writable = <Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>) =>
    replaceAnys(desc, message, 0);

  const writing: Registry = {
    kind: "registry",
    [Symbol.iterator]: () => registry()[Symbol.iterator](),
    get: (name) => registry().get(name),
    getMessage: (name) => (name === bytesDesc?.typeName ? bytesDesc : registry().getMessage(name)),
    getEnum: (name) => registry().getEnum(name),
    getExtension: (name) => registry().getExtension(name),
    getExtensionFor: (extendee, number) => registry().getExtensionFor(extendee, number),
    getService: (name) => registry().getService(name),
  };

  return {
    writable,
    jsonOptions: {
      ...own,
      registry: writing,
      textEncoder: {
        encode(text) {
          const suffix = bytesDesc && suffixOf(bytesDesc);
          if (suffix === undefined || !text.includes(suffix)) return utf8.encode(text);
          return utf8.encode(text.replaceAll(suffix, ""));
        },
      },
    },
    interceptor: (next) => async (request) => {
      const response = await next(request);
      const { output } = request.method;
      if (!holdsAny(output) || !isJson(request)) return response;
      if (!response.stream) return { ...response, message: writable(output, response.message) };
      return { ...response, message: mapped(response.message, (one) => writable(output, one)) };
    },
  };
}

/** Whether a call has its messages in JSON: by its content type, or by the query of Connect's GET. */
function isJson({ header, url }: { readonly header: Headers; readonly url: string }): boolean {
  const contentType = header.get("content-type");
  return contentType === null ? /[?&]encoding=json(&|$)/.test(url) : /json/i.test(contentType);
}

async function* mapped<T>(items: AsyncIterable<T>, map: (item: T) => T): AsyncGenerator<T> {
  for await (const item of items) yield map(item);
}

function holdsAny(desc: DescMessage): boolean {
  return isAny(desc) || fieldsWithAny(desc).length > 0;
}

/** The Anys of a message, at any depth, without those inside payloads. */
function anysOf(message: ReflectMessage): Any[] {
  if (isMessage(message.message, AnySchema)) return [message.message];
  const found: Any[] = [];
  const add = (value: unknown) => found.push(...anysOf(value as ReflectMessage));
  for (const field of fieldsWithAny(message.desc)) {
    if (!message.isSet(field)) continue;
    if (field.fieldKind === "list") for (const item of message.get(field)) add(item);
    else if (field.fieldKind === "map") for (const [, item] of message.get(field)) add(item);
    else add(message.get(field));
  }
  return found;
}

function bytesMessage(packageName: string): DescMessage {
  const file = create(FileDescriptorProtoSchema, {
    name: `${packageName}.proto`,
    package: packageName,
    syntax: "proto3",
    // The numbers are TYPE_BYTES and LABEL_OPTIONAL of descriptor.proto.
    messageType: [
      {
        name: "Payload",
        field: [{ name: "value", jsonName: "value", number: 1, type: 12, label: 1 }],
      },
    ],
  });
  const desc = createFileRegistry(file, () => undefined).getMessage(`${packageName}.Payload`);
  if (desc === undefined) throw new TypeError("a type of its own file is missing");
  return desc;
}
