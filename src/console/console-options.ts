import type { Registry } from "@bufbuild/protobuf";

/** Options of `createConsole`. All fields are optional. */
export interface ConsoleOptions {
  /** The path of the page. Default: `/console`. */
  path?: string | undefined;
  /** The title of the page. Default: "Operations". */
  title?: string | undefined;
  /**
   * Whether the console refuses to cancel and to delete, with PERMISSION_DENIED. The server's own
   * methods are not affected: `authorize` decides about those. Default: false.
   */
  readOnly?: boolean | undefined;
  /**
   * The parents that the page offers, as `projects/p/locations/l` or with wildcards, as `printers/-`.
   * The page opens the first one; users can enter others. Default: no parent.
   */
  parents?: readonly string[] | undefined;
  /**
   * Types of payloads that the page shows with their fields, in addition to the types that the
   * router's reflection service has. Default: none. A payload of any other type is shown as its type
   * URL and its bytes.
   */
  registry?: Registry | undefined;
}
