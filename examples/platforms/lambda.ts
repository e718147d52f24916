// AWS Lambda behind a function URL or an HTTP API (payload version 2.0).
//
// Lambda freezes the process after each response, so work continues only during another call.
// Run the work elsewhere: start operations with `create`, and end them from a queue's consumer.
import { web } from "./service.ts";

interface HttpEvent {
  readonly rawPath: string;
  readonly rawQueryString: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly isBase64Encoded: boolean;
  readonly requestContext: {
    readonly domainName: string;
    readonly http: { readonly method: string };
  };
}

export async function handler(event: HttpEvent) {
  const { rawPath, rawQueryString, headers, body, isBase64Encoded, requestContext } = event;
  const query = rawQueryString === "" ? "" : `?${rawQueryString}`;
  const request = new Request(`https://${requestContext.domainName}${rawPath}${query}`, {
    method: requestContext.http.method,
    headers,
    body: body === undefined ? null : Buffer.from(body, isBase64Encoded ? "base64" : "utf8"),
  });
  const response = await web.fetch(request);
  return {
    statusCode: response.status,
    headers: Object.fromEntries(response.headers),
    body: Buffer.from(await response.arrayBuffer()).toString("base64"),
    isBase64Encoded: true,
  };
}
