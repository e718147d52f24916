import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { isSameBytes } from "../../internal/same-bytes.js";
import { typeNameFromUrl } from "../../internal/type-url.js";
import { findMessage, operationInfoOf } from "../../operation/long-running.js";
import type { Status } from "../../protos.js";
import { codeName } from "../../status/code.js";
import type { ConformanceCase } from "../case.js";
import { endText, type Started } from "../case-operations.js";
import type { CaseRun } from "../case-run.js";
import { defineCase } from "../define-case.js";
import { isSameAny } from "../equality.js";
import { isStatus } from "../rpc-code.js";
import { needOf, opaqueDetail, type StartKind } from "../starts.js";

/** Runs a failing operation to its end and returns its error. */
async function failed(run: CaseRun, opaque = false): Promise<{ error: Status; started: Started }> {
  const started = await run.start("fails", { opaque });
  const operation = await run.poll(run.budgets.caseMs / 2, async () => {
    const answer = await run.get(started.name);
    // The operation is not visible yet. The case `start.found` checks its visibility.
    if (isStatus(answer, "NOT_FOUND")) return undefined;
    const message = run.ok(answer, `OK for GetOperation of the failed operation "${started.name}"`);
    return message.done ? message : undefined;
  });
  if (operation === undefined) run.notExercised(`"${started.name}" did not come to its end`);
  const { result } = operation;
  if (result.case !== "error") {
    throw run.failure('an operation of the need "fails" ends with an error', endText(operation));
  }
  return { error: result.value, started };
}

/** The declared details of known types, packed. */
function declaredDetails(run: CaseRun, { expectedError }: Started): Any[] {
  return (expectedError?.details ?? []).map((detail) => run.subject.json.read(AnySchema, detail));
}

/** Fewest reads of running work that show whether its metadata changes. */
const fewestReads = 4;

export const statusCases: readonly ConformanceCase[] = [
  defineCase({
    id: "status.failed",
    level: "must",
    title: "GetOperation of a failed operation is OK, with the error inside",
    sources: ["AIP-151 Errors"],
    needs: ["f"],
    each: true,
    async body(run: CaseRun) {
      const { error, started } = await failed(run);
      const code = started.expectedError?.code;
      if (code === undefined) return;
      run.check(
        error.code === code,
        `error.code ${code} (${codeName(code)})`,
        `error.code ${error.code}`,
      );
    },
  }),
  defineCase({
    id: "status.details",
    level: "must",
    title: "the details of an operation's error arrive",
    sources: ["operations.proto Operation.error", "status.proto details"],
    needs: ["f"],
    claims: ["details"],
    each: true,
    async body(run: CaseRun) {
      const { error, started } = await failed(run);
      for (const detail of declaredDetails(run, started)) {
        const isKnown = run.subject.types.getMessage(typeNameFromUrl(detail.typeUrl)) !== undefined;
        if (run.isJson && !isKnown) continue;
        const found = error.details.some((one) => isSameAny(one, detail, run.subject.types));
        run.check(found, `the declared detail of the type ${detail.typeUrl}`, detailsText(error));
      }
    },
  }),
  defineCase({
    id: "status.opaque",
    alone: true,
    level: "inferred",
    title: "a detail of a type that the server does not know keeps its bytes",
    sources: ["any.proto"],
    needs: ["f"],
    claims: ["opaque"],
    protocols: ["grpc", "grpc-web", "connect"],
    async body(run: CaseRun) {
      const { error, started } = await failed(run, true);
      const need = needOf(run.subject, "fails");
      const isDriver = typeof need === "object" && "driver" in need;
      const expected = isDriver ? [opaqueDetail] : unknownDetails(run, started);
      if (expected.length === 0) run.notExercised('declare the unknown detail in "details"');
      for (const { typeUrl, value } of expected) {
        const found = error.details.some(
          (one) => one.typeUrl === typeUrl && isSameBytes(one.value, value),
        );
        // A list over JSON could not encode the detail.
        if (!started.isPrepared) await run.delete(started.name, { raw: true });
        run.check(found, `the bytes of the detail of the type ${typeUrl}`, detailsText(error));
      }
    },
  }),
  defineCase({
    id: "status.info",
    level: "must",
    title: "an operation's error has one ErrorInfo, and no detail type twice",
    sources: ["AIP-193 Status.details"],
    needs: ["f"],
    follows: 193,
    each: true,
    async body(run: CaseRun) {
      const { error } = await failed(run);
      const types = error.details.map(({ typeUrl }) => typeNameFromUrl(typeUrl));
      const infos = types.filter((type) => type === "google.rpc.ErrorInfo");
      run.check(infos.length === 1, "one google.rpc.ErrorInfo", detailsText(error));
      run.check(new Set(types).size === types.length, "each detail type once", types.join(", "));
    },
  }),
];

