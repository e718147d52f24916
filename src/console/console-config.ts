/** The settings of the page, which it loads as JSON from `config`. */
export interface ConsoleConfig {
  /** The path of the console on its server, without a slash at the end; empty for the root. */
  readonly path: string;
  readonly title: string;
  /** Whether the handler refuses CancelOperation and DeleteOperation. */
  readonly readOnly: boolean;
  /** The parents that the page offers; at least one. */
  readonly parents: readonly string[];
  /** The server behind a proxy. Undefined if the page is a part of the server. */
  readonly server?: { readonly url: string; readonly protocol: string } | undefined;
}

/** The header with the token of `longrunning console`. */
export const tokenHeader = "x-console-token";
