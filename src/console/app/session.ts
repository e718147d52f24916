import { createFileRegistry, type DescFile, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import {
  type Client,
  Code,
  ConnectError,
  createClient,
  type Interceptor,
} from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { createOperationsClient, type OperationsClient } from "../../client/index.js";
import { createPayloadTypes, type PayloadTypes } from "../../display/payload-types.js";
import { Operations } from "../../protos.js";
import { standardDetailsOf } from "../../status/standard-details.js";
import { type ConsoleConfig, tokenHeader } from "../console-config.js";

/** The methods that some servers do not implement. */
export type Ability = "cancelOperation" | "deleteOperation";

/** The page's connection to its server. */
export interface Session {
  readonly config: ConsoleConfig;
  /** Waits, and bulk actions. */
  readonly client: OperationsClient;
  /** Single calls. */
  readonly rpc: Client<typeof Operations>;
  readonly types: PayloadTypes;
  /** Sets the value of `Authorization` for all further calls, in memory alone. */
  authorize(value: string): void;
}

const tokenKey = "connect-longrunning-console-token";

/** The time limit of calls that the server does not hold, in milliseconds. */
export const callTimeoutMs = 20_000;

/**
 * Takes the proxy's token out of the address bar. The tab keeps it, so that it survives a reload and
 * no link that is copied from the address bar has it.
 */
export function takeToken(): string {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const given = fragment.get("token");
  if (given === null) return storedToken();
  history.replaceState(null, "", location.pathname + location.search);
  try {
    sessionStorage.setItem(tokenKey, given);
  } catch {
    // The browser does not permit storage for this page, so the token is lost at the next reload.
  }
  return given;
}

function storedToken(): string {
  try {
    return sessionStorage.getItem(tokenKey) ?? "";
  } catch {
    return "";
  }
}

/**
 * Loads the settings of the page.
 *
 * @throws ConnectError with the handler's error, or UNAVAILABLE if it cannot be reached.
 */
export async function openSession(token: string): Promise<Session> {
  const folder = new URL(".", location.href);
  let authorization = "";
  const headersOf = () => ({
    ...(token !== "" && { [tokenHeader]: token }),
    ...(authorization !== "" && { authorization }),
  });
  const load = async (path: string): Promise<Response> => {
    let response: Response;
    try {
      const signal = AbortSignal.timeout(callTimeoutMs);
      response = await fetch(new URL(path, folder), { headers: headersOf(), signal });
    } catch (cause) {
      throw new ConnectError(
        "the server cannot be reached",
        Code.Unavailable,
        undefined,
        undefined,
        cause,
      );
    }
    if (!response.ok) throw await errorOf(response);
    return response;
  };
  const config: ConsoleConfig = await (await load("config")).json();

  const withCredentials: Interceptor = (next) => (request) => {
    for (const [name, value] of Object.entries(headersOf())) request.header.set(name, value);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: new URL("rpc", folder).href,
    useBinaryFormat: true,
    interceptors: [withCredentials],
  });
  const lookUp = async (typeName: string): Promise<readonly DescFile[]> => {
    try {
      const bytes = await (await load(`types/${typeName}`)).arrayBuffer();
      const set = fromBinary(FileDescriptorSetSchema, new Uint8Array(bytes));
      return [...createFileRegistry(set).files];
    } catch {
      // The console shows the payload by its type and its bytes.
      return [];
    }
  };
  return {
    config,
    client: createOperationsClient(transport),
    rpc: createClient(Operations, transport),
    types: createPayloadTypes(undefined, lookUp),
    authorize(value) {
      authorization = value;
    },
  };
}

async function errorOf(response: Response): Promise<ConnectError> {
  const answer: unknown = await response.json().catch(() => undefined);
  const { error } = Object(answer);
  const { message } = Object(error);
  const code = response.status === 403 ? Code.PermissionDenied : Code.Unavailable;
  return new ConnectError(
    typeof message === "string" ? message : `the server responded with HTTP ${response.status}`,
    code,
  );
}

/** Returns the reason in the ErrorInfo of an error; undefined if the error has no ErrorInfo. */
export function reasonOf(error: ConnectError): string | undefined {
  return standardDetailsOf(error).errorInfo?.reason;
}
