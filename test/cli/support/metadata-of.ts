import {
  create,
  createFileRegistry,
  fromJson,
  type JsonObject,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import {
  type FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  type FileDescriptorProtoSchema as FileSchema,
} from "@bufbuild/protobuf/wkt";

/** The fields of a message by their names: a scalar's type, or the fields of a message in it. */
export interface FieldTypes {
  readonly [name: string]: FieldDescriptorProto_Type | FieldTypes;
}

type MessageInit = NonNullable<MessageInitShape<typeof FileSchema>["messageType"]>[number];

/** A message of a type that is made here, of these fields, with these values. */
export function metadataOf(fields: FieldTypes, values: JsonObject = {}): ReflectMessage {
  const file = create(FileDescriptorProtoSchema, {
    name: "metadata.proto",
    syntax: "proto3",
    messageType: [messageType("Metadata", fields, ".Metadata")],
  });
  const desc = createFileRegistry(file, () => undefined).getMessage("Metadata");
  if (desc === undefined) throw new Error("the type was not made");
  return reflect(desc, fromJson(desc, values));
}

function messageType(name: string, fields: FieldTypes, path: string): MessageInit {
  const entries = Object.entries(fields);
  return {
    name,
    field: entries.map(([field, type], at) =>
      typeof type === "object"
        ? { name: field, number: at + 1, label: 1, type: 11, typeName: `${path}.In_${field}` }
        : { name: field, number: at + 1, label: 1, type },
    ),
    nestedType: entries.flatMap(([field, type]) =>
      typeof type === "object" ? [messageType(`In_${field}`, type, `${path}.In_${field}`)] : [],
    ),
  };
}
