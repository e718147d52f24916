import { Code, type ConnectError } from "@connectrpc/connect";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { BulkAction } from "../../bulk/bulk-operations.js";
import { parseOperationName } from "../../operation/name.js";
import { BulkDialog } from "./bulk-dialog.js";
import { Detail } from "./detail.js";
import { type Action, AuthorizationDialog, ConfirmDialog } from "./dialogs.js";
import { Help } from "./help.js";
import { List } from "./list.js";
import { ListFeed } from "./list-feed.js";
import { errorText, filterFaultOf, Notice, remedyOf } from "./problem.js";
import { isMissing, isRunning } from "./row.js";
import { type Ability, callTimeoutMs, type Session } from "./session.js";
import { Text, useNow, useVisible } from "./text.js";
import { Toolbar } from "./toolbar.js";
import { addressOf, type View, viewOf } from "./view.js";

/** The dialog that is open. */
type Asked =
  | { readonly kind: "confirm"; readonly action: Action; readonly name: string }
  | { readonly kind: "bulk"; readonly action: BulkAction }
  | { readonly kind: "authorization" }
  | { readonly kind: "help" };

const methods: Readonly<Record<Action, Ability>> = {
  cancel: "cancelOperation",
  delete: "deleteOperation",
};

/** Shows the whole page. */
export function App({ session }: { session: Session }) {
  const { config } = session;
  const [defaultParent = ""] = config.parents;
  const [view, setView] = useState(() => viewOf(location.search, defaultParent));
  const [asked, setAsked] = useState<Asked>();
  const [missing, setMissing] = useState<ReadonlySet<Ability>>(new Set());
  const [active, setActive] = useState("");
  const [said, setSaid] = useState("");
  const [round, setRound] = useState(0);
  const isVisible = useVisible();
  const [feed, version] = useFeed(session, view, isVisible, round);

  useEffect(() => {
    const listener = () => setView(viewOf(location.search, defaultParent));
    addEventListener("popstate", listener);
    return () => removeEventListener("popstate", listener);
  }, [defaultParent]);

  const go = useCallback(
    (change: Partial<View>) => {
      const next = { ...viewOf(location.search, defaultParent), ...change };
      const address = addressOf(next, defaultParent);
      if (new URL(address, location.href).href !== location.href) {
        history.pushState(null, "", address);
      }
      setView(next);
    },
    [defaultParent],
  );

  // The page opens the dialog by itself only once. After that, the notice has a button.
  const hasAsked = useRef(false);
  const onError = (error: ConnectError) => {
    if (error.code !== Code.Unauthenticated || hasAsked.current) return;
    hasAsked.current = true;
    setAsked({ kind: "authorization" });
  };
  const { phase } = feed;
  const failure = phase.kind === "failed" ? phase.error : undefined;
  useEffect(() => {
    if (failure !== undefined) onError(failure);
  }, [failure]);

  const actions = (["cancel", "delete"] as const).filter(
    (action) => !config.readOnly && !missing.has(methods[action]),
  );

  /** Returns the error's text, and undefined after a success. */
  const act = async (action: Action, name: string): Promise<string | undefined> => {
    try {
      await session.rpc[methods[action]]({ name }, { timeoutMs: callTimeoutMs });
    } catch (cause) {
      if (isMissing(cause)) {
        setMissing((all) => new Set([...all, methods[action]]));
        setSaid(`The server cannot ${action} operations.`);
        return undefined;
      }
      return errorText(cause);
    }
    setSaid(action === "cancel" ? "The server was asked to cancel it." : "Deleted.");
    if (action === "delete") {
      feed.set(name, undefined);
      if (view.operation === name) go({ operation: "" });
    } else {
      feed.start();
    }
    return undefined;
  };

  const ask = (action: Action, name: string) => setAsked({ kind: "confirm", action, name });
  const onText = (text: string) => {
    if (parseOperationName(text) !== undefined) go({ operation: text });
    else go({ filter: text });
    setActive("");
    feed.start();
  };

  const { rows } = feed.list;
  const activeRow = active === "" ? undefined : rows.find(({ name }) => name === active);
  const move = (step: number) =>
    setActive((before) => {
      const at = rows.findIndex(({ name }) => name === before) + step;
      return rows[Math.min(Math.max(at, 0), rows.length - 1)]?.name ?? "";
    });
  useKeys(asked === undefined, (key) => {
    switch (key) {
      case "/":
        document.querySelector<HTMLInputElement>("[data-filter]")?.focus();
        return true;
      case "j":
        move(1);
        return true;
      case "k":
        move(-1);
        return true;
      case "Enter":
        // The browser itself activates a link or a button that has the focus.
        if (document.activeElement !== document.body || activeRow === undefined) return false;
        go({ operation: activeRow.name });
        return true;
      case "c": {
        const name = view.operation || activeRow?.name;
        const row = rows.find((one) => one.name === name);
        if (name === undefined || !actions.includes("cancel")) return false;
        if (row === undefined || isRunning(row)) ask("cancel", name);
        return true;
      }
      case "?":
        setAsked({ kind: "help" });
        return true;
      case "Escape":
        if (view.operation === "") return false;
        go({ operation: "" });
        return true;
      default:
        return false;
    }
  });

  const column = failure && filterFaultOf(failure);
  const close = () => setAsked(undefined);
  return (
    <div class={view.operation === "" ? "app" : "app split"}>
      <Top session={session} feed={feed} isVisible={isVisible} />
      <main>
        <section class="list-pane" aria-label="List">
          <Toolbar
            parent={view.parent}
            filter={view.filter}
            parents={config.parents}
            fault={
              failure !== undefined && column !== undefined
                ? { message: failure.rawMessage, column }
                : undefined
            }
            onParent={(parent) => go({ parent, operation: "" })}
            onFilter={onText}
            onHelp={() => setAsked({ kind: "help" })}
          />
          {view.filter !== "" && actions.length > 0 && (
            <p class="bulk">
              {actions.map((action) => (
                <button
                  key={action}
                  type="button"
                  onClick={() => setAsked({ kind: "bulk", action })}
                >
                  {action === "cancel" ? "Cancel" : "Delete"} all matching…
                </button>
              ))}
            </p>
          )}
          {feed.ignoresFilter && (
            <Notice title="The server ignores the filter" isError>
              <p>The list has operations that do not match it.</p>
            </Notice>
          )}
          {feed.unreachable.length > 0 && (
            <Notice
              title="The list is not complete"
              text={`Not reached: ${feed.unreachable.join(", ")}`}
            />
          )}
          <ListState
            feed={feed}
            filter={view.filter}
            onAuthorize={() => setAsked({ kind: "authorization" })}
            onClear={() => go({ filter: "" })}
          />
          {rows.length > 0 && (
            <List
              feed={feed}
              version={version}
              activeName={active}
              opened={view.operation}
              addressOf={(name) => addressOf({ ...view, operation: name }, defaultParent)}
              onOpen={(name) => go({ operation: name })}
              onActive={setActive}
            />
          )}
        </section>
        {view.operation !== "" && (
          <Detail
            key={view.operation}
            session={session}
            name={view.operation}
            known={rows.find(({ name }) => name === view.operation)}
            actions={actions}
            round={round}
            onAction={(action) => ask(action, view.operation)}
            onState={(row) => feed.set(view.operation, row)}
            onError={onError}
            onClose={() => go({ operation: "" })}
          />
        )}
      </main>
      <p class="said" role="status">
        {said}
      </p>
      {asked?.kind === "confirm" && (
        <ConfirmDialog
          action={asked.action}
          name={asked.name}
          run={() => act(asked.action, asked.name)}
          onClose={close}
        />
      )}
      {asked?.kind === "bulk" && (
        <BulkDialog
          session={session}
          action={asked.action}
          parent={view.parent}
          filter={view.filter}
          onClose={() => {
            close();
            feed.start();
          }}
        />
      )}
      {asked?.kind === "authorization" && (
        <AuthorizationDialog
          onValue={(value) => {
            session.authorize(value);
            close();
            setRound(round + 1);
          }}
          onClose={close}
        />
      )}
      {asked?.kind === "help" && (
        <Help
          session={session}
          rows={rows}
          onFilter={(filter) => {
            close();
            go({ filter });
          }}
          onClose={close}
        />
      )}
    </div>
  );
}

