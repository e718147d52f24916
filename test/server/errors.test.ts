import { readFileSync } from "node:fs";
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, expect, it } from "vitest";
import { StatusSchema } from "../../src/protos.js";
import * as endErrors from "../../src/server/end-errors.js";
import * as serverErrors from "../../src/server/errors.js";
import { codeName, errorFromStatus, standardDetailsOf } from "../../src/status/index.js";
import * as storeErrors from "../../src/store/errors.js";
import * as postgresErrors from "../../src/store/postgres/postgres-errors.js";
import { errorOf } from "../support/operation-end.js";
import { createPrintServer } from "../support/print-server.js";
import { never } from "../support/print-work.js";
import { rejectionOf } from "../support/rejection.js";

const factories = { ...serverErrors, ...endErrors, ...storeErrors, ...postgresErrors };

const filterFault = (reason: serverErrors.FilterFault["reason"]) =>
  factories.invalidFilter("x = 1", { reason, position: 1, problem: "there is no x" });

/** One error of each function that makes one, and of each reason that a function is given. */
const errors: Record<keyof typeof factories, ConnectError> & Record<string, ConnectError> = {
  invalidField: factories.invalidField("page_size", "-1", "must not be negative"),
  invalidFilter: filterFault("INVALID_FILTER"),
  unknownFilterField: filterFault("UNKNOWN_FILTER_FIELD"),
  filterTypeMismatch: filterFault("FILTER_TYPE_MISMATCH"),
  operationNotFound: factories.operationNotFound("operations/1"),
  operationExists: factories.operationExists("operations/1"),
  requestIdReused: factories.requestIdReused("id"),
  requestIdSpent: factories.requestIdSpent("id", "operations/1"),
  resourceBusy: factories.resourceBusy("printers/1", "operations/1"),
  operationDone: factories.operationDone("operations/1"),
  operationNotDone: factories.operationNotDone("operations/1"),
  operationNotExternal: factories.operationNotExternal("operations/1"),
  operationOfOtherMethod: factories.operationOfOtherMethod("operations/1", "a.B/C"),
  notCancellable: factories.notCancellable("operations/1", "a.B/C"),
  cancellationUnsupported: factories.cancellationUnsupported(),
  draining: factories.draining(),
  recovering: factories.recovering(),
  partialSuccessUnsupported: factories.partialSuccessUnsupported(),
  cancelledByRequest: factories.cancelledByRequest(),
  permissionDenied: factories.permissionDenied("longrunning.operations.get", "operations/1"),
  attemptLost: factories.attemptLost("operations/1", 1),
  workerLost: factories.workerLost(3),
  notDispatched: factories.notDispatched(),
  internalError: factories.internalError(new Error("x")),
  workFailed: factories.workFailed(),
  operationDeadlineExceeded: factories.operationDeadlineExceeded(),
  cancelGraceExpired: factories.cancelGraceExpired(),
  preempted: factories.preempted("printers/1"),
  transactionUnsupported: factories.transactionUnsupported("memory store"),
  storeFull: factories.storeFull({ maxOperations: 5 }),
  storeFullOfBytes: factories.storeFull({ maxBytes: 5 }),
  storeClosed: factories.storeClosed(),
  queueFull: factories.queueFull(5),
  databaseUnavailable: factories.databaseUnavailable(),
  databaseFailed: factories.databaseFailed("22008", new Error("x")),
  schemaMissing: factories.schemaMissing("42P01", new Error("x")),
  startContended: factories.startContended(),
  leaseLost: factories.leaseLost(),
  packageMissing: factories.packageMissing("pg", new Error("x")),
};

/** The rows of the tables in docs/errors.md: code and metadata keys by reason. */
function documented(): Map<string, { code: string; keys: string[] }> {
  const text = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  const rows = [...text.matchAll(/^\| `(\w+)` \| (\w+) \|([^|]*)\| [^|]+ \|$/gm)];
  return new Map(
    rows.map(([, reason = "", code = "", keys = ""]) => [
      reason,
      { code, keys: [...keys.matchAll(/`(\w+)`/g)].map(([, key = ""]) => key) },
    ]),
  );
}

