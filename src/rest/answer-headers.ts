import type { RestAnswer } from "./rest-request.js";

/** The web's headers by their names, in lower case; several of `set-cookie` as a list. */
export function recordOfHeaders(header: Headers | undefined): Record<string, string | string[]> {
  const record: Record<string, string | string[]> = {};
  header?.forEach((value, name) => {
    const before = record[name];
    record[name] = before === undefined ? value : [before, value].flat();
  });
  return record;
}

/** The same the other way round. */
export function headersOfRecord(record: RestAnswer["headers"]): Headers {
  const headers = new Headers();
  for (const [name, values] of Object.entries(record)) {
    for (const value of [values].flat()) headers.append(name, value);
  }
  return headers;
}
