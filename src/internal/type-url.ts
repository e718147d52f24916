/**
 * Returns the message name in a type URL: the text after its last `/`, or the whole
 * text if it contains no `/` (google.protobuf.Any).
 */
export function typeNameFromUrl(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}

/** The default prefix of the type URLs of Any payloads. */
export const typeUrlPrefix = "type.googleapis.com/";
