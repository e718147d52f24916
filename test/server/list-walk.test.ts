import { describe, expect, it } from "vitest";
import { createPrintServer, Print } from "../support/print-server.js";

const never = () => new Promise<never>(() => undefined);

describe("a walk through a list", () => {
  it.each(["", "done = false"])(
    "server 44: under starts, ends and deletions returns each lasting operation once, with filter '%s'",
    async (filter) => {
      const { operations, rpc } = createPrintServer(never);
      const started: string[] = [];
      const start = async () => {
        const { name } = await operations.create(Print, { parent: "printers/p" });
        started.unshift(name);
        return name;
      };
      for (let count = 0; count < 30; count += 1) await start();
      // Every third one ends or is deleted while the walk goes on, from the newest down.
      const passing = started.filter((_, at) => at % 3 === 0);
      const lasting = started.filter((_, at) => at % 3 !== 0);
      const met: string[] = [];
      let pageToken = "";
      do {
        const page = await rpc.listOperations({
          name: "printers/p",
          filter,
          pageSize: 4,
          pageToken,
        });
        met.push(...page.operations.map(({ name }) => name));
        pageToken = page.nextPageToken;
        await start();
        const [ended, deleted] = passing.splice(0, 2);
        if (ended !== undefined) await operations.succeed(Print, ended, {});
        if (deleted !== undefined) await rpc.deleteOperation({ name: deleted });
      } while (pageToken !== "");
      expect(met.filter((name) => lasting.includes(name))).toEqual(lasting);
      expect(new Set(met).size).toBe(met.length);
    },
  );
});
