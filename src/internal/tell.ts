/**
 * Tell an observer, or whoever else, whose errors do not reach the teller: neither what
 * it throws nor what a promise that it returns rejects with.
 */
export function tell<T, Answer>(
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
