import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { AnySchema, DurationSchema, EmptySchema } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { assert, describe, expect, it } from "vitest";
import { pack, unpackAs } from "../../src/any/index.js";
import * as clientErrors from "../../src/client/errors.js";
import * as consoleErrors from "../../src/console/errors.js";
import * as healthErrors from "../../src/health/errors.js";
import * as mcpErrors from "../../src/mcp/errors.js";
import * as nodeErrors from "../../src/node/errors.js";
import { outcomeOf } from "../../src/operation/outcome.js";
import * as restErrors from "../../src/rest/errors.js";
import * as restateErrors from "../../src/restate/errors.js";
import * as serverErrors from "../../src/server/errors.js";
import { codeName, standardDetailsOf } from "../../src/status/index.js";
import * as storeErrors from "../../src/store/errors.js";
import * as postgresErrors from "../../src/store/postgres/postgres-errors.js";
import * as sqliteErrors from "../../src/store/sqlite/sqlite-errors.js";
import * as webErrors from "../../src/web/errors.js";
import { anOperation } from "../support/an-operation.js";

/** One error of each function of a module that makes one; the compiler misses none. */
type ErrorsOf<Module> = {
  [Name in keyof Module as Module[Name] extends (...args: never[]) => ConnectError
    ? Name
    : never]: ConnectError;
};

const cause = new Error("x");

const ofServer: ErrorsOf<typeof serverErrors> = {
  invalidField: serverErrors.invalidField("page_size", "-1", "must not be negative"),
  invalidFilter: filterFault("INVALID_FILTER"),
  operationNotFound: serverErrors.operationNotFound("operations/777"),
  operationExists: serverErrors.operationExists("operations/777"),
  requestIdReused: serverErrors.requestIdReused("id777"),
  requestIdSpent: serverErrors.requestIdSpent("id777", "operations/777"),
  resourceBusy: serverErrors.resourceBusy("printers/777", "operations/777"),
  operationDone: serverErrors.operationDone("operations/777"),
  operationNotDone: serverErrors.operationNotDone("operations/777"),
  operationNotExternal: serverErrors.operationNotExternal("operations/777"),
  operationOfOtherMethod: serverErrors.operationOfOtherMethod("operations/777", "a.B/C777"),
  notCancellable: serverErrors.notCancellable("operations/777", "a.B/C777"),
  cancellationUnsupported: serverErrors.cancellationUnsupported(),
  draining: serverErrors.draining(),
  recovering: serverErrors.recovering(),
  partialSuccessUnsupported: serverErrors.partialSuccessUnsupported(),
  cancelledByRequest: serverErrors.cancelledByRequest(),
  permissionDenied: serverErrors.permissionDenied("longrunning.operations.get", "operations/777"),
  attemptLost: serverErrors.attemptLost("operations/777", 777),
  workerLost: serverErrors.workerLost(777),
  notDispatched: serverErrors.notDispatched(),
  internalError: serverErrors.internalError(cause),
  workFailed: serverErrors.workFailed(),
  operationDeadlineExceeded: serverErrors.operationDeadlineExceeded(),
  cancelGraceExpired: serverErrors.cancelGraceExpired(),
  preempted: serverErrors.preempted("printers/777"),
  serverClosed: serverErrors.serverClosed(),
};

