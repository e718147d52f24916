import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { ConformanceCase } from "../case.js";
import { endText } from "../case-operations.js";
import type { CaseRun } from "../case-run.js";
import { defineCase } from "../define-case.js";
import { isSameAny } from "../equality.js";
import { Skipped } from "../failure.js";
import { isStatus } from "../rpc-code.js";

/** Length of a name that exceeds the limit of a gRPC trailer. */
const longNameBytes = 8192;

export const getCases: readonly ConformanceCase[] = [
  defineCase({
    id: "get.required",
    level: "must",
    title: "GetOperation is implemented",
    sources: ["operations.proto GetOperation", "AIP-151 Guidance"],
    each: true,
    async body(run: CaseRun) {
      const name = run.description.unknownName ?? "operations/conformance-unknown";
      const answer = await run.get(name, { raw: true });
      if (answer.fault !== undefined) throw run.failure("an answer to GetOperation", answer.text);
      run.check(!isStatus(answer, "UNIMPLEMENTED"), "GetOperation is implemented", answer.text);
    },
  }),
  defineCase({
    id: "get.life",
    level: "must",
    title: "an operation comes to its end, and is found then with its response",
    sources: ["operations.proto Operation.done, Operation.response"],
    needs: ["s"],
    each: true,
    async body(run: CaseRun) {
      const started = await run.start("succeeds");
      const { name, expectedResponse } = started;
      let seen = started.isPrepared ? undefined : "the start's answer";
      const operation = await run.poll(run.budgets.caseMs / 2, async () => {
        const answer = await run.get(name);
        if (answer.message === undefined && seen !== "GetOperation") {
          // The operation may not be visible yet. The case `start.found` checks its visibility.
          if (isStatus(answer, "NOT_FOUND")) return undefined;
        }
        const message = run.ok(answer, `GetOperation finds "${name}" until it is done`);
        seen = "GetOperation";
        return message.done ? message : undefined;
      });
      if (operation === undefined) {
        if (seen !== "GetOperation") {
          throw run.failure(`GetOperation finds "${name}"`, "NOT_FOUND until the end of the case");
        }
        run.notExercised(`"${name}" did not end in time; give a shorter request or --slow`);
      }
      const later = run.ok(await run.get(name), `GetOperation finds "${name}" after its end`);
      const { result } = later;
      run.check(
        result.case !== "error",
        'an operation of the need "succeeds" succeeds',
        endText(later),
      );
      if (expectedResponse === undefined) return;
      const expected = run.subject.json.read(AnySchema, expectedResponse);
      const actual = result.case === "response" ? result.value : undefined;
      run.check(
        isSameAny(actual, expected, run.subject.types),
        `the response ${JSON.stringify(expectedResponse)}`,
        actual === undefined ? "no response" : `another response of the type ${actual.typeUrl}`,
      );
    },
  }),
  defineCase({
    id: "get.unknown",
    level: "must",
    title: "an unknown name is NOT_FOUND",
    sources: ["AIP-193 Permission Denied", "code.proto NOT_FOUND"],
    each: true,
    async body(run: CaseRun) {
      const { name, isGuess } = await run.unknownName();
      const answer = await run.get(name);
      if (isGuess && isStatus(answer, "INVALID_ARGUMENT")) {
        run.notExercised(`the server refuses the guessed name "${name}"; declare "unknownName"`);
      }
      run.status(answer, ["NOT_FOUND"], `the unknown name "${name}"`);
    },
  }),
  defineCase({
    id: "get.near",
    level: "must",
    title: "names that resemble an operation's name do not find it",
    sources: ["AIP-193 Permission Denied", "code.proto NOT_FOUND"],
    needs: [],
    async body(run: CaseRun) {
      const { name } = await run.someName();
      await run.poll(run.budgets.settleMs, async () => (await run.get(name)).message);
      const near = [`${name}x`, `${name}/x`, name.slice(0, -1)];
      // Over REST, an empty name results in another path.
      if (run.protocol !== "rest") near.push("");
      const denied =
        run.description.identities === undefined ? [] : (["PERMISSION_DENIED"] as const);
      for (const other of near) {
        const answer = await run.get(other);
        if (answer.message !== undefined && answer.message.name === other && other !== "") continue;
        if (answer.message !== undefined) {
          throw run.failure(
            `NOT_FOUND or INVALID_ARGUMENT for "${other}"`,
            `the operation "${answer.message.name}"`,
          );
        }
        run.status(answer, ["NOT_FOUND", "INVALID_ARGUMENT", ...denied], `the name "${other}"`);
      }
    },
  }),
  defineCase({
    id: "get.kept",
    level: "should",
    title: "a finished operation is found for some time",
    sources: ["AIP-151 Expiration"],
    needs: ["d"],
    async body(run: CaseRun) {
      const { name } = await run.done();
      await run.sleep(run.budgets.keepMs);
      run.ok(await run.get(name), `"${name}" is found ${run.budgets.keepMs} ms after its end`);
    },
  }),
  defineCase({
    id: "get.long",
    alone: true,
    level: "inferred",
    title: "a name of 8 KiB is an error, and the next call works",
    sources: ["gRPC PROTOCOL-HTTP2: trailers of 8 KiB"],
    each: true,
    async body(run: CaseRun) {
      const { name } = await run.someName();
      const long = name + "x".repeat(longNameBytes);
      const answer = await run.get(long);
      if (answer.message !== undefined) throw run.failure("an error for a name of 8 KiB", "OK");
      run.check(answer.status !== undefined, "an error for a name of 8 KiB", answer.text);
      const next = await run.get(name);
      run.check(
        next.message !== undefined || isStatus(next, "NOT_FOUND"),
        "the next call is answered",
        next.text,
      );
    },
  }),
  defineCase({
    id: "name.shape",
    level: "should",
    title: "a name ends with operations/{id} and needs no escape in a URL",
    sources: ["operations.proto Operation.name", "AIP-122"],
    async body(run: CaseRun) {
      const { rest } = run.subject;
      const isDefault = rest?.bindings.get === "GET /v1/{name}";
      if (!isDefault && !(run.description.follows ?? []).includes(122)) {
        throw new Skipped("the subject neither follows AIP-122 nor has the default HTTP binding");
      }
      const { name } = await run.someName();
      run.check(
        /(^|\/)operations\/[^/]+$/.test(name),
        "a name that ends with operations/{id}",
        `"${name}"`,
      );
      run.check(
        /^[A-Za-z0-9\-._~!$&'()*+,;=:@/]+$/.test(name),
        "a name of characters that a URL's path may contain",
        `"${name}"`,
      );
    },
  }),
];
