import type { StoredResult } from "../operation-store.js";
import { interval, nextUpdateTime, type Parameters } from "./statement.js";

/** The result of a terminal write, as expressions. */
interface ResultSql {
  readonly kind: string;
  readonly value: string;
}

/** Returns the expressions of a stored result. */
export function resultSql({ kind, value }: StoredResult, { add }: Parameters): ResultSql {
  return { kind: `${add(kind)}::text`, value: `${add(value)}::bytea` };
}

/** Returns the assignments that end row `o` with this result. */
export function terminalWrite({ kind, value }: ResultSql): string {
  return `state = 'done', result_kind = ${kind}, result = ${value}, checkpoint = null,
    end_time = ${nextUpdateTime}, expire_time = ${nextUpdateTime} + ${interval("o.retention_ms")},
    update_time = ${nextUpdateTime}`;
}

/** Returns the assignments that end row `o` if it meets a condition, and else set its state only. */
export function terminalWriteIf(
  condition: string,
  { kind, value }: ResultSql,
  otherwiseState: string,
): string {
  const when = (then: string, otherwise: string) =>
    `case when ${condition} then ${then} else ${otherwise} end`;
  const expireTime = `${nextUpdateTime} + ${interval("o.retention_ms")}`;
  return `state = ${when("'done'", otherwiseState)},
    result_kind = ${when(kind, "o.result_kind")}, result = ${when(value, "o.result")},
    checkpoint = ${when("null", "o.checkpoint")}, end_time = ${when(nextUpdateTime, "o.end_time")},
    expire_time = ${when(expireTime, "o.expire_time")}, update_time = ${nextUpdateTime}`;
}
