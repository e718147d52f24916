/**
 * A server of google.longrunning.Operations with the conformance driver, on grpc-js. Messages are
 * those of `gen/`, compiled from `proto/`; nothing else of this package is used.
 *
 *     tsx server.ts PORT
 *
 * FAULT=prefix plants a fault: a name finds each operation whose name begins with it.
 */
import { randomUUID } from "node:crypto";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { anyPack, EmptySchema } from "@bufbuild/protobuf/wkt";
import { Server, ServerCredentials, type ServerUnaryCall, status } from "@grpc/grpc-js";
import * as lro from "../../../gen/google/longrunning/operations_pb.js";
import { type Status, StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import * as driver from "../../../gen/longrunning/conformance/v1/driver_pb.js";

const [port = "0"] = process.argv.slice(2);
const matchesPrefix = process.env.FAULT === "prefix";
const maxWaitMs = 30_000;

interface Record {
  readonly plan: driver.StartRequest;
  readonly operation: lro.Operation;
  readonly timers: ReturnType<typeof setTimeout>[];
  readonly waiters: Set<() => void>;
  work: driver.ProbeResponse_Work;
  isDeleted: boolean;
}

/** In the order of the starts. */
const records = new Map<string, Record>();
const namesByRequestId = new Map<string, string>();

/** An error of a call, as grpc-js takes it. */
const failure = (code: status, details: string) =>
  Object.assign(new Error(details), { code, details });

function find(name: string): Record {
  let record = records.get(name);
  if (matchesPrefix)
    record ??= [...records.values()].find((one) => name.startsWith(one.operation.name));
  if (record === undefined || record.isDeleted) {
    throw failure(status.NOT_FOUND, `operation "${name}" does not exist`);
  }
  return record;
}

function finish(record: Record, work: driver.ProbeResponse_Work, error?: Status): void {
  if (record.operation.done) return;
  for (const timer of record.timers) clearTimeout(timer);
  const { plan, operation } = record;
  record.work = work;
  operation.done = true;
  const planned = plan.end.case === "error" ? plan.end.value : undefined;
  const text = plan.end.case === "result" ? plan.end.value.text : "";
  const value = error ?? planned;
  operation.result =
    value === undefined
      ? {
          case: "response",
          value: anyPack(driver.ResultSchema, create(driver.ResultSchema, { text })),
        }
      : { case: "error", value };
  for (const wake of record.waiters) wake();
}

function start(plan: driver.StartRequest): lro.Operation {
  if (plan.end.case === "refuse")
    throw failure(status.FAILED_PRECONDITION, "the plan asks for a refusal");
  if (plan.validateOnly) {
    const value = anyPack(driver.ResultSchema, create(driver.ResultSchema));
    return create(lro.OperationSchema, { done: true, result: { case: "response", value } });
  }
  const known = records.get(namesByRequestId.get(plan.requestId) ?? "");
  if (known !== undefined) return known.operation;
  const isBusy = [...records.values()].some(
    (one) =>
      plan.exclusiveKey !== "" &&
      one.plan.exclusiveKey === plan.exclusiveKey &&
      !one.operation.done,
  );
  if (isBusy) throw failure(status.ABORTED, "another operation uses the resource");
  const name = `${plan.parent}/operations/${randomUUID()}`;
  const operation = create(lro.OperationSchema, { name });
  const work = driver.ProbeResponse_Work.RUNNING;
  const record: Record = {
    plan,
    operation,
    timers: [],
    waiters: new Set(),
    work,
    isDeleted: false,
  };
  records.set(name, record);
  if (plan.requestId !== "") namesByRequestId.set(plan.requestId, name);
  report(record, 0);
  if (plan.runsFor !== undefined) {
    const ms = Number(plan.runsFor.seconds) * 1000 + plan.runsFor.nanos / 1e6;
    const parts = plan.reports + 1;
    for (let part = 1; part < parts; part += 1) {
      record.timers.push(
        setTimeout(() => report(record, (100 * part) / parts), (ms * part) / parts),
      );
    }
    record.timers.push(setTimeout(() => finish(record, driver.ProbeResponse_Work.ENDED), ms));
  }
  return operation;
}

function report({ operation }: Record, percent: number): void {
  const progress = create(driver.ProgressSchema, { percent: Math.round(percent) });
  operation.metadata = anyPack(driver.ProgressSchema, progress);
}

function list(request: lro.ListOperationsRequest): lro.ListOperationsResponse {
  const { name, filter, pageSize, pageToken } = request;
  if (request.returnPartialSuccess) throw failure(status.UNIMPLEMENTED, "no partial success");
  if (pageSize < 0) throw failure(status.INVALID_ARGUMENT, "page_size is negative");
  if (filter !== "") throw failure(status.INVALID_ARGUMENT, "filters are not supported");
  const [parent, after = ""] = Buffer.from(pageToken, "base64url").toString().split("\n");
  if (pageToken !== "" && parent !== name)
    throw failure(status.INVALID_ARGUMENT, "page_token is invalid");
  const own = [...records.values()].filter(({ plan }) => plan.parent === name);
  const rest = own
    .slice(after === "" ? 0 : own.findIndex(({ operation }) => operation.name === after) + 1)
    .filter(({ isDeleted }) => !isDeleted);
  const page = rest.slice(0, Math.min(pageSize || 50, 1000)).map(({ operation }) => operation);
  const token = page.length < rest.length ? `${name}\n${page.at(-1)?.name}` : "";
  return create(lro.ListOperationsResponseSchema, {
    operations: page,
    nextPageToken: Buffer.from(token).toString("base64url"),
  });
}

async function wait(request: lro.WaitOperationRequest, deadlineMs: number): Promise<lro.Operation> {
  const record = find(request.name);
  const { timeout } = request;
  const timeoutMs =
    timeout === undefined ? maxWaitMs : Number(timeout.seconds) * 1000 + timeout.nanos / 1e6;
  const limitMs = Math.max(
    0,
    Math.min(timeoutMs, maxWaitMs, deadlineMs - Math.min(250, deadlineMs / 5)),
  );
  if (!record.operation.done && limitMs > 0) {
    await new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        record.waiters.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, limitMs);
      record.waiters.add(wake);
    });
  }
  return find(request.name).operation;
}

