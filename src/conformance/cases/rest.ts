import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isJsonObject } from "../../json/message-json.js";
import { beginCall, causeText } from "../call-limit.js";
import type { ConformanceCase } from "../case.js";
import { endText } from "../case-operations.js";
import type { CaseRun } from "../case-run.js";
import { defineCase } from "../define-case.js";
import { Absent, Skipped } from "../failure.js";
import { type RestBindings, restTargetOf, sendRest } from "../wire/rest-caller.js";
import { parseBody } from "../wire/tolerant-json.js";
import { isCancelled } from "./cancel.js";
import { listed } from "./listed.js";

/** A response over REST, unread. */
interface RawAnswer {
  readonly status: number;
  readonly json: JsonValue | undefined;
  readonly text: string;
}

/** Sends a request as a case writes it, and records it as evidence. */
async function send(
  run: CaseRun,
  httpMethod: string,
  path: string,
  body?: JsonObject,
): Promise<RawAnswer> {
  const { rest, description, mask } = run.subject;
  if (rest === undefined) throw new Skipped("the subject has no REST");
  const { answerMs, slackMs } = run.budgets;
  const expected = `an answer to ${httpMethod} ${path} within ${answerMs} ms`;
  const headers = Object.entries({ ...description.headers, ...description.identities?.owner });
  const limit = beginCall(run.subject.loopDelay, answerMs, slackMs);
  const { sent, response } = await sendRest(rest.url, { httpMethod, path, body }, rest.exchange, {
    headers,
    deadlineMs: undefined,
    signal: limit.signal,
    isolated: false,
  })
    .catch((error: unknown) => {
      if (!limit.signal.aborted)
        throw run.failure(expected, `a broken connection: ${causeText(error)}`);
      const lateMs = performance.now() - limit.startMs - answerMs;
      throw run.late(lateMs, expected, "no answer", limit.delay);
    })
    .finally(() => limit.end());
  const tookMs = performance.now() - limit.startMs;
  const json = parseBody(response.body);
  run.calls.push({
    method: `${httpMethod} ${path}`,
    protocol: "rest",
    target: sent.target,
    atMs: 0,
    tookMs: Math.round(tookMs),
    requestHeaders: mask.headers(sent.headers),
    request: body ?? null,
    requestBytes: "",
    result: `HTTP ${response.status}`,
    httpStatus: response.status,
    responseHeaders: mask.headers(response.headers.entries()),
    response: json,
    responseBytes: "",
  });
  if (tookMs > answerMs) {
    const actual = `the answer took ${Math.round(tookMs)} ms`;
    throw run.late(tookMs - answerMs, expected, actual, limit.delay);
  }
  return {
    status: response.status,
    json,
    text: `HTTP ${response.status} for ${httpMethod} ${path}`,
  };
}

function isOk({ status }: RawAnswer): boolean {
  return status >= 200 && status < 300;
}

/** The path of a method for a name; ends the case if the method has no binding. */
function pathOf(
  run: CaseRun,
  method: keyof RestBindings,
  name: string,
): { httpMethod: string; path: string } {
  const binding = run.subject.rest?.bindings[method];
  if (binding === undefined) run.notExercised(`the subject has no binding for ${method}`);
  return restTargetOf(binding, { name });
}

function errorOf({ json }: RawAnswer): JsonObject {
  return isJsonObject(json) && isJsonObject(json.error) ? json.error : {};
}

function namesOf({ json }: RawAnswer): string[] {
  const operations = isJsonObject(json) && Array.isArray(json.operations) ? json.operations : [];
  return operations.flatMap((one) =>
    isJsonObject(one) && typeof one.name === "string" ? [one.name] : [],
  );
}

function nextTokenOf({ json }: RawAnswer): string {
  const token = isJsonObject(json) ? (json.nextPageToken ?? json.next_page_token) : undefined;
  return typeof token === "string" ? token : "";
}

/** HTTP statuses of a path or an HTTP method that the server does not have. */
const unrouted: ReadonlySet<number> = new Set([404, 405, 501]);

