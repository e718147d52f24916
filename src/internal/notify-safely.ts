/**
 * Calls an observer, and swallows its exceptions and the rejections of a promise that it returns.
 */
export function notifySafely<T, Answer>(
  observer: T | undefined,
  what: (to: T) => Answer,
): Answer | undefined {
  try {
    const answer = observer && what(observer);
    if (answer instanceof Promise) answer.catch(() => undefined);
    return answer;
  } catch {
    return undefined;
  }
}