function cancel(name: string): void {
  const record = find(name);
  if (record.plan.ignoreCancel) return;
  finish(
    record,
    driver.ProbeResponse_Work.STOPPED,
    create(StatusSchema, { code: status.CANCELLED, message: "cancelled" }),
  );
}

function remove(name: string): void {
  const record = find(name);
  record.isDeleted = true;
  for (const wake of record.waiters) wake();
}

/** A method of a grpc-js service. */
function method<I extends DescMessage, O extends DescMessage>(
  path: string,
  input: I,
  output: O,
  answer: (
    request: MessageShape<I>,
    deadlineMs: number,
  ) => MessageShape<O> | Promise<MessageShape<O>>,
) {
  return {
    definition: {
      path,
      requestStream: false,
      responseStream: false,
      requestSerialize: (message: MessageShape<I>) => Buffer.from(toBinary(input, message)),
      requestDeserialize: (bytes: Buffer) => fromBinary(input, bytes),
      responseSerialize: (message: MessageShape<O>) => Buffer.from(toBinary(output, message)),
      responseDeserialize: (bytes: Buffer) => fromBinary(output, bytes),
    },
    handler(
      call: ServerUnaryCall<MessageShape<I>, MessageShape<O>>,
      callback: (error: object | null, message?: MessageShape<O>) => void,
    ) {
      const deadline = call.getDeadline();
      const deadlineMs = Number(deadline) - Date.now();
      Promise.resolve()
        .then(() =>
          answer(call.request, Number.isNaN(deadlineMs) ? Number.POSITIVE_INFINITY : deadlineMs),
        )
        .then(
          (message) => callback(null, message),
          (error: object) => callback(error),
        );
    },
  };
}

const operations = "/google.longrunning.Operations";
const empty = () => create(EmptySchema);
const methods = {
  getOperation: method(
    `${operations}/GetOperation`,
    lro.GetOperationRequestSchema,
    lro.OperationSchema,
    ({ name }) => find(name).operation,
  ),
  listOperations: method(
    `${operations}/ListOperations`,
    lro.ListOperationsRequestSchema,
    lro.ListOperationsResponseSchema,
    list,
  ),
  waitOperation: method(
    `${operations}/WaitOperation`,
    lro.WaitOperationRequestSchema,
    lro.OperationSchema,
    wait,
  ),
  cancelOperation: method(
    `${operations}/CancelOperation`,
    lro.CancelOperationRequestSchema,
    EmptySchema,
    ({ name }) => {
      cancel(name);
      return empty();
    },
  ),
  deleteOperation: method(
    `${operations}/DeleteOperation`,
    lro.DeleteOperationRequestSchema,
    EmptySchema,
    ({ name }) => {
      remove(name);
      return empty();
    },
  ),
  start: method(
    "/longrunning.conformance.v1.Driver/Start",
    driver.StartRequestSchema,
    lro.OperationSchema,
    start,
  ),
  probe: method(
    "/longrunning.conformance.v1.Driver/Probe",
    driver.ProbeRequestSchema,
    driver.ProbeResponseSchema,
    ({ name }) =>
      create(driver.ProbeResponseSchema, {
        work: records.get(name)?.work,
        begun: BigInt(records.size),
      }),
  ),
};

const server = new Server();
server.addService(
  Object.fromEntries(Object.entries(methods).map(([name, { definition }]) => [name, definition])),
  Object.fromEntries(Object.entries(methods).map(([name, { handler }]) => [name, handler])),
);
server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  console.log("ready");
});
