import { isMessage } from "@bufbuild/protobuf";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";
import { TimestampSchema, timestampMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { validate, version } from "uuid";
import { typeNameOf } from "../any/any.js";
import type { Operation } from "../protos.js";
import { codeFromNumber, codeName } from "../status/code.js";
import { type OperationVerdict, verdictOf } from "./operation-verdict.js";
import type { PayloadTypes } from "./payload-types.js";
import { type Progress, progressOf } from "./progress-of.js";

/** What tables and progress lines show of an operation. */
export interface OperationView {
  readonly name: string;
  readonly verdict: OperationVerdict;
  /** Without anything in it where the metadata is missing, or of a type that is not known. */
  readonly progress: Progress;
  /** Milliseconds since the Unix epoch; undefined where nothing tells it. */
  readonly createTimeMs: number | undefined;
  /** The method that started it, or else the type of its metadata; empty where it has none. */
  readonly kind: string;
  /** `CODE: message` of one that did not succeed; empty for others. */
  readonly error: string;
}

const noProgress: Progress = { fraction: undefined, counted: undefined, status: undefined };

/** Read an operation, with its metadata unpacked where its type is known. */
export async function viewOf(operation: Operation, types: PayloadTypes): Promise<OperationView> {
  const { name, metadata: packed, result } = operation;
  const metadata = packed && (await types.unpack(packed));
  const typeName = packed === undefined ? "" : typeNameOf(packed);
  const method = typeName === "" ? undefined : types.methodOf(typeName);
  return {
    name,
    verdict: verdictOf(operation),
    progress: metadata === undefined ? noProgress : progressOf(metadata),
    createTimeMs: (metadata && createTimeMsOf(metadata)) ?? uuidTimeMs(name),
    kind: method ?? typeName,
    error:
      result.case === "error"
        ? `${codeName(codeFromNumber(result.value.code) ?? Code.Unknown)}: ${result.value.message}`
        : "",
  };
}

/** The Timestamp called `create_time` or `start_time`, as Google's metadata have it. */
function createTimeMsOf(metadata: ReflectMessage): number | undefined {
  for (const name of ["create_time", "start_time"]) {
    const field = metadata.fields.find((one) => one.name === name);
    if (field?.fieldKind !== "message" || !metadata.isSet(field)) continue;
    const { message } = metadata.get(field);
    if (isMessage(message, TimestampSchema)) return timestampMs(message);
  }
  return undefined;
}

/** The time in a name that ends in a UUIDv7 (RFC 9562, 5.7), as those of our server do. */
function uuidTimeMs(name: string): number | undefined {
  const id = name.slice(name.lastIndexOf("/") + 1);
  if (!validate(id) || version(id) !== 7) return undefined;
  return Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
}
