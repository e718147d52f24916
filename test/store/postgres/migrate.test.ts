import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { describe, it } from "vitest";
import { createOperations } from "../../../src/server/index.js";
import {
  connectPostgres,
  createPostgresStore,
  migrate,
  migrationScript,
  migrations,
} from "../../../src/store/postgres/index.js";
import { migrationsTable } from "../../../src/store/postgres/migrations.js";
import { anInsert } from "../../support/an-insert.js";
import { createTestDatabase } from "../../support/postgres/test-database.js";

/** The parts of a schema, read from the catalogue. */
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

  it("leaves a newer schema as it is if its steps allow this program", async () => {
    const { url, pool } = await createTestDatabase();
    await migrate(pool);
    await pool.query(
      "insert into longrunning.migrations (version, name, oldest_version) values (1000, 'later', $1)",
      [migrations().length],
    );
    assert.deepEqual(await migrate(pool), []);
    const parts = await connectPostgres({ connectionString: url });
    await createOperations(parts).shutdown();
  });

  it("refuses a newer schema whose steps do not allow this program, without a change", async () => {
    const { url, pool } = await createTestDatabase();
    const { length } = migrations();
    await migrate(pool);
    await pool.query(
      `insert into longrunning.migrations (version, name, oldest_version)
      values (1000, 'later', $1), (1001, 'additive', 1)`,
      [length + 1],
    );
    const refused = {
      code: Code.FailedPrecondition,
      rawMessage:
        'the schema "longrunning" has version 1000, which this version of connect-longrunning ' +
        `(version ${length}) cannot run on: install a newer one`,
    };
    await assert.rejects(migrate(pool), refused);
    await assert.rejects(connectPostgres({ connectionString: url }), refused);
    await assert.rejects(connectPostgres({ connectionString: url, migrate: false }), refused);
    const { rows } = await pool.query(
      "select from pg_namespace where nspname = 'longrunning_queue'",
    );
    assert.deepEqual(rows, []);
  });

  it("names the missing steps if `connectPostgres` may not migrate", async () => {
    const { url, pool } = await createTestDatabase();
    const opened = () => connectPostgres({ connectionString: url, migrate: false });
    const { length } = migrations();
    const help = (from: number) =>
      `and this version of connect-longrunning needs version ${length}: ` +
      `run "longrunning migrate --schema longrunning", or apply migrationScript({ from: ${from} })`;
    await assert.rejects(opened(), {
      code: Code.Internal,
      rawMessage: `the schema "longrunning" is not migrated, ${help(0)}`,
    });
    // The schema of version 0.1.0's first commit has step 1 alone.
    await pool.query(
      migrationsTable("longrunning").replace(
        "create table",
        "create schema longrunning; create table",
      ),
    );
    await pool.query("insert into longrunning.migrations (version, name) values (1, 'operations')");
    await assert.rejects(opened(), {
      code: Code.Internal,
      rawMessage: `the schema "longrunning" has version 1, ${help(1)}`,
    });
  });

  it("creates no index again that the operator made before", async () => {
    const { pool } = await createTestDatabase();
    const [first, second] = migrations();
    assert.ok(first !== undefined && second !== undefined);
    await pool.query(`create schema longrunning; ${migrationsTable("longrunning")};
      ${first.sql} insert into longrunning.migrations (version, name) values (1, 'operations')`);
    const indexes = second.sql.match(/create index [^;]*;/g) ?? [];
    for (const index of indexes) await pool.query(index.replace("index", "index concurrently"));
    const [{ relfilenode: before }] = (
      await pool.query("select relfilenode from pg_class where relname = 'operations_by_principal'")
    ).rows;
    await migrate(pool);
    const [{ relfilenode: after }] = (
      await pool.query("select relfilenode from pg_class where relname = 'operations_by_principal'")
    ).rows;
    assert.equal(indexes.length, 3);
    assert.equal(after, before);
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
