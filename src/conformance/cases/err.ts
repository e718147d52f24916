import { fromBinary } from "@bufbuild/protobuf";
import { typeNameFromUrl } from "../../internal/type-url.js";
import { type ErrorInfo, ErrorInfoSchema } from "../../protos.js";
import type { ConformanceCase } from "../case.js";
import type { CaseRun } from "../case-run.js";
import { defineCase } from "../define-case.js";
import type { MethodName } from "../description.js";
import { isStatus } from "../rpc-code.js";
import { type Answer, isDeclaredAbsent } from "../subject.js";

/** A call that no server can answer with OK, and its answer. */
interface Mistake {
  readonly what: string;
  readonly answer: Answer;
  /** The name in the request; empty for lists. */
  readonly name: string;
}

/** Makes the mistakes; methods that the server lacks are left out. */
async function mistakes(run: CaseRun): Promise<Mistake[]> {
  const { name } = await run.unknownName();
  const raw = { raw: true };
  const made: Mistake[] = [];
  const make = async (
    method: MethodName,
    what: string,
    named: string,
    send: () => Promise<Answer>,
  ) => {
    if (isDeclaredAbsent(run.description, method)) return;
    if (!isBound(run, method)) return;
    const answer = await send();
    if (answer.status !== undefined && !isStatus(answer, "UNIMPLEMENTED")) {
      made.push({ what, answer, name: named });
    }
  };
  await make("GetOperation", "GetOperation of an unknown name", name, () => run.get(name, raw));
  await make("CancelOperation", "CancelOperation of an unknown name", name, () =>
    run.cancel(name, raw),
  );
  await make("DeleteOperation", "DeleteOperation of an unknown name", name, () =>
    run.delete(name, raw),
  );
  await make("WaitOperation", "WaitOperation of an unknown name", name, () =>
    run.wait(name, 0, { ...raw, limitMs: run.budgets.answerMs }),
  );
  await make("ListOperations", "page_size -1", "", () => run.list({ pageSize: -1 }, raw));
  await make("ListOperations", "an invalid page token", "", () =>
    run.list({ pageToken: "~no token~" }, raw),
  );
  if (made.length === 0) run.notExercised("no mistake was answered with an error");
  return made;
}

function isBound({ protocol, subject }: CaseRun, method: MethodName): boolean {
  if (protocol !== "rest") return true;
  const { bindings } = subject.rest ?? {};
  const keys = {
    GetOperation: bindings?.get,
    ListOperations: bindings?.list,
    CancelOperation: bindings?.cancel,
    DeleteOperation: bindings?.delete,
    WaitOperation: bindings?.wait,
  };
  return keys[method] !== undefined;
}

function errorInfos({ status }: Answer): ErrorInfo[] {
  return (status?.details ?? []).flatMap((detail) => {
    if (typeNameFromUrl(detail.typeUrl) !== ErrorInfoSchema.typeName) return [];
    try {
      return [fromBinary(ErrorInfoSchema, detail.value)];
    } catch {
      return [];
    }
  });
}

export const errCases: readonly ConformanceCase[] = [
  defineCase({
    id: "err.canonical",
    level: "must",
    title: "the code of each error is one of google.rpc.Code",
    sources: ["AIP-193 Guidance"],
    each: true,
    async body(run: CaseRun) {
      for (const { what, answer } of await mistakes(run)) {
        run.check(
          (answer.status?.codes.length ?? 0) > 0,
          `a code of google.rpc.Code for ${what}`,
          answer.status?.raw ?? "",
        );
      }
    },
  }),
  defineCase({
    id: "err.serious",
    level: "inferred",
    title: "no mistake of a client is a server error",
    sources: ["code.proto INTERNAL, UNKNOWN, DATA_LOSS"],
    each: true,
    async body(run: CaseRun) {
      for (const { what, answer } of await mistakes(run)) {
        const serious = (["INTERNAL", "UNKNOWN", "DATA_LOSS"] as const).find((code) =>
          isStatus(answer, code),
        );
        run.check(serious === undefined, `the client's error for ${what}`, answer.text);
      }
    },
  }),
  defineCase({
    id: "err.info",
    level: "must",
    title: "each error has one well-formed ErrorInfo",
    sources: ["AIP-193 ErrorInfo"],
    follows: 193,
    each: true,
    async body(run: CaseRun) {
      for (const { what, answer, name } of await mistakes(run)) {
        const infos = errorInfos(answer);
        const [info] = infos;
        run.check(
          infos.length === 1 && info !== undefined,
          `one ErrorInfo for ${what}`,
          `${infos.length}`,
        );
        run.check(
          info.reason.length <= 63 && /^[A-Z][A-Z0-9_]+[A-Z0-9]$/.test(info.reason),
          "a reason in UPPER_SNAKE_CASE",
          `"${info.reason}"`,
        );
        run.check(info.domain !== "", "a domain", "an empty domain");
        const badKey = Object.keys(info.metadata).find(
          (key) => !/^[a-z][a-zA-Z0-9-_]*$/.test(key) || key.length > 64,
        );
        run.check(badKey === undefined, "metadata keys in lowerCamelCase", `"${badKey}"`);
        const isNamed = name !== "" && (answer.status?.message.includes(name) ?? false);
        run.check(
          !isNamed || Object.values(info.metadata).some((value) => value.includes(name)),
          "the name in the message is in ErrorInfo.metadata too",
          JSON.stringify(info.metadata),
        );
      }
    },
  }),
  defineCase({
    id: "err.steady",
    level: "must",
    title: "the same mistake has the same reason and domain",
    sources: ["AIP-193 ErrorInfo"],
    follows: 193,
    async body(run: CaseRun) {
      const reasons = async () =>
        (await mistakes(run)).map(({ what, answer }) => {
          const [info] = errorInfos(answer);
          return `${what}: ${info?.domain} ${info?.reason}`;
        });
      const [first, second] = [await reasons(), await reasons()];
      run.check(first.join("\n") === second.join("\n"), first.join("; "), second.join("; "));
    },
  }),
  defineCase({
    id: "err.trailer",
    level: "inferred",
    title: "grpc-status-details-bin has the code of grpc-status",
    sources: ["status.proto"],
    protocols: ["grpc", "grpc-web"],
    async body(run: CaseRun) {
      let compared = 0;
      for (const { what, answer } of await mistakes(run)) {
        const code = answer.status?.trailerCode;
        if (code === undefined) continue;
        compared += 1;
        run.check(
          answer.status?.codes.includes(code) ?? false,
          `the code of ${answer.status?.raw} in grpc-status-details-bin, for ${what}`,
          `${code}`,
        );
      }
      if (compared === 0)
        run.notExercised("no error has grpc-status-details-bin, which is optional");
    },
  }),
];
