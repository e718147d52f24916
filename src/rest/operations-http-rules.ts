import type { MessageInitShape } from "@bufbuild/protobuf";
import { type HttpRuleSchema, Operations } from "../protos.js";

/** The version and the parent of the names of a service's operations. */
export interface OperationsHttpRulesOptions {
  /** The first segment of all paths. Default: "v1". */
  version?: string | undefined;
  /**
   * The pattern of the names that operations are below of: segments, each `*` or a literal, with
   * slashes between them. Default: none, operations are named `operations/…`.
   */
  parent?: string | undefined;
}

/**
 * Returns the usual HTTP rules of google.longrunning.Operations, for `HttpRuleOptions.rules`:
 *
 *     GET         /{version}/{name={parent}}/operations
 *     GET, DELETE /{version}/{name={parent}/operations/{id}}
 *     POST        /{version}/{name={parent}/operations/{id}}:cancel
 *     POST        /{version}/{name={parent}/operations/{id}}:wait
 *
 * Without a parent they are the proto's own, which capture `operations` and `operations/**`, and
 * `:wait`, which the proto binds nowhere.
 */
export function operationsHttpRules({
  version = "v1",
  parent = "",
}: OperationsHttpRulesOptions = {}): MessageInitShape<typeof HttpRuleSchema>[] {
  const list =
    parent === "" ? `/${version}/{name=operations}` : `/${version}/{name=${parent}}/operations`;
  const names = parent === "" ? "operations/**" : `${parent}/operations/*`;
  const one = `/${version}/{name=${names}}`;
  const selector = (method: string) => `${Operations.typeName}.${method}`;
  return [
    { selector: selector("ListOperations"), pattern: { case: "get", value: list } },
    { selector: selector("GetOperation"), pattern: { case: "get", value: one } },
    { selector: selector("DeleteOperation"), pattern: { case: "delete", value: one } },
    {
      selector: selector("CancelOperation"),
      pattern: { case: "post", value: `${one}:cancel` },
      body: "*",
    },
    {
      selector: selector("WaitOperation"),
      pattern: { case: "post", value: `${one}:wait` },
      body: "*",
    },
  ];
}