/** The feed of the view's list, and a number that changes with its content. */
function useFeed(
  session: Session,
  { parent, filter }: View,
  isVisible: boolean,
  round: number,
): [ListFeed, number] {
  const [version, setVersion] = useState(0);
  const current = useRef<ListFeed>(undefined);
  let feed = current.current;
  if (feed === undefined || feed.parent !== parent || feed.filter !== filter) {
    feed?.stop();
    feed = new ListFeed(session, parent, filter, () => setVersion((before) => before + 1));
    current.current = feed;
  }
  const shown = feed;
  useEffect(() => {
    if (isVisible) shown.start();
    const onOnline = () => shown.start();
    addEventListener("online", onOnline);
    return () => {
      removeEventListener("online", onOnline);
      shown.stop();
    };
  }, [shown, isVisible, round]);
  return [shown, version];
}

/** Calls back for keys outside of inputs. The callback returns whether it used the key. */
function useKeys(isActive: boolean, onKey: (key: string) => boolean): void {
  useEffect(() => {
    if (!isActive) return undefined;
    const listener = (event: KeyboardEvent) => {
      const isTyping =
        event.target instanceof HTMLElement && event.target.closest("input, textarea, select");
      if (event.ctrlKey || event.metaKey || event.altKey || (isTyping && event.key !== "Escape")) {
        return;
      }
      if (onKey(event.key)) event.preventDefault();
    };
    addEventListener("keydown", listener);
    return () => removeEventListener("keydown", listener);
  });
}

