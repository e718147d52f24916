import type { HandlerResponse } from "./handler.js";

/**
 * Returns headers as an object, by names in lower case. Several `set-cookie` fields become a list.
 */
export function recordOfHeaders(header: Headers | undefined): Record<string, string | string[]> {
  const record: Record<string, string | string[]> = {};
  header?.forEach((value, name) => {
    const before = record[name];
    record[name] = before === undefined ? value : [before, value].flat();
  });
  return record;
}

/** Returns headers from an object that `recordOfHeaders` made. */
export function headersOfRecord(record: HandlerResponse["headers"]): Headers {
  const headers = new Headers();
  for (const [name, values] of Object.entries(record)) {
    for (const value of [values].flat()) headers.append(name, value);
  }
  return headers;
}
