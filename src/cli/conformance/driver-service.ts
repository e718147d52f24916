import { createRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import {
  Driver,
  ProbeResponse_Work,
  type Progress,
  ProgressSchema,
  ResultSchema,
  type StartRequest,
  type StartRequestSchema,
} from "../../conformance/driver.js";
import { longRunning } from "../../operation/index.js";
import { file_google_rpc_error_details, StatusSchema } from "../../protos.js";
import type { OperationsServer, RunningOperation } from "../../server/index.js";
import { errorFromStatus } from "../../status/index.js";
import type { WorkingService } from "../emulator.js";

const Start = longRunning(Driver.method.start, {
  response: ResultSchema,
  metadata: ProgressSchema,
});

type Run = RunningOperation<typeof StartRequestSchema, typeof ProgressSchema, typeof ResultSchema>;
type Act =
  | { readonly case: "result"; readonly text: string }
  | { readonly case: "error"; readonly error: ConnectError };

/**
 * The driver beside the Operations of `longrunning serve`. The bearer token is the principal, which
 * sees only its own operations. Calls without a bearer token see all operations.
 */
export const conformanceDriver: WorkingService = {
  types: createRegistry(Driver.file, file_google_rpc_error_details),
  files: [Driver.file],
  authorize({ context }) {
    const header = context.requestHeader.get("authorization") ?? "";
    const principal = /^Bearer (\w+)$/.exec(header)?.[1];
    return principal === undefined ? { allow: true } : { allow: true, principal, sees: "own" };
  },
  route: (router, operations) => void router.service(Driver, createDriver(operations)),
};

/** Returns the driver of the conformance suite for a server of `createOperations`. */
export function createDriver(operations: OperationsServer): ServiceImpl<typeof Driver> {
  const work = new Map<string, ProbeResponse_Work>();
  const reporters = new Map<string, (progress: Progress) => void>();
  const acts = new Map<string, (act: Act) => void>();
  let begun = 0n;

  const run = async (operation: Run): Promise<{ text: string }> => {
    const { name, request, signal } = operation;
    begun += 1n;
    work.set(name, ProbeResponse_Work.RUNNING);
    reporters.set(name, (progress) => operation.report(progress));
    try {
      const heeded = request.ignoreCancel ? undefined : signal;
      const { runsFor, reports } = request;
      if (runsFor === undefined) return await steered(name, heeded);
      const ms = Number(runsFor.seconds) * 1000 + runsFor.nanos / 1e6;
      for (let part = 1; part <= reports + 1; part += 1) {
        await pause(ms / (reports + 1), heeded);
        if (part <= reports)
          operation.report({ percent: Math.round((100 * part) / (reports + 1)) });
      }
      const result = planned(request);
      work.set(name, ProbeResponse_Work.ENDED);
      if (result.case === "error") throw result.error;
      return { text: result.text };
    } catch (error) {
      if (work.get(name) === ProbeResponse_Work.RUNNING) work.set(name, ProbeResponse_Work.STOPPED);
      throw error;
    } finally {
      reporters.delete(name);
      acts.delete(name);
    }
  };

  const steered = (name: string, signal: AbortSignal | undefined): Promise<{ text: string }> =>
    new Promise((resolve, reject) => {
      const onAbort = () => reject(signal?.reason);
      if (signal?.aborted) onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
      acts.set(name, (act) => {
        work.set(name, ProbeResponse_Work.ENDED);
        if (act.case === "result") resolve({ text: act.text });
        else reject(act.error);
      });
    });

  return {
    start: operations.handle(Start, run, {
      validate({ end }) {
        if (end.case !== "refuse") return;
        throw new ConnectError("the plan asks for a refusal", Code.FailedPrecondition);
      },
      resource: ({ exclusiveKey }) => exclusiveKey,
      parallel: "refuse",
    }),
    async steer({ name, act }) {
      if (act.case === "report") reporters.get(name)?.(act.value);
      else if (act.case === "result") acts.get(name)?.({ case: "result", text: act.value.text });
      else if (act.case === "error") acts.get(name)?.({ case: "error", error: errorOf(act.value) });
      return {};
    },
    async probe({ name }) {
      return { work: work.get(name) ?? ProbeResponse_Work.UNSPECIFIED, begun };
    },
  };
}

function planned({ end }: StartRequest): Act {
  if (end.case === "error") return { case: "error", error: errorOf(end.value) };
  return { case: "result", text: end.case === "result" ? end.value.text : "" };
}

/** The error of a status; details of unknown types keep their bytes. */
function errorOf(status: Parameters<typeof errorFromStatus>[0]): ConnectError {
  return errorFromStatus(fromBinary(StatusSchema, toBinary(StatusSchema, status)));
}

/** Resolves after a time. Rejects with the signal's reason if it aborts. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  });
}
