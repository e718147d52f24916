import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";

/** A field whose values are messages: itself, the items of a list, the values of a map. */
export type MessageField = DescField & { readonly message: DescMessage };

const known = new WeakMap<DescMessage, readonly MessageField[]>();

/** Returns the fields of a message that an Any can be below of, at whatever depth. */
export function fieldsWithAny(desc: DescMessage): readonly MessageField[] {
  const found = known.get(desc);
  if (found !== undefined) return found;
  const fields = desc.fields.filter(isMessageField).filter(({ message }) => holdsAny(message));
  known.set(desc, fields);
  return fields;
}

/** Whether a message is an Any. */
export function isAny(desc: DescMessage): boolean {
  return desc.typeName === AnySchema.typeName;
}

/** Whether the values of a field are messages. */
export function isMessageField(field: DescField): field is MessageField {
  return field.message !== undefined;
}

function holdsAny(desc: DescMessage): boolean {
  const seen = new Set([desc]);
  // The set grows during the loop, which also visits the values that are added.
  for (const message of seen) {
    if (isAny(message)) return true;
    for (const field of message.fields) if (field.message !== undefined) seen.add(field.message);
  }
  return false;
}
