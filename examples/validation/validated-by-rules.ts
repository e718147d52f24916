// The option `validate` of a long-running method, by the rules of protovalidate in the .proto file.
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "connect-longrunning/protos";

const validator = createValidator();

/** Returns a function that rejects requests that break a rule with INVALID_ARGUMENT and a BadRequest. */
export function validatedByRules<D extends DescMessage>(schema: D) {
  return (request: MessageShape<D>): void => {
    const result = validator.validate(schema, request);
    if (result.kind === "valid") return;
    if (result.kind === "error") throw result.error; // a rule that does not compile: INTERNAL
    const fieldViolations = result.violations.map(({ field, ruleId, message }) => ({
      field: pathToString(field),
      reason: ruleId.toUpperCase().replaceAll(/[^A-Z0-9]+/g, "_"),
      description: message,
    }));
    throw new ConnectError("the request breaks a rule", Code.InvalidArgument, undefined, [
      { desc: BadRequestSchema, value: { fieldViolations } },
    ]);
  };
}