export const restCases: readonly ConformanceCase[] = [
  defineCase({
    id: "rest.paths",
    level: "must",
    title: "each declared path reaches its method",
    sources: ["http.proto"],
    protocols: ["rest"],
    async body(run: CaseRun) {
      const bindings = run.subject.rest?.bindings;
      const { name } = await run.done(run.kindFor("d"));
      const parent = await run.parent();
      const order = ["get", "wait", "list", "cancel", "delete"] as const;
      for (const method of order) {
        if (bindings?.[method] === undefined) continue;
        const { httpMethod, path } = pathOf(run, method, method === "list" ? parent : name);
        const answer = await send(run, httpMethod, path, httpMethod === "POST" ? {} : undefined);
        // A method that refuses this operation returns a google.rpc.Status.
        const isUnsupported =
          method !== "get" && (answer.status === 501 || errorOf(answer).status === "UNIMPLEMENTED");
        run.check(
          isUnsupported || !unrouted.has(answer.status),
          `${httpMethod} ${path} reaches ${method}`,
          answer.text,
        );
        if (method === "get") run.check(isOk(answer), `OK for ${httpMethod} ${path}`, answer.text);
      }
    },
  }),
  defineCase({
    id: "rest.query",
    level: "must",
    title: "the query parameters pageSize and pageToken work",
    sources: ["AIP-127: camelCase in HTTP"],
    protocols: ["rest"],
    async body(run: CaseRun) {
      const own = await listed(run);
      if (own.names.size < 2) run.notExercised("two operations are needed");
      const { httpMethod, path } = pathOf(run, "list", await run.parent());
      const size = async (query: string) => {
        const answer = await send(run, httpMethod, `${path}?${query}`);
        if (!isOk(answer)) run.notExercised(`the list is ${answer.text}`);
        return answer;
      };
      const camel = await size("pageSize=1");
      if (namesOf(camel).length > 1) {
        const snake = await size("page_size=1");
        if (namesOf(snake).length > 1) run.notExercised("page_size has no effect: see list.size");
        throw run.failure("at most 1 operation for pageSize=1", `${namesOf(camel).length}`);
      }
      const token = nextTokenOf(camel);
      if (token === "") run.notExercised("the list has one page only");
      const encoded = encodeURIComponent(token);
      const next = await size(`pageSize=1&pageToken=${encoded}`);
      const [first] = namesOf(camel);
      const [second] = namesOf(next);
      run.check(
        first === undefined || first !== second,
        "another page for pageToken",
        `"${second}" again`,
      );
    },
  }),
  defineCase({
    id: "rest.empty-body",
    level: "may",
    title: "CancelOperation is accepted without a body",
    sources: ["google-api-core sends it so"],
    protocols: ["rest"],
    needs: ["r"],
    async body(run: CaseRun) {
      const { name } = await run.running();
      const { httpMethod, path } = pathOf(run, "cancel", name);
      const answer = await send(run, httpMethod, path);
      if (!isOk(answer)) throw new Absent(answer.text);
    },
  }),
  defineCase({
    id: "rest.code",
    level: "must",
    title: "HTTP statuses are those of the codes, and a failed operation is 200",
    sources: ["code.proto HTTP Mapping", "operations.proto Operation.error"],
    protocols: ["rest"],
    async body(run: CaseRun) {
      const { name: unknown } = await run.unknownName();
      const missing = pathOf(run, "get", unknown);
      const answer = await send(run, missing.httpMethod, missing.path);
      run.check(answer.status === 404, `HTTP 404 for the unknown name "${unknown}"`, answer.text);
      if (run.description.needs?.fails === undefined && run.description.driver !== true) return;
      const { name, operation } = await run.done("fails");
      const found = pathOf(run, "get", name);
      const failed = await send(run, found.httpMethod, found.path);
      run.check(failed.status === 200, "HTTP 200 for a failed operation", failed.text);
      const code = errorOf(failed).code;
      const expected = operation.result.case === "error" ? operation.result.value.code : 0;
      run.check(
        typeof code === "number" && code >= 1 && code <= 16,
        `the RPC code ${expected} in error.code`,
        JSON.stringify(code),
      );
    },
  }),
  defineCase({
    id: "rest.error",
    level: "must",
    title: "an error's body has code, message and status",
    sources: ["AIP-193 HTTP/1.1+JSON representation"],
    protocols: ["rest"],
    follows: 193,
    async body(run: CaseRun) {
      const { name } = await run.unknownName();
      const { httpMethod, path } = pathOf(run, "get", name);
      const answer = await send(run, httpMethod, path);
      const error = errorOf(answer);
      run.check(
        error.code === answer.status &&
          typeof error.message === "string" &&
          error.status === "NOT_FOUND",
        `{"error": {"code": ${answer.status}, "message": …, "status": "NOT_FOUND"}}`,
        JSON.stringify(answer.json) ?? "no JSON",
      );
    },
  }),
  defineCase({
    id: "rest.slash",
    level: "must",
    title: "an encoded slash separates nothing, and other encoded characters are decoded",
    sources: ["http.proto: variables of several segments"],
    protocols: ["rest"],
    async body(run: CaseRun) {
      const { name } = await run.someName();
      const { httpMethod, path } = pathOf(run, "get", name);
      const at = path.lastIndexOf("/");
      const [head, id] = [path.slice(0, at), path.slice(at + 1)];
      const divided = await send(run, httpMethod, `${head}%2F${id}`);
      run.check(!isOk(divided), `no operation for ${head}%2F${id}`, divided.text);
      const first = id.charCodeAt(0).toString(16).padStart(2, "0");
      if (!/^[A-Za-z0-9]/.test(id)) return;
      const escaped = await send(run, httpMethod, `${head}/%${first}${id.slice(1)}`);
      run.check(isOk(escaped), `the operation for ${head}/%${first}${id.slice(1)}`, escaped.text);
    },
  }),
  defineCase({
    id: "rest.verb",
    level: "must",
    title: "GET on the path of CancelOperation cancels nothing",
    sources: ["http.proto Verb"],
    protocols: ["rest"],
    needs: ["r"],
    async body(run: CaseRun) {
      const { name } = await run.running(run.kindFor("r"), { ms: run.budgets.caseMs / 2 });
      const { path } = pathOf(run, "cancel", name);
      const answer = await send(run, "GET", path);
      run.check(!isOk(answer), `an error for GET ${path}`, answer.text);
      await run.sleep(run.budgets.slackMs / 5);
      const operation = run.ok(await run.get(name), `"${name}" is found`);
      run.check(!isCancelled(operation), `"${name}" is not cancelled`, endText(operation));
    },
  }),
  defineCase({
    id: "rest.body-name",
    level: "must",
    title: "a name in the body does not replace the name in the path",
    sources: ["http.proto: body *"],
    protocols: ["rest"],
    needs: ["u"],
    async body(run: CaseRun) {
      const one = await run.running("runsUntilCancelled");
      const other = await run.running("runsUntilCancelled");
      const { httpMethod, path } = pathOf(run, "cancel", one.name);
      await send(run, httpMethod, path, { name: other.name });
      await run.sleep(run.budgets.slackMs / 2);
      const operation = run.ok(await run.get(other.name), `"${other.name}" is found`);
      run.check(
        !operation.done,
        `"${other.name}", which the path does not name, runs`,
        endText(operation),
      );
    },
  }),
  defineCase({
    id: "rest.xgafv",
    level: "must",
    title: "$.xgafv chooses the error format",
    sources: ["Google system parameters"],
    protocols: ["rest"],
    claims: ["xgafv"],
    async body(run: CaseRun) {
      const { name } = await run.unknownName();
      const { httpMethod, path } = pathOf(run, "get", name);
      for (const dollar of ["$", "%24"]) {
        for (const [query, hasErrors] of [
          [`?${dollar}.xgafv=1`, true],
          [`?${dollar}.xgafv=2`, false],
          ["", false],
        ] as const) {
          const error = errorOf(await send(run, httpMethod, path + query));
          run.check(
            Array.isArray(error.errors) === hasErrors,
            `${hasErrors ? "" : "no "}error.errors for ${path}${query}`,
            JSON.stringify(error),
          );
        }
      }
    },
  }),
];
