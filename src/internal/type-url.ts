/**
 * The message name in a type URL: what follows its last `/`, or all of it where
 * there is none (google.protobuf.Any).
 */
export function typeNameFromUrl(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}

/** The prefix that Any payloads carry where nobody chose another one. */
export const typeUrlPrefix = "type.googleapis.com/";