describe("the errors of the server", () => {
  it.each(Object.entries(errors))("server 79: %s is in docs/errors.md as it is", (_, error) => {
    const { errorInfo } = standardDetailsOf(error);
    assert(errorInfo !== undefined);
    const row = documented().get(errorInfo.reason);
    expect(row?.code).toBe(codeName(error.code));
    const ofReason = Object.values(errors)
      .map((other) => standardDetailsOf(other).errorInfo)
      .filter((other) => other?.reason === errorInfo.reason);
    const keys = new Set(ofReason.flatMap((other) => Object.keys(other?.metadata ?? {})));
    expect(row?.keys).toEqual([...keys]);
    expect(errorInfo.domain).toBe("connect-longrunning");
  });

  it("server 79: of each there is one of each type of detail at most", () => {
    for (const error of Object.values(errors)) {
      const types = error.details.map((detail) =>
        "desc" in detail ? detail.desc.typeName : detail.type,
      );
      expect(new Set(types).size).toBe(types.length);
    }
  });

  it("server 79: what varies in the message is in the metadata", () => {
    const vary = [
      factories.operationOfOtherMethod("operations/777", "x.Y/Zzz"),
      factories.notCancellable("operations/777", "x.Y/Zzz"),
      factories.resourceBusy("printers/777", "operations/777"),
      factories.preempted("printers/777"),
      factories.attemptLost("operations/777", 777),
      factories.workerLost(777),
      factories.storeFull({ maxBytes: 777 }),
      factories.queueFull(777),
    ];
    for (const error of vary) {
      let rest = error.rawMessage;
      for (const value of Object.values(standardDetailsOf(error).errorInfo?.metadata ?? {})) {
        rest = rest.replaceAll(value, "");
      }
      expect(rest).not.toMatch(/777|Zzz/);
    }
  });

  it("are all that docs/errors.md has", () => {
    const reasons = Object.values(errors).map(
      (error) => standardDetailsOf(error).errorInfo?.reason,
    );
    expect([...documented().keys()].sort()).toEqual([...new Set(reasons)].sort());
  });
});

describe("details of a type that nobody here knows", () => {
  const unknown = create(AnySchema, {
    typeUrl: "types.example.com/elsewhere.v1.Fault",
    value: Uint8Array.of(10, 3, 1, 2, 3, 255, 7),
  });
  const status = create(StatusSchema, { code: Code.DataLoss, message: "lost", details: [unknown] });

  it("server 82: come through the store in Operation.error byte for byte", async () => {
    const { printer, rpc, clock } = createPrintServer(() => {
      throw errorFromStatus(status);
    });
    const { name } = await printer.print({});
    await clock.advance(0);
    const { result } = await rpc.getOperation({ name });
    assert(result.case === "error");
    expect(toBinary(StatusSchema, result.value)).toEqual(toBinary(StatusSchema, status));
  });

  it("server 82: come with the start call's own error", async () => {
    const { printer } = createPrintServer(never, {
      method: {
        validate() {
          throw errorFromStatus(status);
        },
      },
    });
    const [detail] = (await rejectionOf(printer.print({}))).details;
    expect(detail).toMatchObject({ type: "elsewhere.v1.Fault", value: unknown.value });
  });
});

describe("the code of an operation's error", () => {
  it.each([0, -1, 17, 1.5, Number.NaN])("server 3: is UNKNOWN for a code of %d", async (code) => {
    const { printer, client, clock } = createPrintServer(() => {
      throw new ConnectError("x", code);
    });
    const { name } = await printer.print({});
    await clock.advance(0);
    expect(errorOf(await client.get(name)).code).toBe(Code.Unknown);
  });
});
