import type { ConformanceCase } from "./case.js";
import { allCases } from "./cases/index.js";
import type { SubjectOptions } from "./description.js";
import { protocols as allProtocols, type Protocol } from "./wire/answer.js";

export interface ConformanceCaseOptions {
  /** Protocol of all cases. Default: the first one that the subject speaks. */
  readonly protocol?: Protocol | undefined;
}

/**
 * Returns the cases for a test runner, in the order in which they must run. `run` of each case uses
 * the chosen protocol. A case that does not apply to the subject resolves as `skipped`.
 *
 * @example
 * const subject = await openSubject({ subject: "prints", protocols: { grpc: url }, driver: true });
 * for (const one of conformanceCases(subject.description)) {
 *   it(one.title, async (t) => {
 *     const { outcome, why } = await one.run(subject);
 *     if (outcome !== "pass") t.skip(why);
 *   });
 * }
 */
export function conformanceCases(
  description: SubjectOptions,
  options: ConformanceCaseOptions = {},
): ConformanceCase[] {
  const spoken = allProtocols.filter((protocol) => description.protocols[protocol] !== undefined);
  const protocol = options.protocol ?? spoken[0];
  return allCases
    .filter((one) => protocol !== undefined && one.protocols.includes(protocol))
    .map((one) => ({
      ...one,
      run: (subject, wanted = protocol) => one.run(subject, wanted),
    }));
}
