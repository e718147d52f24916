import assert from "node:assert/strict";
import { beforeAll, describe, it } from "vitest";
import type { ListQuery } from "../../../src/store/index.js";
import { createPostgresStore, migrate } from "../../../src/store/postgres/index.js";
import { anInsert } from "../../support/an-insert.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";
import { watchedPool } from "../../support/postgres/watched-pool.js";

let database: TestDatabase;

/** More rows than one page may walk. */
const othersOperations = 10_001;

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.pool);
  await database.pool.query(
    `insert into longrunning.operations (name, parent, method, principal, external, state,
      request, retention_ms, create_time, update_time)
    select parent || '/operations/b' || at, parent, 'a.B/C', 'b', false, 'queued', '', 1000,
      clock_timestamp() + at * interval '1 microsecond', clock_timestamp()
    from generate_series(1, $1) as at, (values ('printers/1'), ('printers/2')) as parents (parent)`,
    [othersOperations],
  );
  await database.pool.query("analyze longrunning.operations");
});

const open = { kind: "done", value: false } as const;

/** The parents and filters that are walked along different indexes. */
const queries: readonly Pick<ListQuery, "parent" | "filter">[] = [
  { parent: "printers/1", filter: undefined },
  { parent: "printers/1", filter: open },
  { parent: "printers/-", filter: undefined },
  { parent: "printers/-", filter: open },
];

describe("A list of one principal's operations in PostgreSQL", () => {
  it("walks at most 10,000 operations of others a page for an empty principal", async () => {
    const store = createPostgresStore({ pool: database.pool });
    const query = { parent: "printers/1", principal: "", filter: undefined, limit: 10 };
    const first = await store.list({ ...query, after: undefined });
    // The page ends where the walk does, after that many of the newest operations.
    const newest = `printers/1/operations/b${othersOperations - 9_999}`;
    assert.deepEqual([first.records, first.next?.name], [[], newest]);
    const second = await store.list({ ...query, after: first.next });
    assert.deepEqual([second.records, second.next], [[], undefined]);
  });

  it("is complete in one page, however many operations others have", async () => {
    const store = createPostgresStore({ pool: database.pool });
    const own = anInsert({
      name: "printers/1/operations/a",
      parent: "printers/1",
      principal: "a",
    });
    for (const names of [[], [own.name]]) {
      for (const query of queries) {
        const page = await store.list({ ...query, principal: "a", after: undefined, limit: 10 });
        assert.deepEqual(
          { names: page.records.map(({ name }) => name), next: page.next },
          { names, next: undefined },
        );
      }
      if (names.length === 0) await store.insert(own);
    }
  });

  it("walks an index by principal also if the planner does not know the principal", async () => {
    const statements: { text: string; values: unknown[] }[] = [];
    const pool = watchedPool(database.pool, (text, values) => {
      statements.push({ text, values });
    });
    const store = createPostgresStore({ pool });
    const after = { createTimeMicros: Date.now() * 1000 + 10 ** 12, name: "z" };
    for (const query of queries) {
      await store.list({ ...query, principal: "a", after: undefined, limit: 10 });
      await store.list({ ...query, principal: "a", after, limit: 10 });
    }
    for (const { text } of statements) {
      // Planned without values: the statistics say that all operations have one principal.
      const { rows } = await database.pool.query(`explain (generic_plan) ${text}`);
      const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
      const scans = plan.match(/(Scan|using) \w+/g) ?? [];
      assert.match(plan, /operations_(open_)?by_principal/, plan);
      assert.doesNotMatch(plan, /operations_by_parent|operations_by_time|Seq Scan/, plan);
      assert.ok(scans.length > 0);
    }
    assert.equal(statements.length, 8);
  });

  it("pages through the principal's operations in the order of all lists", async () => {
    const store = createPostgresStore({ pool: database.pool });
    const parents = ["printers/1", "printers/2"];
    const names: string[] = [];
    for (let at = 0; at < 7; at += 1) {
      const parent = parents[at % 2] ?? "";
      const name = `${parent}/operations/c${at}`;
      await store.insert(anInsert({ name, parent, principal: "c" }));
      names.unshift(name);
    }
    const seen: string[] = [];
    let after: ListQuery["after"];
    do {
      const query = { parent: "printers/-", principal: "c", filter: undefined, after, limit: 2 };
      const page = await store.list(query);
      seen.push(...page.records.map(({ name }) => name));
      after = page.next;
    } while (after !== undefined);
    assert.deepEqual(seen, names);
  });
});
