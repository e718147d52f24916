import assert from "node:assert/strict";
import { describe, it } from "vitest";
import {
  createPostgresStore,
  migrate,
  migrationScript,
  migrations,
} from "../../../src/store/postgres/index.js";
import { anInsert } from "../../support/an-insert.js";
import { createTestDatabase } from "../../support/postgres/test-database.js";

/** What a schema consists of, as the catalogue has it. */
const catalogue = `
  select 'column' as kind, table_name || '.' || column_name as name, data_type || coalesce(collation_name, '') as definition
    from information_schema.columns where table_schema = $1
  union all select 'index', indexname, indexdef from pg_indexes where schemaname = $1
  union all select 'constraint', conname, pg_get_constraintdef(oid) from pg_constraint
    where connamespace = $1::regnamespace
  union all select 'function', proname, prosrc from pg_proc where pronamespace = $1::regnamespace
  union all select 'trigger', tgname, pg_get_triggerdef(oid) from pg_trigger
    where tgrelid = ($1 || '.operations')::regclass
  order by 1, 2, 3`;

describe("migrate", () => {
  it("takes each step once, however many migrate at the same time", async () => {
    const { pool } = await createTestDatabase();
    const taken = await Promise.all(Array.from({ length: 5 }, () => migrate(pool)));
    assert.deepEqual(
      taken.flat().map(({ version }) => version),
      migrations().map(({ version }) => version),
    );
    assert.deepEqual(await migrate(pool), []);
  });

  it("does what the printed script does", async () => {
    const [ours, theirs] = [await createTestDatabase(), await createTestDatabase()];
    await migrate(ours.pool);
    await theirs.pool.query(migrationScript());
    const [made, printed] = await Promise.all(
      [ours, theirs].map(({ pool }) => pool.query(catalogue, ["longrunning"])),
    );
    assert.ok(made !== undefined && made.rows.length > 40, "the catalogue shows the schema");
    assert.deepEqual(printed?.rows, made.rows);
    assert.deepEqual(await migrate(theirs.pool), []);
  });

  it("prints only what is missing from a later version", () => {
    const { length } = migrations();
    assert.doesNotMatch(migrationScript({ from: length }), /create table [^i]/);
  });

  it("keeps the schemas of two services in one database apart", async () => {
    const { pool } = await createTestDatabase();
    await migrate(pool, { schema: "one" });
    await migrate(pool, { schema: "other" });
    const one = createPostgresStore({ pool, schema: "one" });
    const other = createPostgresStore({ pool, schema: "other" });
    await one.insert(anInsert({ name: "operations/a" }));
    assert.equal((await one.get("operations/a"))?.name, "operations/a");
    assert.equal(await other.get("operations/a"), undefined);
  });

  it("leaves a schema alone that is ahead of this version", async () => {
    const { pool } = await createTestDatabase();
    await migrate(pool);
    await pool.query("insert into longrunning.migrations (version, name) values (1000, 'later')");
    assert.deepEqual(await migrate(pool), []);
  });

  it("works in a schema that is there, without the right to make one", async () => {
    const { pool } = await createTestDatabase();
    const client = await pool.connect();
    try {
      const role = `migrator_${crypto.randomUUID().replaceAll("-", "")}`;
      await client.query(`create role ${role}`);
      await client.query(`create schema longrunning authorization ${role}`);
      await client.query(`set role ${role}`);
      const asMigrator = {
        query: (text: string, values: unknown[]) => client.query(text, values),
        connect: async () => ({
          query: (text: string, values: unknown[]) => client.query(text, values),
          release: () => undefined,
          on: () => undefined,
          removeListener: () => undefined,
        }),
      };
      assert.equal((await migrate(asMigrator)).length, migrations().length);
      await client.query("reset role");
      await client.query(`drop owned by ${role}`);
      await client.query(`drop role ${role}`);
    } finally {
      client.release();
    }
  });

  it("refuses a schema name that would have to be quoted with care", async () => {
    for (const schema of ["", "1a", "A", 'a"; drop table b; --', "a".repeat(41)]) {
      assert.throws(() => migrations({ schema }), { name: "RangeError" }, schema);
    }
  });
});
