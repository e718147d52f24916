import { create, createFileRegistry, setExtension } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_descriptor,
  file_google_protobuf_duration,
  file_google_protobuf_field_mask,
  file_google_protobuf_timestamp,
} from "@bufbuild/protobuf/wkt";
import {
  FieldRulesSchema,
  field,
  file_buf_validate_validate,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, it } from "vitest";
import { validatedByRules } from "../../examples/validation/validated-by-rules.js";
import { standardDetailsOf } from "../../src/index.js";

/** A request whose string field `page_name` must have at least 3 characters. */
function requestSchema() {
  const options = create(FieldOptionsSchema);
  const rules = { type: { case: "string" as const, value: { minLen: 3n } } };
  setExtension(options, field, create(FieldRulesSchema, rules));
  const file = create(FileDescriptorProtoSchema, {
    name: "rules.proto",
    package: "rules",
    syntax: "proto3",
    dependency: ["buf/validate/validate.proto"],
    messageType: [
      {
        name: "Request",
        field: [
          {
            name: "page_name",
            number: 1,
            label: FieldDescriptorProto_Label.OPTIONAL,
            type: FieldDescriptorProto_Type.STRING,
            options,
          },
        ],
      },
    ],
  });
  const known = [
    file_google_protobuf_descriptor,
    file_google_protobuf_duration,
    file_google_protobuf_field_mask,
    file_google_protobuf_timestamp,
    file_buf_validate_validate,
  ];
  const set = create(FileDescriptorSetSchema, { file: [...known.map(({ proto }) => proto), file] });
  const schema = createFileRegistry(set).getMessage("rules.Request");
  if (schema === undefined) throw new Error("the request has no descriptor");
  return schema;
}

it("names the field and the rule of a request that breaks one", () => {
  const schema = requestSchema();
  const validate = validatedByRules(schema);
  const requestOf = (pageName: string) => create(schema, { pageName });
  expect(validate(requestOf("cover"))).toBeUndefined();
  const error = thrownBy(() => validate(requestOf("a")));
  expect(error.code).toBe(Code.InvalidArgument);
  expect(standardDetailsOf(error).badRequest?.fieldViolations).toMatchObject([
    { field: "page_name", reason: "STRING_MIN_LEN", description: expect.stringContaining("3") },
  ]);
});

function thrownBy(run: () => void): ConnectError {
  try {
    run();
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("nothing was thrown");
}