const ofStores: ErrorsOf<typeof storeErrors & typeof postgresErrors> = {
  transactionUnsupported: storeErrors.transactionUnsupported("memory store"),
  transactionOver: storeErrors.transactionOver(),
  storeFull: storeErrors.storeFull({ maxOperations: 777 }),
  storeClosed: storeErrors.storeClosed(),
  transactionSpansShards: storeErrors.transactionSpansShards(),
  shardUnknown: storeErrors.shardUnknown(),
  shardUnreachable: storeErrors.shardUnreachable("shards/777"),
  queueFull: storeErrors.queueFull(777),
  databaseUnavailable: postgresErrors.databaseUnavailable(),
  databaseFailed: postgresErrors.databaseFailed("22008", cause),
  schemaMissing: postgresErrors.schemaMissing("42P01", cause),
  connectionRefused: postgresErrors.connectionRefused("28P01", cause),
  schemaTooOld: postgresErrors.schemaTooOld("longrunning777", 7, 8),
  databaseTooNew: postgresErrors.databaseTooNew("longrunning777", 8, 7),
  startContended: postgresErrors.startContended(),
  leaseLost: postgresErrors.leaseLost(),
  packageMissing: postgresErrors.packageMissing("pg", cause),
};

const ofSqlite: ErrorsOf<typeof sqliteErrors> = {
  databaseError: sqliteErrors.databaseError(cause),
  databaseUnavailable: sqliteErrors.databaseUnavailable(),
  diskFull: sqliteErrors.diskFull(cause, "/data/777"),
  transactionTimedOut: sqliteErrors.transactionTimedOut(777),
  databaseCorrupt: sqliteErrors.databaseCorrupt(cause),
  databaseInUse: sqliteErrors.databaseInUse("/data/777"),
  databaseForeign: sqliteErrors.databaseForeign("/data/777", "notes"),
  databaseTooNew: sqliteErrors.databaseTooNew("/data/777", 8, 7),
  databaseUnopenable: sqliteErrors.databaseUnopenable("/data/777", cause),
  databaseDamaged: sqliteErrors.databaseDamaged("/data/777", "row 777"),
};

const ofPort: ErrorsOf<typeof nodeErrors> = {
  badTarget: nodeErrors.badTarget(),
  requestTimedOut: nodeErrors.requestTimedOut(777),
  portClosing: nodeErrors.portClosing(),
  connectionLost: nodeErrors.connectionLost("h777", cause),
  notConnected: nodeErrors.notConnected("h777", cause),
  bodyAlreadyRead: nodeErrors.bodyAlreadyRead("lost 777"),
  hostNotAllowed: nodeErrors.hostNotAllowed("h777"),
  requestsTooLarge: nodeErrors.requestsTooLarge("server", 777),
};

const ofWeb: ErrorsOf<typeof webErrors> = {
  notServed: webErrors.notServed("/777"),
  requestTooLarge: webErrors.requestTooLarge(777),
  malformedRequest: webErrors.malformedRequest("a.B777"),
  noTrailers: webErrors.noTrailers(),
  crossSite: webErrors.crossSite("https://h777"),
  internalError: webErrors.internalError(cause),
};

const ofConsole: ErrorsOf<typeof consoleErrors> = {
  consoleReadOnly: consoleErrors.consoleReadOnly("CancelOperation777"),
  consoleTokenRequired: consoleErrors.consoleTokenRequired(),
  methodNotServed: consoleErrors.methodNotServed("CancelOperation777"),
  otherOrigin: consoleErrors.otherOrigin(),
};

const ofMcp: ErrorsOf<typeof mcpErrors> = {
  argumentInvalid: mcpErrors.argumentInvalid("pages", "is not a number"),
};

const ofHealth: ErrorsOf<typeof healthErrors> = {
  serviceUnknown: healthErrors.serviceUnknown("a.B777"),
  serviceNameTooLong: healthErrors.serviceNameTooLong("a".repeat(777), 256),
  tooManyServices: healthErrors.tooManyServices(777),
  tooManyWatches: healthErrors.tooManyWatches(777),
  watchClosed: healthErrors.watchClosed(),
};

