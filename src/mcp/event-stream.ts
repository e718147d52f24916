import type { JsonObject } from "@bufbuild/protobuf";
import type { Clock } from "../internal/clock.js";

/** A response with server-sent events, one JSON-RPC message each. */
export interface EventStream {
  readonly response: Response;
  /** Sends one message; does nothing once the client has gone. */
  send(message: JsonObject): void;
  /** Sends the last message and closes the stream. */
  end(message: JsonObject): void;
}

/** How long a stream is silent before a comment keeps its connection open, in milliseconds. */
const keepAliveMs = 15_000;

/** Most bytes that wait for a slow client; a client that falls further behind is cut off. */
const maxBufferedBytes = 8 * 1024 * 1024;

const utf8 = new TextEncoder();

/** @param onLeave Called when the client closes the stream, which cancels its request. */
export function createEventStream(clock: Clock, onLeave: () => void): EventStream {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let stopTimer: () => void = () => undefined;
  const leave = () => {
    controller = undefined;
    stopTimer();
    onLeave();
  };
  const body = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      cancel: leave,
    },
    { highWaterMark: maxBufferedBytes, size: (chunk) => chunk.byteLength },
  );
  const write = (text: string) => {
    if (controller === undefined) return;
    controller.enqueue(utf8.encode(text));
    if ((controller.desiredSize ?? 0) < 0) {
      controller.error(new Error("the client does not read its events"));
      leave();
      return;
    }
    stopTimer();
    stopTimer = clock.schedule(keepAliveMs, () => write(":\n\n"), { background: true });
  };
  const send = (message: JsonObject) =>
    write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
  return {
    response: new Response(body, {
      headers: {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-store",
        // The header keeps proxies such as nginx from buffering events.
        "X-Accel-Buffering": "no",
      },
    }),
    send,
    end(message) {
      send(message);
      stopTimer();
      controller?.close();
      controller = undefined;
    },
  };
}
