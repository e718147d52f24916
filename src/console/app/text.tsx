import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { formatAge } from "../../display/format-time.js";
import { printable } from "../../display/printable.js";

/** The longest text of a server that is shown at once, in characters. */
const maxShownLength = 2000;

/**
 * Shows text from a server. It is isolated from the text direction around it, and its control
 * characters are escaped.
 */
export function Text({ value, max = maxShownLength }: { value: string; max?: number }) {
  const cut = value.length > max ? `${value.slice(0, max)}…` : value;
  return <bdi>{printable(cut)}</bdi>;
}

/** Shows text of any length with its line breaks. The end of a long text is shown on demand. */
export function LongText({ value }: { value: string }) {
  const [shown, setShown] = useState(maxShownLength);
  const lines = value.slice(0, shown).split("\n");
  return (
    <span class="long-text">
      {lines.map((line, at) => (
        <span key={at}>
          {at > 0 && <br />}
          <Text value={line} max={shown} />
        </span>
      ))}
      {value.length > shown && (
        <>
          {"… "}
          <button type="button" class="link" onClick={() => setShown(shown * 10)}>
            more ({value.length.toLocaleString("en")} characters)
          </button>{" "}
          <CopyButton value={value} what="the whole text" />
        </>
      )}
    </span>
  );
}

/** Copies a text to the clipboard. */
export function CopyButton({
  value,
  what,
  children = "Copy",
}: {
  value: string;
  /** Completes "Copy …" for screen readers. */
  what: string;
  children?: ComponentChildren;
}) {
  const [state, setState] = useState<"idle" | "copied" | "failed">("idle");
  useEffect(() => {
    if (state === "idle") return undefined;
    const timer = setTimeout(() => setState("idle"), 1500);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = () =>
    navigator.clipboard.writeText(value).then(
      () => setState("copied"),
      () => setState("failed"),
    );
  return (
    <button type="button" class="small" aria-label={`Copy ${what}`} onClick={copy}>
      {state === "copied" ? "Copied" : state === "failed" ? "Not allowed" : children}
    </button>
  );
}

/** Shows a time relative to now, with the exact time on hover. */
export function Ago({ ms, nowMs }: { ms: number | undefined; nowMs: number }) {
  if (ms === undefined) return <span class="none">–</span>;
  const distance = nowMs - ms;
  const text = distance < 0 ? `in ${formatAge(-distance)}` : `${formatAge(distance)} ago`;
  return (
    <time dateTime={isoOf(ms)} title={exactTime(ms)}>
      {text}
    </time>
  );
}

/** Formats a time exactly, in the user's time zone and in UTC. */
export function exactTime(ms: number): string {
  const local = new Date(ms).toLocaleString(undefined, {
    dateStyle: "medium",
    timeStyle: "medium",
  });
  return `${local} (${isoOf(ms)})`;
}

function isoOf(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}

/** Returns the time, again after each interval while the tab is visible. */
export function useNow(intervalMs: number): number {
  const [nowMs, setNowMs] = useState(Date.now);
  const isVisible = useVisible();
  useEffect(() => {
    if (!isVisible) return undefined;
    setNowMs(Date.now());
    const timer = setInterval(() => setNowMs(Date.now()), intervalMs);
    return () => clearInterval(timer);
  }, [isVisible, intervalMs]);
  return nowMs;
}

/** Returns whether the tab is visible. */
export function useVisible(): boolean {
  const [isVisible, setVisible] = useState(!document.hidden);
  useEffect(() => {
    const listener = () => setVisible(!document.hidden);
    document.addEventListener("visibilitychange", listener);
    return () => document.removeEventListener("visibilitychange", listener);
  }, []);
  return isVisible;
}
