import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";

/** Options of TLS for a client. Empty: the system's certificate authorities, no client certificate. */
export interface Trust {
  /** Certificates in PEM that are trusted instead of the system's. */
  readonly ca?: Buffer;
  /** The client's certificate in PEM. */
  readonly cert?: Buffer;
  /** The key of the client's certificate in PEM. */
  readonly key?: Buffer;
  /** False: any certificate of the server is trusted. */
  readonly rejectUnauthorized?: false;
}

/** A `fetch` with its own trusted certificates, for which Node's `fetch` has no option. */
export interface TlsFetch {
  readonly fetch: typeof globalThis.fetch;
  /** Closes the idle connections. */
  close(): void;
}

/**
 * Makes a `fetch` that sends the whole body at once and follows no redirect. Plaintext addresses go
 * by the global `fetch`.
 */
export function createTlsFetch(trust: Trust): TlsFetch {
  const agent = new Agent({ keepAlive: true, ...trust });
  return {
    async fetch(input, init) {
      // Request parses the arguments, so that only the connection differs from Node's `fetch`.
      const asked = new Request(input, init);
      if (!asked.url.startsWith("https:")) return globalThis.fetch(asked);
      const body = Buffer.from(await asked.arrayBuffer());
      return new Promise<Response>((resolve, reject) => {
        const sent = request(
          asked.url,
          {
            agent,
            method: asked.method,
            headers: {
              ...Object.fromEntries(asked.headers),
              ...(body.length > 0 && { "content-length": body.length }),
            },
            signal: asked.signal,
          },
          (answer) => {
            const { statusCode: status = 500 } = answer;
            const headers = new Headers();
            for (const [name, values] of Object.entries(answer.headersDistinct)) {
              for (const value of values ?? []) headers.append(name, value);
            }
            // `Response` rejects a body with these statuses.
            const hasNoBody = status === 204 || status === 304;
            if (hasNoBody) answer.resume();
            resolve(new Response(hasNoBody ? null : bodyOf(answer), { status, headers }));
          },
        );
        sent.on("error", reject);
        sent.end(body);
      });
    },
    close: () => agent.destroy(),
  };
}

function bodyOf(answer: IncomingMessage): ReadableStream<Uint8Array<ArrayBuffer>> {
  const chunks: AsyncIterator<Buffer> = answer[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(new Uint8Array(value));
    },
    async cancel() {
      await chunks.return?.();
    },
  });
}