const ofRest: ErrorsOf<typeof restErrors> = {
  malformedUrl: restErrors.malformedUrl("%777"),
  methodNotAllowed: restErrors.methodNotAllowed("PUT777", "/777", ["GET", "HEAD"]),
  invalidParameter: restErrors.invalidParameter("alt", "777", "must be json or proto"),
  unboundParameter: restErrors.unboundParameter("p777", "is in the path"),
  invalidValue: restErrors.invalidValue("f777", "TYPE_INT32", "v777"),
  unknownMember: restErrors.unknownMember("f777", "a.B777"),
  repeatedMember: restErrors.repeatedMember("f777"),
  oneofConflict: restErrors.oneofConflict("f777", "o777", "g777"),
  missingRequired: restErrors.missingRequired("a.B777"),
  malformedBatch: restErrors.malformedBatch("must have at most 777 parts"),
  notBatchable: restErrors.notBatchable("cannot be a batch777"),
  batchFull: restErrors.batchFull(777),
  unexpectedBody: restErrors.unexpectedBody("GET777"),
  incompleteBody: restErrors.incompleteBody(cause),
  bodyNotJson: restErrors.bodyNotJson("nests deeper than 777 levels"),
  brokenEncoding: restErrors.brokenEncoding("gzip777", cause),
  bodyTooLarge: restErrors.bodyTooLarge(777),
  unsupportedMediaType: restErrors.unsupportedMediaType("text/777"),
  unsupportedEncoding: restErrors.unsupportedEncoding("zip777", ["gzip"]),
  invalidHeader: restErrors.invalidHeader("Grpc-Timeout", "777", "digits and a unit"),
  noSuchVersion: restErrors.noSuchVersion("v777", ["v1"]),
  unwritableAnswer: restErrors.unwritableAnswer("a.B777", cause),
  internalFault: restErrors.internalFault(cause),
  noMatchingPath: restErrors.noMatchingPath("name", "777", "/v1/{name=a/*}"),
  unsendableField: restErrors.unsendableField("f777", "a path"),
  noHttpRule: restErrors.noHttpRule("a.B.C777", "it streams"),
  unreachable: restErrors.unreachable("http://h777", cause),
  redirected: restErrors.redirected("http://h777", "/777"),
  unreadableAnswer: restErrors.unreadableAnswer("a.B777", "is no JSON"),
  answerTooLarge: restErrors.answerTooLarge(777),
};

/** The client's other errors are those of calls, with another message. */
const ofClient: Omit<ErrorsOf<typeof clientErrors>, "pollFailed" | "waitAborted"> = {
  deletedHere: clientErrors.deletedHere("operations/777"),
  malformedName: clientErrors.malformedName(),
  namelessOperation: clientErrors.namelessOperation("a.B/C777"),
  waitTimedOut: clientErrors.waitTimedOut('operation "o777" is not done after 888 ms (999 polls)', {
    name: "o777",
    limit: "timeoutMs",
    limitMs: "888",
    polls: "999",
  }),
  invalidToken: clientErrors.invalidToken("its v is 777, expected 1"),
  repeatedPageToken: clientErrors.repeatedPageToken("t777"),
  unregisteredType: clientErrors.unregisteredType("x/a.B777", cause),
};

const ofRestate: ErrorsOf<typeof restateErrors> = {
  restateUnavailable: restateErrors.restateUnavailable(cause),
  restateRefused: restateErrors.restateRefused(777),
  endpointNotRegistered: restateErrors.endpointNotRegistered("http://777:9080", cause),
  nodeTooOld: restateErrors.nodeTooOld("v777"),
  packageMissing: restateErrors.packageMissing("p777", cause),
  handedOver: restateErrors.handedOver("operations/777"),
  connectionLost: restateErrors.connectionLost(),
};

const types = { response: EmptySchema, metadata: EmptySchema };
const malformed = create(AnySchema, {
  typeUrl: "type.googleapis.com/google.protobuf.Empty",
  value: Uint8Array.of(10, 5),
});

/** Errors of reading, thrown by functions outside the modules of errors. */
const ofReading = {
  unexpectedType: thrownBy(() => unpackAs(pack(DurationSchema, {}), EmptySchema)),
  malformedPayload: thrownBy(() => unpackAs(malformed, EmptySchema)),
  missingResult: errorOf(outcomeOf(anOperation({ done: true }), types)),
};

