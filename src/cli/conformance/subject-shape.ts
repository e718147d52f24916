import { either, flag, json, list, map, number, object, oneOf, type Shape, text } from "./shape.js";

/** A text, or `{"env": "NAME"}` for a secret. */
const secret: Shape = either(text, object({ env: text }, ["env"]));
const headers = map(secret);
const binding: Shape = (value, path) =>
  typeof value === "string" && /^(GET|POST|DELETE) \/\S*$/.test(value)
    ? undefined
    : `${path} must be an HTTP method and a path, such as "GET /v1/{name}"`;
const address: Shape = (value, path) =>
  typeof value === "string" && /^https?:\/\/[^/?#]+/.test(value)
    ? undefined
    : `${path} must begin with http:// or https://`;
const protocol = oneOf("grpc", "grpc-web", "connect", "connect-json", "rest");

const expectedError = object({ code: number(1), details: list(map(json)), opaque: flag }, ["code"]);
const common = { response: map(json), error: expectedError, required: flag, via: protocol };
const need = either(
  object({ rpc: text, request: map(json), ...common }, ["rpc"]),
  object({ http: text, request: map(json), ...common }, ["http"]),
  object({ driver: oneOf(true), ...common }, ["driver"]),
  object({ names: list(text), shared: flag, ...common }, ["names"]),
);
const field = either(flag, text);

const rest = either(
  address,
  object(
    { url: address, get: binding, list: binding, cancel: binding, delete: binding, wait: binding },
    ["url"],
  ),
);

/** The members of a subject file. */
export const subjectShape: Shape = object(
  {
    $schema: text,
    subject: text,
    command: list(text),
    cwd: text,
    env: map(secret),
    ready: object({ line: text, ms: number(1) }),
    stop: text,
    restart: text,
    protocols: object({
      grpc: address,
      "grpc-web": address,
      connect: address,
      "connect-json": address,
      rest,
    }),
    headers,
    descriptors: text,
    methods: object({
      GetOperation: flag,
      ListOperations: flag,
      CancelOperation: flag,
      DeleteOperation: flag,
      WaitOperation: flag,
    }),
    follows: list(number(1)),
    claims: object({
      durable: flag,
      partialSuccess: oneOf("refused", "supported"),
      wildcard: text,
      filters: object({ done: text, open: text, bad: list(text) }, ["done", "open"]),
      xgafv: flag,
    }),
    parents: list(text),
    unknownName: text,
    identities: object(
      {
        owner: headers,
        stranger: headers,
        scope: oneOf("parent"),
        anonymous: oneOf("refused"),
        foreign: oneOf("NOT_FOUND"),
      },
      ["owner", "stranger"],
    ),
    driver: flag,
    needs: object({
      succeeds: need,
      fails: need,
      runsUntilCancelled: need,
      ignoresCancel: need,
      reportsProgress: need,
      takes: need,
      refused: need,
      parallel: need,
      validateOnly: field,
      requestId: field,
    }),
    probe: list(text),
    budgets: object({
      answerMs: number(1),
      settleMs: number(1),
      cancelMs: number(1),
      wakeMs: number(1),
      slackMs: number(1),
      keepMs: number(1),
      freshMs: number(1),
      restartMs: number(1),
      caseMs: number(1),
    }),
    expectedFailures: text,
  },
  ["subject", "protocols"],
);

/** The entries of a file of expected failures. */
export const expectedFailuresShape: Shape = list(
  object({ case: text, protocol, got: text, reason: text }, ["case", "reason"]),
);
