import { create } from "@bufbuild/protobuf";
import { pack } from "../../src/index.js";
import { type Operation, OperationSchema } from "../../src/protos.js";
import { PrintResponseSchema } from "../../test/gen/printing/v1/printing_pb.js";
import type { HeldOperations } from "../child-side.js";
import { parent } from "./print.js";

/** Operations of a server that keeps its waiters alone: the least cost of waiting. */
export interface BareOperations extends HeldOperations {
  wait(name: string, answer: (operation: Operation) => void): void;
}

export function createBareOperations(): BareOperations {
  let waiting = 0;
  const answersByName = new Map<string, ((operation: Operation) => void)[]>();
  return {
    wait(name, answer) {
      waiting += 1;
      answersByName.get(name)?.push(answer);
    },
    begin(count) {
      answersByName.clear();
      waiting = 0;
      while (answersByName.size < count) {
        answersByName.set(`${parent}/operations/${crypto.randomUUID()}`, []);
      }
      return [...answersByName.keys()];
    },
    waiting: () => waiting,
    end() {
      for (const [name, answers] of answersByName) {
        const value = pack(PrintResponseSchema, { pages: 2 });
        const result = { case: "response", value } as const;
        const operation = create(OperationSchema, { name, done: true, result });
        for (const answer of answers) answer(operation);
        answersByName.set(name, []);
      }
    },
  };
}
