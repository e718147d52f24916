import type { SignalKind, Signals } from "../store/signals.js";
import { assertSame, type ContractCase, contractCase } from "./contract.js";

const newName = () => `operations/${crypto.randomUUID()}`;

/** Subscribes, and collects the signals until the last one of the test. */
async function collect(signals: Signals, name: string) {
  const kinds: SignalKind[] = [];
  let onMissed: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    onMissed = resolve;
  });
  const unsubscribe = await signals.subscribe(name, (kind) => {
    if (kind === "missed") onMissed();
    else kinds.push(kind);
  });
  return { kinds, ended, unsubscribe };
}

const signalsCase = (title: string, run: (signals: Signals) => Promise<void>) =>
  contractCase<Signals>(title, run);

/** The contract of `Signals`, if no connection fails in between. */
export const signalsContract: readonly ContractCase<Signals>[] = [
  signalsCase("tells each subscriber of a name, in order", async (signals) => {
    const name = newName();
    const [one, other] = [await collect(signals, name), await collect(signals, name)];
    await signals.publish(name, "cancel-requested");
    await signals.publish(name, "done");
    await signals.publish(name, "missed");
    await Promise.all([one.ended, other.ended]);
    assertSame(one.kinds.join(), "cancel-requested,done", "what the one heard");
    assertSame(other.kinds.join(), "cancel-requested,done", "what the other heard");
  }),
  signalsCase("keeps names apart", async (signals) => {
    const [name, otherName] = [newName(), newName()];
    const one = await collect(signals, name);
    await signals.publish(otherName, "done");
    await signals.publish(name, "missed");
    await one.ended;
    assertSame(one.kinds.length, 0, "how much it heard");
  }),
  signalsCase("tells nobody who has unsubscribed, and the others still", async (signals) => {
    const name = newName();
    const [one, other] = [await collect(signals, name), await collect(signals, name)];
    one.unsubscribe();
    one.unsubscribe();
    await signals.publish(name, "done");
    await signals.publish(name, "missed");
    await other.ended;
    assertSame(one.kinds.length, 0, "how much the one heard");
    assertSame(other.kinds.join(), "done", "what the other heard");
  }),
  signalsCase("tells nobody after its close", async (signals) => {
    const name = newName();
    const { kinds } = await collect(signals, name);
    await signals.close();
    await signals.publish(name, "done").catch(() => undefined);
    assertSame(kinds.length, 0, "how much was heard");
  }),
  signalsCase("takes a signal that nobody listens to", async (signals) => {
    await signals.publish(newName(), "done");
  }),
];
