import type { ConformanceCase } from "../case.js";
import type { CaseRun } from "../case-run.js";
import { defineCase } from "../define-case.js";
import { isSameResult } from "../equality.js";
import { listed, walkInPages } from "./listed.js";

/** First page token of the list, or the end of the case. */
async function firstToken(run: CaseRun, name?: string): Promise<string> {
  await listed(run);
  let pageToken = "";
  // A server may return empty pages first.
  const endMs = performance.now() + run.budgets.settleMs;
  do {
    const request = { name, pageSize: 1, pageToken };
    const page = run.page(await run.list(request), request);
    pageToken = page.nextPageToken;
    if (page.operations.length > 0) break;
  } while (pageToken !== "" && performance.now() < endMs);
  if (pageToken === "") run.notExercised("the list has one page only, although page_size is 1");
  return pageToken;
}

const unsafeInTokens = /[^\x21-\x7e]|["#%&+]/;

export const listCases: readonly ConformanceCase[] = [
  defineCase({
    id: "list.contains",
    level: "must",
    title: "a walk through the list shows each operation",
    sources: ["operations.proto ListOperations"],
    each: true,
    async body(run: CaseRun) {
      const own = await listed(run);
      let missing: string[] = [];
      const all = await run.poll(run.budgets.settleMs, async () => {
        const { operations } = await run.walk({});
        const names = new Set(operations.map(({ name }) => name));
        missing = [...own.names].filter((name) => !names.has(name));
        return missing.length === 0 ? true : undefined;
      });
      if (missing.length === own.names.size && !run.hasParents) {
        run.notExercised('the list of the guessed parent has none of them; declare "parents"');
      }
      run.check(
        all === true,
        `the list contains ${own.names.size} operations within ${run.budgets.settleMs} ms`,
        `missing: ${missing.map((name) => `"${name}"`).join(", ")}`,
      );
    },
  }),
  defineCase({
    id: "list.size",
    level: "must",
    title: "no page is larger than page_size, which may change from page to page",
    sources: ["AIP-158 page_size"],
    each: true,
    async body(run: CaseRun) {
      await listed(run);
      const first = run.page(await run.list({ pageSize: 2 }), {});
      run.check(
        first.operations.length <= 2,
        "at most 2 operations for page_size 2",
        `${first.operations.length} operations`,
      );
      if (first.nextPageToken === "") return;
      const pageToken = first.nextPageToken;
      const second = run.ok(
        await run.list({ pageSize: 1, pageToken }),
        "OK for the next page with another page_size",
      );
      run.check(
        second.operations.length <= 1,
        "at most 1 operation for page_size 1",
        `${second.operations.length} operations`,
      );
    },
  }),
  defineCase({
    id: "list.walk",
    level: "must",
    title: "page_size 0 is accepted, and page tokens lead to the end",
    sources: ["AIP-158 next_page_token"],
    each: true,
    async body(run: CaseRun) {
      await listed(run);
      await walkInPages(run);
    },
  }),
  defineCase({
    id: "list.negative",
    level: "must",
    title: "a negative page_size is INVALID_ARGUMENT",
    sources: ["AIP-158 page_size"],
    each: true,
    async body(run: CaseRun) {
      await listed(run);
      run.page(await run.list({}), {});
      run.status(await run.list({ pageSize: -1 }), ["INVALID_ARGUMENT"], "page_size -1");
    },
  }),
  defineCase({
    id: "list.huge",
    alone: true,
    level: "should",
    title: "a page_size above the server's maximum is reduced",
    sources: ["AIP-158 page_size: coerce"],
    async body(run: CaseRun) {
      run.page(await run.list({}), {});
      run.ok(await run.list({ pageSize: 2 ** 31 - 1 }), "OK for page_size 2147483647");
    },
  }),
  defineCase({
    id: "list.once",
    level: "inferred",
    title: "no operation is listed twice while nothing changes",
    sources: ["AIP-158"],
    async body(run: CaseRun) {
      const own = await listed(run);
      run.premise("list.walk");
      const { operations } = await walkInPages(run);
      const names = operations.map(({ name }) => name).filter((name) => own.names.has(name));
      const twice = names.find((name, at) => names.indexOf(name) !== at);
      run.check(twice === undefined, "each operation once", `"${twice}" twice`);
    },
  }),
  defineCase({
    id: "list.token-safe",
    level: "must",
    title: "page tokens need no escape in a URL's query",
    sources: ["AIP-158 Opacity: URL-safe"],
    async body(run: CaseRun) {
      await listed(run);
      const { pages } = await walkInPages(run);
      const tokens = pages
        .map(({ nextPageToken }) => nextPageToken)
        .filter((token) => token !== "");
      if (tokens.length === 0) run.notExercised("the list has one page only");
      const unsafe = tokens.find((token) => unsafeInTokens.test(token));
      run.check(
        unsafe === undefined,
        'page tokens of visible ASCII characters except " # % & +',
        JSON.stringify(unsafe),
      );
    },
  }),
  defineCase({
    id: "list.token-retry",
    level: "should",
    title: "a page token used twice gives the same operations",
    sources: ["AIP-158 Expiring page tokens"],
    async body(run: CaseRun) {
      const own = await listed(run);
      const pageToken = await firstToken(run);
      const pages: string[][] = [];
      for (let times = 0; times < 2; times += 1) {
        const page = run.ok(
          await run.list({ pageSize: 1, pageToken }),
          "OK for a page token used again",
        );
        pages.push(page.operations.map(({ name }) => name).filter((name) => own.names.has(name)));
      }
      const [first = [], second = []] = pages;
      run.check(
        first.join() === second.join(),
        "the same operations for the same page token",
        `${first.join(", ") || "none"}, then ${second.join(", ") || "none"}`,
      );
    },
  }),
  defineCase({
    id: "list.token-bad",
    level: "inferred",
    title: "a text that is not a page token is INVALID_ARGUMENT",
    sources: ["code.proto INVALID_ARGUMENT"],
    async body(run: CaseRun) {
      run.page(await run.list({}), {});
      const answer = await run.list({ pageToken: "~no token~" });
      run.status(answer, ["INVALID_ARGUMENT"], 'the page token "~no token~"');
    },
  }),
  defineCase({
    id: "list.token-moved",
    level: "should",
    title: "a page token with another name or filter is INVALID_ARGUMENT",
    sources: ["AIP-158 next_page_token: arguments are different"],
    async body(run: CaseRun) {
      const pageToken = await firstToken(run);
      const { parents = [], claims } = run.description;
      const [, other] = parents;
      const filter = claims?.filters?.done;
      if (other === undefined && filter === undefined) {
        run.notExercised('declare two "parents", or "filters"');
      }
      if (other !== undefined) {
        run.page(await run.list({ name: other }), { name: other });
        const answer = await run.list({ name: other, pageSize: 1, pageToken });
        run.status(answer, ["INVALID_ARGUMENT"], "a page token of another parent");
      }
      if (filter !== undefined) {
        const answer = await run.list({ filter, pageSize: 1, pageToken });
        run.status(answer, ["INVALID_ARGUMENT"], "a page token of another filter");
      }
    },
  }),
  defineCase({
    id: "list.parent",
    level: "must",
    title: "the list of a parent has no operation of another parent",
    sources: ["operations.proto ListOperationsRequest.name"],
    claims: ["two parents"],
    async body(run: CaseRun) {
      const [one = "", other = ""] = run.description.parents ?? [];
      const kind = run.kindFor("any");
      const ofOne = await run.start(kind, { parent: one });
      const ofOther = await run.start(kind, { parent: other });
      if (ofOne.isPrepared) run.notExercised("prepared names do not show it");
      for (const [parent, foreign] of [
        [one, ofOther],
        [other, ofOne],
      ] as const) {
        const { operations } = await run.walk({ name: parent });
        run.check(
          !operations.some(({ name }) => name === foreign.name),
          `the list of "${parent}" has operations of "${parent}" only`,
          `it contains "${foreign.name}"`,
        );
      }
    },
  }),
  defineCase({
    id: "list.same",
    level: "should",
    title: "a list shows an operation as GetOperation does",
    sources: ["AIP-132 Response message"],
    needs: ["d"],
    async body(run: CaseRun) {
      run.premise("list.contains");
      const { name } = await run.done();
      const operation = run.ok(await run.get(name), `GetOperation finds "${name}"`);
      let actual = "";
      const same = await run.poll(run.budgets.settleMs, async () => {
        const { operations } = await run.walk({});
        const item = operations.find((one) => one.name === name);
        if (item === undefined) {
          actual = "the list does not contain it";
          return undefined;
        }
        actual = item.done ? "another result" : "done is false";
        return item.done && isSameResult(item, operation, run.subject.types) ? true : undefined;
      });
      run.check(same === true, `the list shows "${name}" done, with its result`, actual);
    },
  }),
  defineCase({
    id: "list.unreachable",
    level: "must",
    title: "unreachable is empty unless the request asks for it",
    sources: ["operations.proto ListOperationsResponse.unreachable"],
    each: true,
    async body(run: CaseRun) {
      const { pages } = await run.walk({});
      const unreachable = pages.flatMap((page) => page.unreachable);
      run.check(unreachable.length === 0, "an empty unreachable", unreachable.join(", "));
    },
  }),
  defineCase({
    id: "list.partial",
    level: "must",
    title: "return_partial_success is supported or refused as declared",
    sources: ["operations.proto ListOperationsRequest.return_partial_success", "AIP-217"],
    claims: ["partialSuccess"],
    async body(run: CaseRun) {
      const { claims = {} } = run.description;
      const request = { returnPartialSuccess: true, name: claims.wildcard };
      if (claims.partialSuccess === "supported") {
        run.ok(await run.list(request, { raw: true }), "OK for return_partial_success");
      } else {
        const answer = await run.list({ returnPartialSuccess: true }, { raw: true });
        run.status(answer, ["UNIMPLEMENTED"], "return_partial_success");
      }
    },
  }),
  defineCase({
    id: "list.wildcard",
    level: "must",
    title: "the wildcard parent lists the operations of all parents under their own names",
    sources: ["AIP-159"],
    claims: ["wildcard"],
    async body(run: CaseRun) {
      const [one = "", other = ""] = run.description.parents ?? [];
      const name = run.description.claims?.wildcard ?? "";
      const kind = run.kindFor("any");
      const own = [
        await run.start(kind, { parent: one }),
        await run.start(kind, { parent: other }),
      ];
      let missing = "";
      const all = await run.poll(run.budgets.settleMs, async () => {
        const { operations } = await run.walk({ name });
        const names = new Set(operations.map((operation) => operation.name));
        missing = own.find((started) => !names.has(started.name))?.name ?? "";
        return missing === "" ? true : undefined;
      });
      run.check(all === true, `the list of "${name}" contains "${missing}"`, "it does not");
    },
  }),
  defineCase({
    id: "list.filter-done",
    level: "must",
    title: "the declared filters separate done from running operations",
    sources: ["operations.proto ListOperations", "AIP-160"],
    claims: ["filters"],
    needs: ["d"],
    async body(run: CaseRun) {
      const { done, running } = await listed(run);
      const { filters } = run.description.claims ?? {};
      for (const [filter, own, others] of [
        [filters?.done ?? "", done, running],
        [filters?.open ?? "", running, done],
      ] as const) {
        let actual = "";
        const exact = await run.poll(run.budgets.settleMs, async () => {
          const { operations } = await run.walk({ filter });
          const names = new Set(operations.map(({ name }) => name));
          const missing = own.find(({ name }) => !names.has(name));
          const extra = others.find(({ name }) => names.has(name));
          if (missing !== undefined) actual = `"${missing.name}" is missing`;
          if (extra !== undefined) actual = `"${extra.name}" is listed`;
          return missing === undefined && extra === undefined ? true : undefined;
        });
        run.check(exact === true, `exactly the operations that match ${filter}`, actual);
      }
    },
  }),
  defineCase({
    id: "list.filter-bad",
    level: "should",
    title: "an invalid filter is INVALID_ARGUMENT",
    sources: ["AIP-160 Validation"],
    claims: ["filters"],
    async body(run: CaseRun) {
      const bad = run.description.claims?.filters?.bad ?? [];
      if (bad.length === 0) run.notExercised('declare "bad" filters in the claim "filters"');
      for (const filter of bad) {
        run.status(
          await run.list({ filter }),
          ["INVALID_ARGUMENT"],
          `the filter ${JSON.stringify(filter)}`,
        );
      }
    },
  }),
  defineCase({
    id: "list.filter-not",
    level: "must",
    title: "NOT and - mean the same in filters",
    sources: ["AIP-160 Negation"],
    follows: 160,
    claims: ["filters"],
    async body(run: CaseRun) {
      const own = await listed(run);
      const done = run.description.claims?.filters?.done ?? "";
      const lists: string[] = [];
      for (const filter of [`NOT ${done}`, `-${done}`]) {
        const { operations } = await run.walk({ filter });
        const names = operations.map(({ name }) => name).filter((name) => own.names.has(name));
        lists.push(names.sort().join(", "));
      }
      run.check(
        lists[0] === lists[1],
        `the same operations for NOT ${done} and -${done}`,
        `${lists[0] || "none"}; ${lists[1] || "none"}`,
      );
    },
  }),
  defineCase({
    id: "list.filter-ignored",
    level: "should",
    title: "a filter that the server does not support is an error",
    sources: ["AIP-160 Validation", "operations.proto ListOperations"],
    claims: ["no filters"],
    async body(run: CaseRun) {
      const { done, running } = await listed(run);
      run.page(await run.list({}), {});
      for (const [filter, others] of [
        ["done = false", done],
        ["done = true", running],
      ] as const) {
        const answer = await run.list({ filter });
        if (answer.message === undefined) {
          run.check(answer.status !== undefined, "an answer", answer.text);
          continue;
        }
        const { operations } = await run.walk({ filter });
        const wrong = operations.find(({ name }) => others.some((own) => own.name === name));
        run.check(
          wrong === undefined,
          `an error for the filter ${filter}, or no operation that contradicts it`,
          `"${wrong?.name}" is listed`,
        );
      }
    },
  }),
  defineCase({
    id: "list.churn",
    level: "inferred",
    title: "operations that exist throughout a walk are listed once while others come and go",
    sources: ["AIP-158"],
    needs: ["s"],
    async body(run: CaseRun) {
      const own = await listed(run);
      run.premise("list.contains", "list.once");
      const spare = await run.done("succeeds");
      const names: string[] = [];
      let pageToken = "";
      let isDeleted = false;
      const endMs = performance.now() + run.budgets.caseMs / 2;
      do {
        const page = run.page(await run.list({ pageSize: 2, pageToken }), {});
        names.push(
          ...page.operations.map(({ name }) => name).filter((name) => own.names.has(name)),
        );
        pageToken = page.nextPageToken;
        await run.start("succeeds");
        if (!isDeleted && page.operations.some(({ name }) => name === spare.name)) {
          isDeleted = true;
          // A server may refuse the deletion. Then only the new operations move the pages.
          await run.delete(spare.name, { raw: true });
        }
        if (performance.now() > endMs) run.notExercised("the list did not end in time");
      } while (pageToken !== "");
      const twice = names.find((name, at) => names.indexOf(name) !== at);
      run.check(twice === undefined, "each operation once", `"${twice}" twice`);
      const missing = [...own.names].find((name) => !names.includes(name));
      run.check(
        missing === undefined,
        "each operation that exists throughout",
        `"${missing}" is missing`,
      );
    },
  }),
];
