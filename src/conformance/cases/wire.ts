import type { DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { typeNameFromUrl } from "../../internal/type-url.js";
import { hasOwnJson, isJsonObject } from "../../json/message-json.js";
import { type Operation, OperationSchema, Operations } from "../../protos.js";
import type { ConformanceCase } from "../case.js";
import type { CaseRun } from "../case-run.js";
import { defineCase } from "../define-case.js";
import { type MethodName, methodNames } from "../description.js";
import { isSameAny, isSameResult } from "../equality.js";
import { Skipped } from "../failure.js";
import { isStatus } from "../rpc-code.js";
import type { Answer } from "../subject.js";

/** Judges the JSON of an Operation: names, and the form of each Any. */
function judgeOperation(run: CaseRun, json: JsonValue | undefined): void {
  if (!isJsonObject(json)) throw run.failure("a JSON object", JSON.stringify(json) ?? "no JSON");
  judgeNames(run, OperationSchema, json);
  for (const member of ["metadata", "response"]) {
    const any = json[member];
    if (any !== undefined && any !== null) judgeAny(run, member, any);
  }
  if (isJsonObject(json.error) && Array.isArray(json.error.details)) {
    for (const detail of json.error.details) judgeAny(run, "error.details", detail);
  }
}

function judgeNames(run: CaseRun, desc: DescMessage, json: JsonObject): void {
  for (const name of Object.keys(json)) {
    const snake = desc.fields.find((field) => field.name === name && field.jsonName !== name);
    run.check(snake === undefined, `the member "${snake?.jsonName}"`, `"${name}"`);
  }
}

function judgeAny(run: CaseRun, member: string, json: JsonValue): void {
  const type = isJsonObject(json) ? json["@type"] : undefined;
  if (!isJsonObject(json) || typeof type !== "string") {
    throw run.failure(`${member} with the member "@type"`, JSON.stringify(json));
  }
  const desc = run.subject.types.getMessage(typeNameFromUrl(type));
  if (desc === undefined || desc.typeName === "google.protobuf.Empty") return;
  if (hasOwnJson(desc)) {
    run.check(
      json.value !== undefined,
      `${member} of ${desc.typeName} with the member "value"`,
      JSON.stringify(json),
    );
    return;
  }
  const hasValue = desc.fields.some((field) => field.jsonName === "value");
  run.check(
    json.value === undefined || hasValue,
    `the members of ${desc.typeName} beside "@type"`,
    JSON.stringify(json),
  );
  judgeNames(run, desc, json);
}

/** Calls a method with a harmless request. */
function callRaw(run: CaseRun, method: MethodName, name: string): Promise<Answer> {
  const raw = { raw: true };
  switch (method) {
    case "GetOperation":
      return run.get(name, raw);
    case "ListOperations":
      return run.list({}, raw);
    case "CancelOperation":
      return run.cancel(name, raw);
    case "DeleteOperation":
      return run.delete(name, raw);
    case "WaitOperation":
      return run.wait(name, 0, { ...raw, limitMs: run.budgets.answerMs });
  }
}

/** Whether an answer says that the method does not exist. */
function isUnsupported(run: CaseRun, answer: Answer): boolean {
  const { httpStatus } = answer.call;
  const isHttp =
    run.protocol === "rest" && (httpStatus === 501 || httpStatus === 404 || httpStatus === 405);
  return isStatus(answer, "UNIMPLEMENTED") || isHttp;
}

export const wireCases: readonly ConformanceCase[] = [
  defineCase({
    id: "json.shape",
    level: "must",
    title: "JSON is ProtoJSON: lowerCamelCase names, payloads inline with @type, Empty as {}",
    sources: ["ProtoJSON", "any.proto JSON"],
    protocols: ["connect-json", "rest"],
    each: true,
    async body(run: CaseRun) {
      const { name } = await run.someName();
      const read = async () => {
        const answer = await run.get(name);
        if (answer.fault?.kind === "malformed") {
          throw run.failure("ProtoJSON of google.longrunning.Operation", answer.text);
        }
        run.ok(answer, `GetOperation finds "${name}"`);
        judgeOperation(run, answer.json);
        return answer.message?.done ? true : undefined;
      };
      await run.poll(run.budgets.settleMs, read);
      const cancelled = await run.cancel(name, { raw: true });
      if (cancelled.message !== undefined) {
        run.check(
          isJsonObject(cancelled.json) && Object.keys(cancelled.json).length === 0,
          "{} for google.protobuf.Empty",
          JSON.stringify(cancelled.json) ?? "no JSON",
        );
      }
      const page = await run.list({ pageSize: 1 }, { raw: true });
      if (page.message !== undefined && isJsonObject(page.json)) {
        judgeNames(run, Operations.method.listOperations.output, page.json);
      }
    },
  }),
  defineCase({
    id: "wire.declared",
    level: "must",
    title: "declared methods are implemented, and others answer UNIMPLEMENTED",
    sources: ["operations.proto, each method"],
    each: true,
    async body(run: CaseRun) {
      const { methods } = run.description;
      if (methods === undefined) throw new Skipped("the subject file declares no methods");
      const { name } = await run.unknownName();
      for (const method of methodNames) {
        const declared = methods[method];
        if (declared === undefined) continue;
        let answer: Answer;
        try {
          answer = await callRaw(run, method, name);
        } catch {
          // REST has no binding for this method.
          continue;
        }
        if (declared) {
          run.check(
            !isStatus(answer, "UNIMPLEMENTED"),
            `${method} is implemented, as declared`,
            answer.text,
          );
        } else {
          run.check(
            isUnsupported(run, answer),
            `UNIMPLEMENTED for ${method}, as declared`,
            answer.text,
          );
        }
      }
    },
  }),
  defineCase({
    id: "wire.same",
    level: "inferred",
    title: "all protocols show the same operation and the same error",
    sources: ["operations.proto"],
    async body(run: CaseRun) {
      const { protocols, types } = run.subject;
      if (protocols.length < 2) throw new Skipped("the subject speaks one protocol");
      const { name } = await run.done(run.kindFor("d"));
      const { name: unknown } = await run.unknownName();
      let first: Operation | undefined;
      for (const protocol of protocols) {
        const operation = run.ok(
          await run.get(name, { protocol }),
          `GetOperation finds "${name}" over ${protocol}`,
        );
        first ??= operation;
        run.check(
          operation.done === first.done &&
            (isSameResult(first, operation, types) || !isComparable(run, first, operation)) &&
            isSamePayload(run, first.metadata, operation.metadata),
          `the same operation over ${protocols[0]} and ${protocol}`,
          describe(operation),
        );
        const answer = await run.get(unknown, { protocol });
        run.status(answer, ["NOT_FOUND"], `an unknown name over ${protocol}`);
      }
    },
  }),
];

/** Payloads of unknown types lose their bytes over JSON, so that only their presence is compared. */
function isSamePayload(run: CaseRun, one: Any | undefined, other: Any | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  const isKnown = (any: Any) =>
    run.subject.types.getMessage(typeNameFromUrl(any.typeUrl)) !== undefined;
  const isStruct = (any: Any) => any.typeUrl.endsWith("google.protobuf.Struct");
  if (!isKnown(one) || !isKnown(other) || isStruct(one) || isStruct(other)) return true;
  return isSameAny(one, other, run.subject.types);
}

function isComparable(run: CaseRun, one: Operation, other: Operation): boolean {
  if (one.result.case !== other.result.case) return true;
  if (one.result.case === "response" && other.result.case === "response") {
    return !isSamePayload(run, one.result.value, other.result.value);
  }
  if (one.result.case === "error" && other.result.case === "error") {
    return one.result.value.code !== other.result.value.code;
  }
  return true;
}

function describe({ done, metadata, result }: Operation): string {
  return `done ${done}, metadata ${metadata === undefined ? "absent" : "present"}, result ${result.case ?? "absent"}`;
}
