import { parsePathTemplate } from "../../src/rest/path-template.js";
import { createRouteTable } from "../../src/rest/route-table.js";
import type { Question, Subject } from "../harness.js";

const measure = { key: "micros", title: "time per match (us)", amount: "micros", per: "matches" };

export const question: Question = {
  asks: "Does finding a path among many HTTP rules take longer than among few?",
  baseline: "10 rules",
  subjects: [tableSubject(10), tableSubject(1000)],
  cases: { of: "process", values: [1] },
  measures: [measure],
  goals: [{ measure: measure.key, subject: "1000 rules", bound: "at most", ratio: 2 }],
  effort: { launches: 7, rounds: 6, warmUpRounds: 3, turns: 10, turnMs: 20 },
};

/** Finds the path of every rule, among a number of rules, five for each resource. */
function tableSubject(rules: number): Subject {
  return {
    name: `${rules} rules`,
    async open() {
      const table = createRouteTable<string>();
      const paths: [method: string, path: string][] = [];
      for (let resource = 0; resource < rules / 5; resource += 1) {
        const parent = "/v1/{parent=projects/*/locations/*}";
        const name = `/v1/{name=projects/*/locations/*/things${resource}/*}`;
        const all = `/v1/projects/p/locations/l/things${resource}`;
        const add = (method: string, template: string, path: string) => {
          table.add(method, parsePathTemplate(template), template);
          paths.push([method, path]);
        };
        add("GET", `${parent}/things${resource}`, all);
        add("POST", `${parent}/things${resource}`, all);
        add("GET", name, `${all}/t`);
        add("DELETE", name, `${all}/t`);
        add("POST", `${name}:cancel`, `${all}/t:cancel`);
      }
      return {
        async turn(_, turnMs) {
          const startMs = performance.now();
          let matches = 0;
          while (performance.now() < startMs + turnMs) {
            for (const [method, path] of paths) {
              if (table.find(method, path).kind !== "found")
                throw new Error(`${path} is not found`);
            }
            matches += paths.length;
          }
          return { micros: (performance.now() - startMs) * 1000, matches };
        },
        async close() {},
      };
    },
  };
}
