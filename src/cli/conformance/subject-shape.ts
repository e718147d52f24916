import type { JsonObject } from "@bufbuild/protobuf";
import { defaultBudgets } from "../../conformance/description.js";
import { subjectSchemaUrl } from "../../conformance/index.js";
import {
  defined,
  described,
  either,
  flag,
  json,
  list,
  map,
  matching,
  number,
  object,
  oneOf,
  type Shape,
  text,
  whole,
} from "./shape.js";

/** A text, or `{"env": "NAME"}` for a secret. */
const secretText = either(text, object({ env: text }, ["env"]));
const secret = defined("text", secretText);
const headers = map(secret);
const binding = matching(
  /^(GET|POST|DELETE) \/\S*$/,
  'be an HTTP method and a path, such as "GET /v1/{name}"',
);
const address = matching(/^https?:\/\/[^/?#]+/, "begin with http:// or https://");
const protocol = oneOf("grpc", "grpc-web", "connect", "connect-json", "rest");

const expectedError = object({ code: whole(1, 16), details: list(map(json)), opaque: flag }, [
  "code",
]);
const common = {
  response: described("Expected response, in ProtoJSON of google.protobuf.Any.", map(json)),
  error: described("Expected error of the operation.", expectedError),
  required: described("Whether a refused start fails the cases.", flag),
  via: described("Protocol of the start.", protocol),
};
const request = described(
  "ProtoJSON, with {{parent}}, {{ms}}, {{seconds}}, {{id}}, {{uuid}}.",
  map(json),
);
const anyNeed = either(
  object({ rpc: described("package.Service/Method", text), request, ...common }, ["rpc"]),
  object({ http: described("HTTP method and path.", text), request, ...common }, ["http"]),
  object({ driver: oneOf(true), ...common }, ["driver"]),
  object({ names: list(text), shared: flag, ...common }, ["names"]),
);
const need = defined("need", anyNeed);
const field = described("Path of the request's field. true: the driver's.", either(flag, text));

const rest = either(
  address,
  object(
    { url: address, get: binding, list: binding, cancel: binding, delete: binding, wait: binding },
    ["url"],
  ),
);

const budgets = Object.fromEntries(
  Object.entries(defaultBudgets).map(([name, ms]) => [
    name,
    described(`Milliseconds. Default: ${ms}.`, number(1)),
  ]),
);

/** The members of a subject file. */
export const subjectShape: Shape = object(
  {
    $schema: text,
    subject: described("Name for reports.", text),
    command: described("Program with arguments; {{port}} is a free port.", list(text)),
    cwd: described("Folder of the command, relative to this file.", text),
    env: map(secret),
    ready: object({ line: described("Pattern of an output line.", text), ms: number(1) }),
    stop: described("Signal that ends the process. Default: SIGTERM.", text),
    restart: described("Signal before a restart.", text),
    protocols: object({
      grpc: address,
      "grpc-web": address,
      connect: address,
      "connect-json": address,
      rest,
    }),
    tls: described(
      "Certificates for https:// addresses.",
      object({
        ca: described("File of trusted certificates (PEM) instead of the system's.", text),
        cert: described("File of the client's certificate (PEM).", text),
        key: described("File of the client certificate's key (PEM).", text),
        insecure: described("Whether any certificate of the server is trusted.", flag),
      }),
    ),
    headers: described("Headers of every call.", headers),
    descriptors: described("File with a google.protobuf.FileDescriptorSet.", text),
    methods: object({
      GetOperation: flag,
      ListOperations: flag,
      CancelOperation: flag,
      DeleteOperation: flag,
      WaitOperation: flag,
    }),
    follows: described("Numbers of further AIPs.", list(whole(1))),
    claims: object({
      durable: flag,
      partialSuccess: oneOf("refused", "supported"),
      wildcard: text,
      filters: object({ done: text, open: text, bad: list(text) }, ["done", "open"]),
      xgafv: flag,
    }),
    parents: list(text),
    unknownName: described("Name that the server never gave out.", text),
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
    driver: described("Whether the server has longrunning.conformance.v1.Driver.", flag),
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
    probe: described("Command that prints running, ended or stopped for {{name}}.", list(text)),
    budgets: object(budgets),
    expectedFailures: described("File of expected failures.", text),
  },
  ["subject", "protocols"],
);

/** The published JSON Schema of subject files. */
export const subjectSchema: JsonObject = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $id: subjectSchemaUrl,
  title: "Subject of the conformance suite for google.longrunning.Operations",
  $defs: { text: secretText.schema, need: anyNeed.schema },
  ...subjectShape.schema,
};

/** The entries of a file of expected failures. */
export const expectedFailuresShape: Shape = list(
  object({ case: text, protocol, got: text, reason: text }, ["case", "reason"]),
);
