import type { ServerHttp2Session } from "node:http2";
import type { ResolvedLimits } from "./server-limits.js";

/** The open HTTP/2 connections of a server. */
export interface Http2Sessions {
  add(session: ServerHttp2Session): void;
  /** Say GOAWAY to all: calls under way go on, and each connection closes with its last one. */
  goAway(): void;
}

/** Keeps track of sessions, and closes a session that is idle or whose client has disconnected. */
export function createHttp2Sessions(limits: ResolvedLimits): Http2Sessions {
  const sessions = new Set<ServerHttp2Session>();
  return {
    add(session) {
      sessions.add(session);
      const stopWatching = watch(session, limits);
      session.once("close", () => {
        sessions.delete(session);
        stopWatching();
      });
    },
    goAway() {
      for (const session of sessions) session.close();
    },
  };
}

/**
 * One timer per session, restarted when its last call ends; pings where calls are open. After a stall
 * of the event loop, timers fire before sockets are read. So both timers decide after the next read,
 * which may bring a call or the response to the ping.
 */
function watch(session: ServerHttp2Session, limits: ResolvedLimits): () => void {
  let openStreams = 0;
  let pongTimer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    if (session.closed || session.destroyed) return;
    if (openStreams === 0) {
      session.close();
      return;
    }
    timer.refresh();
    if (pongTimer !== undefined) return;
    const waiting = setTimeout(() => {
      setImmediate(() => {
        if (pongTimer === waiting) session.destroy();
      });
    }, limits.pingTimeoutMs);
    pongTimer = waiting;
    session.ping(() => {
      clearTimeout(pongTimer);
      pongTimer = undefined;
    });
  };
  const timer = setTimeout(() => setImmediate(look), limits.idleTimeoutMs);
  // All streams share one listener, because `once` makes a function for each stream.
  const onStreamClose = () => {
    openStreams -= 1;
    if (openStreams === 0) timer.refresh();
  };
  session.on("stream", (stream) => {
    openStreams += 1;
    stream.on("close", onStreamClose);
  });
  return () => {
    clearTimeout(timer);
    clearTimeout(pongTimer);
    pongTimer = undefined;
  };
}