function unknownDetails(run: CaseRun, started: Started): Any[] {
  return declaredDetails(run, started).filter(
    ({ typeUrl }) => run.subject.types.getMessage(typeNameFromUrl(typeUrl)) === undefined,
  );
}

function detailsText({ details }: Status): string {
  return details.length === 0
    ? "no details"
    : `details of the types ${details.map(({ typeUrl }) => typeUrl).join(", ")}`;
}

/** The kinds whose start methods meta.info inspects. */
const startKinds: readonly StartKind[] = [
  "succeeds",
  "fails",
  "runsUntilCancelled",
  "ignoresCancel",
  "reportsProgress",
  "takes",
];

export const metaCases: readonly ConformanceCase[] = [
  defineCase({
    id: "meta.types",
    level: "must",
    title: "metadata and response are of the types that operation_info names",
    sources: ["operations.proto OperationInfo", "AIP-151"],
    needs: ["s"],
    each: true,
    async body(run: CaseRun) {
      const started = await run.start("succeeds");
      const method =
        started.method === undefined ? undefined : await run.subject.methodOf(started.method);
      const info = method && operationInfoOf(method);
      if (info === undefined) {
        run.notExercised('the start method\'s operation_info is not known; give "descriptors"');
      }
      const operation = await run.untilDone(started.name);
      const { result } = operation;
      for (const [what, any, type] of [
        ["metadata", started.operation.metadata, info.metadata],
        ["metadata", operation.metadata, info.metadata],
        ["response", result.case === "response" ? result.value : undefined, info.response],
      ] as const) {
        if (any === undefined) continue;
        const actual = typeNameFromUrl(any.typeUrl);
        // An unknown type over JSON is kept as a Struct with the received @type.
        run.check(
          actual === type ||
            (run.isJson && actual === "google.protobuf.Struct" && info.metadata === ""),
          `${what} of the type ${type}`,
          `${what} of the type ${actual}`,
        );
      }
    },
  }),
  defineCase({
    id: "meta.progress",
    level: "should",
    title: "metadata changes while the work reports progress",
    sources: ["AIP-151 metadata type"],
    needs: ["p"],
    async body(run: CaseRun) {
      const { slackMs, caseMs } = run.budgets;
      const ms = 3 * slackMs;
      const started = await run.start("reportsProgress", { ms });
      const seen = new Set<string>();
      let reads = 0;
      let widestMs = 0;
      let lastMs = performance.now();
      const ended = await run.poll(caseMs / 2, async () => {
        const { message, startMs, endMs } = await run.get(started.name);
        // Two reads do not show a report that was replaced between them.
        widestMs = Math.max(widestMs, endMs - lastMs);
        lastMs = startMs;
        if (message === undefined) return undefined;
        if (message.metadata !== undefined) {
          seen.add(`${message.metadata.typeUrl} ${message.metadata.value.join(",")}`);
        }
        if (message.done || seen.size > 1) return true;
        reads += 1;
        return undefined;
      });
      if (ended === undefined) run.notExercised("the operation neither reported nor ended in time");
      if (seen.size < 2 && reads < fewestReads) {
        run.notExercised(`the operation was read ${reads} times while it ran, which is too few`);
      }
      // The driver's plan contains a report in each quarter of the time.
      if (seen.size < 2 && widestMs > ms / 4) {
        run.unsteady(`two reads were ${Math.round(widestMs)} ms apart`);
      }
      run.check(seen.size > 1, "at least two different metadata", `${seen.size}`);
    },
  }),
  defineCase({
    id: "meta.info",
    level: "must",
    title: "start methods are unary, and name both types in their file or its imports",
    sources: ["AIP-151 Guidance", "operations.proto OperationInfo"],
    async body(run: CaseRun) {
      const methods = new Set<string>();
      for (const kind of startKinds) {
        const need = needOf(run.subject, kind);
        if (typeof need !== "object") continue;
        if ("rpc" in need) methods.add(need.rpc);
        if ("driver" in need) methods.add("longrunning.conformance.v1.Driver/Start");
      }
      let inspected = 0;
      for (const fullName of methods) {
        const method = await run.subject.methodOf(fullName);
        if (method === undefined) continue;
        inspected += 1;
        run.check(
          method.methodKind === "unary",
          `${fullName} is unary`,
          `it is ${method.methodKind}`,
        );
        const info = operationInfoOf(method);
        run.check(info !== undefined, `${fullName} has the option operation_info`, "it has not");
        for (const [field, type] of [
          ["response_type", info.response],
          ["metadata_type", info.metadata],
        ] as const) {
          run.check(
            type !== "" && findMessage(method.parent.file, type) !== undefined,
            `${field} of ${fullName} names a message of its file or its imports`,
            type === "" ? "it is empty" : `"${type}" is in neither`,
          );
        }
      }
      if (inspected === 0) run.notExercised('no start method is known; give "descriptors"');
    },
  }),
];