function Top({
  session,
  feed,
  isVisible,
}: {
  session: Session;
  feed: ListFeed;
  isVisible: boolean;
}) {
  const { title, readOnly, server } = session.config;
  const isFailed = feed.phase.kind === "failed";
  const state = !isVisible ? "paused" : isFailed ? "not connected" : "live";
  return (
    <header class="top">
      <h1>
        <Text value={title} max={100} />
      </h1>
      {server !== undefined && (
        <span class="server">
          <Text value={server.url} max={200} />
        </span>
      )}
      <span class="grow" />
      {readOnly && <span class="tag">read-only</span>}
      <span class={isFailed ? "live off" : "live"}>{state}</span>
    </header>
  );
}

function ListState({
  feed,
  filter,
  onAuthorize,
  onClear,
}: {
  feed: ListFeed;
  filter: string;
  onAuthorize: () => void;
  onClear: () => void;
}) {
  const { phase, list } = feed;
  if (phase.kind === "loading") {
    return (
      <p class="notice" role="status">
        Loading…
      </p>
    );
  }
  if (phase.kind === "ready") {
    if (list.rows.length > 0 || list.nextToken !== undefined) return null;
    return filter === "" ? (
      <Notice title="No operations yet">
        <p>A method of the server that starts one will show it here.</p>
      </Notice>
    ) : (
      <Notice title="No operation matches the filter">
        <button type="button" onClick={onClear}>
          Show all
        </button>
      </Notice>
    );
  }
  const { error, retryAtMs } = phase;
  // The filter's input shows this error.
  if (filterFaultOf(error) !== undefined) return null;
  return (
    <Notice
      title={navigator.onLine ? "The list cannot be loaded" : "This machine is offline"}
      text={errorText(error)}
      isError
    >
      <p>
        {remedyOf(error)} {retryAtMs !== undefined && <Retry atMs={retryAtMs} />}
      </p>
      <p>
        <button type="button" onClick={() => feed.start()}>
          Try now
        </button>{" "}
        {error.code === Code.Unauthenticated && (
          <button type="button" onClick={onAuthorize}>
            Enter credentials…
          </button>
        )}
      </p>
    </Notice>
  );
}

function Retry({ atMs }: { atMs: number }) {
  const seconds = Math.max(0, Math.ceil((atMs - useNow(1000)) / 1000));
  return <span>Next try in {seconds} s.</span>;
}
