import type { JsonValue } from "@bufbuild/protobuf";
import { BinaryReader, type WireType } from "@bufbuild/protobuf/wire";
import { isJsonObject } from "../../json/message-json.js";

/** The members of an Operation as received, before a parser chooses one of a oneof. */
export interface OperationFacts {
  readonly name: string;
  readonly done: boolean;
  readonly hasError: boolean;
  readonly hasResponse: boolean;
}

const utf8 = new TextDecoder();

/** Returns the fields of a binary message: number, wire type and bytes of each, in order. */
export function fieldsOf(bytes: Uint8Array): { no: number; type: WireType; data: Uint8Array }[] {
  const reader = new BinaryReader(bytes);
  const fields: { no: number; type: WireType; data: Uint8Array }[] = [];
  while (reader.pos < reader.len) {
    const [no, type] = reader.tag();
    fields.push({ no, type, data: reader.skip(type, no) });
  }
  return fields;
}

/** Returns the facts of the Operations in a binary Operation or ListOperationsResponse. */
export function factsFromBytes(bytes: Uint8Array, isList: boolean): OperationFacts[] {
  if (isList) {
    return fieldsOf(bytes)
      .filter(({ no }) => no === 1)
      .flatMap(({ data }) => factsFromBytes(new BinaryReader(data).bytes(), false));
  }
  const fields = fieldsOf(bytes);
  const last = (no: number) => fields.findLast((field) => field.no === no)?.data;
  const name = last(1);
  const done = last(3);
  return [
    {
      name: name === undefined ? "" : utf8.decode(new BinaryReader(name).bytes()),
      done: done !== undefined && new BinaryReader(done).bool(),
      hasError: last(4) !== undefined,
      hasResponse: last(5) !== undefined,
    },
  ];
}

/** Returns the facts of the Operations in the JSON of an Operation or ListOperationsResponse. */
export function factsFromJson(json: JsonValue, isList: boolean): OperationFacts[] {
  if (!isJsonObject(json)) return [];
  if (isList) {
    const { operations } = json;
    return Array.isArray(operations) ? operations.flatMap((one) => factsFromJson(one, false)) : [];
  }
  return [
    {
      name: typeof json.name === "string" ? json.name : "",
      done: json.done === true,
      hasError: isGiven(json.error),
      hasResponse: isGiven(json.response),
    },
  ];
}

function isGiven(json: JsonValue | undefined): boolean {
  return json !== undefined && json !== null;
}
