/** One row inserted, updated when it is claimed and updated when it is done, by the bare driver. */
import { loadDriver } from "../../src/store/sqlite/load-driver.js";
import { runClient } from "../child-side.js";
import { temporaryDatabase } from "./sqlite-file.js";

const openFile = await loadDriver(undefined);
const database = openFile(temporaryDatabase());
// The store's settings: one flush for each commit, and an exclusive lock on the file.
database.exec(`
  pragma locking_mode = exclusive;
  pragma journal_mode = wal;
  pragma synchronous = full;
  create table operations (
    name text primary key, state text not null, attempt integer not null,
    request blob not null, result blob
  );
`);
const insert = database.prepare("insert into operations values (?, 'queued', 0, ?, null)");
const claim = database.prepare(
  "update operations set state = 'running', attempt = attempt + 1 where name = ?",
);
const finish = database.prepare(
  "update operations set state = 'done', result = ? where name = ? and attempt = 1",
);
const payload = new Uint8Array(40);
let count = 0;

function runOne(): void {
  count += 1;
  const name = `operations/${String(count).padStart(36, "0")}`;
  insert.run(name, payload);
  claim.run(name);
  finish.run(payload, name);
}

runClient(() => ({
  call: async () => runOne(),
  answer: async () => new Uint8Array(),
}));