const errors: [of: string, error: ConnectError][] = Object.entries({
  server: ofServer,
  stores: ofStores,
  sqlite: ofSqlite,
  port: ofPort,
  web: ofWeb,
  health: ofHealth,
  console: ofConsole,
  mcp: ofMcp,
  rest: ofRest,
  restate: ofRestate,
  client: ofClient,
  reading: ofReading,
}).flatMap(([part, made]) =>
  Object.entries(made).map(([name, error]): [string, ConnectError] => [`${name} (${part})`, error]),
);

/** Further errors of the same functions, where they have more than one form. */
const furtherForms = [
  clientErrors.waitTimedOut("", { name: "", limit: "", limitMs: "", unfinished: "" }),
  filterFault("UNKNOWN_FILTER_FIELD"),
  filterFault("FILTER_TYPE_MISMATCH"),
  storeErrors.storeFull({ maxBytes: 777 }),
];

const allErrors = [...errors.map(([, error]) => error), ...furtherForms];

const infoOf = (error: ConnectError) => {
  const { errorInfo } = standardDetailsOf(error);
  assert(errorInfo !== undefined);
  return errorInfo;
};

/** The rows of the tables in docs/reference/errors.md: code and metadata keys of each reason. */
function documented(): [reason: string, row: { code: string; keys: string[] }][] {
  const text = readFileSync(new URL("../../docs/reference/errors.md", import.meta.url), "utf8");
  const rows = [...text.matchAll(/^\| `(\w+)` \| (\w+) \|([^|]*)\| [^|]+ \|$/gm)];
  return rows.map(([, reason = "", code = "", keys = ""]) => [
    reason,
    { code, keys: [...keys.matchAll(/`(\w+)`/g)].map(([, key = ""]) => key) },
  ]);
}

describe("docs/reference/errors.md", () => {
  const rows = new Map(documented());

  it.each(errors)("server 79: has %s as it is", (_, error) => {
    const { reason, domain } = infoOf(error);
    const row = rows.get(reason);
    expect(row?.code).toBe(codeName(error.code));
    const ofReason = allErrors.map(infoOf).filter((other) => other.reason === reason);
    const keys = ofReason.flatMap(({ metadata }) => Object.keys(metadata));
    expect([...(row?.keys ?? [])].sort()).toEqual([...new Set(keys)].sort());
    expect(domain).toBe("connect-longrunning");
  });

  it("has each reason once, and none that nothing makes", () => {
    const reasons = new Set(allErrors.map((error) => infoOf(error).reason));
    expect(
      documented()
        .map(([reason]) => reason)
        .sort(),
    ).toEqual([...reasons].sort());
  });
});

describe("the errors that a client can meet", () => {
  it("server 79: have one of each type of detail at most", () => {
    for (const error of allErrors) {
      const types = error.details.map((detail) =>
        "desc" in detail ? detail.desc.typeName : detail.type,
      );
      expect(new Set(types).size).toBe(types.length);
    }
  });

  it.each(errors)("server 79: has the message's values in the metadata: %s", (_, error) => {
    let rest = error.rawMessage;
    for (const value of Object.values(infoOf(error).metadata)) rest = rest.replaceAll(value, "");
    expect(rest).not.toContain("777");
  });
});

function errorOf(outcome: ReturnType<typeof outcomeOf>): ConnectError {
  if (outcome.kind === "malformed") return outcome.error;
  throw new Error(`the outcome is ${outcome.kind}`);
}

function thrownBy(call: () => unknown): ConnectError {
  try {
    call();
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("expected an error");
}

function filterFault(reason: serverErrors.FilterFault["reason"]): ConnectError {
  return serverErrors.invalidFilter("x777 = 1", { reason, position: 1, problem: "there is no x" });
}
