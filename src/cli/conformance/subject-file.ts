import { X509Certificate } from "node:crypto";
import { dirname, resolve } from "node:path";
import { createSecureContext } from "node:tls";
import type { JsonValue } from "@bufbuild/protobuf";
import type { ExpectedFailure, SubjectOptions } from "../../conformance/index.js";
import { isJsonObject } from "../../json/message-json.js";
import { badSubjectFile, messageOf, missingVariable } from "../errors.js";
import { readProtoSet } from "../proto-set.js";
import { readBoundedFile } from "../read-bounded-file.js";
import type { Trust } from "../tls-fetch.js";
import type { Shape } from "./shape.js";
import { expectedFailuresShape, subjectShape } from "./subject-shape.js";

/** How to run a subject's process. */
export interface ProcessOptions {
  readonly command: readonly string[];
  /** Absolute path. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Pattern of the line that says that the subject is ready. Undefined: its port is polled. */
  readonly readyLine: string | undefined;
  readonly readyMs: number;
  /** Signal that ends it. */
  readonly stop: string;
  /** Signal before a restart. Undefined: the suite does not restart it. */
  readonly restart: string | undefined;
}

/** A checked subject file, with the contents of the files that it names. */
export interface SubjectFile {
  readonly options: SubjectOptions;
  readonly process: ProcessOptions | undefined;
  /** Certificates of the file's `tls`. Undefined: the system's. */
  readonly trust: Trust | undefined;
  /** Command that prints the state of work, with `{{name}}` for the operation. */
  readonly probe: readonly string[] | undefined;
  /** Folder of the file. */
  readonly folder: string;
  readonly expectedFailures: readonly ExpectedFailure[];
}

const defaultReadyMs = 20_000;

/**
 * Reads a subject file.
 *
 * @throws CommanderError that names the file and the member, if the file cannot be used.
 */
export async function readSubjectFile(path: string): Promise<SubjectFile> {
  const secrets: string[] = [];
  const parsed = withoutComments(await readJson(path, subjectShape));
  const file = withVariables(parsed, path, secrets);
  const folder = dirname(resolve(path));
  // The JSON shape has checked all members.
  const {
    command,
    cwd = ".",
    env = {},
    ready = {},
    stop = "SIGTERM",
    restart,
    ...rest
  } = file as unknown as RawSubject;
  const { descriptors, expectedFailures, probe, tls, $schema, ...options } = rest;
  return {
    options: {
      ...options,
      secrets,
      descriptors:
        descriptors === undefined ? undefined : await readProtoSet(resolve(folder, descriptors)),
    },
    process:
      command === undefined
        ? undefined
        : {
            command,
            cwd: resolve(folder, cwd),
            env,
            readyLine: ready.line,
            readyMs: ready.ms ?? defaultReadyMs,
            stop,
            restart,
          },
    trust: tls === undefined ? undefined : await readTrust(tls, options.protocols, path),
    probe,
    folder,
    expectedFailures:
      expectedFailures === undefined
        ? []
        : await readExpectedFailures(resolve(folder, expectedFailures)),
  };
}

/** The members of a subject file that are not those of `SubjectOptions`. */
interface RawSubject extends Omit<SubjectOptions, "descriptors" | "probe" | "restart" | "tls"> {
  readonly $schema?: string;
  readonly command?: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly ready?: { readonly line?: string; readonly ms?: number };
  readonly stop?: string;
  readonly restart?: string;
  readonly descriptors?: string;
  readonly probe?: readonly string[];
  readonly tls?: RawTls;
  readonly expectedFailures?: string;
}

/** Files in PEM, relative to the subject file. */
interface RawTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly insecure?: boolean;
}

/** Reads the files of `tls`, and refuses those that TLS could not use. */
async function readTrust(
  { ca, cert, key, insecure = false }: RawTls,
  protocols: SubjectOptions["protocols"],
  path: string,
): Promise<Trust> {
  const addresses = Object.values(protocols).map((one) =>
    typeof one === "string" ? one : one.url,
  );
  if (!addresses.some((address) => address.startsWith("https:"))) {
    throw badSubjectFile(path, "tls is for https:// addresses, and protocols has none");
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw badSubjectFile(path, "tls.cert and tls.key go together");
  }
  const read = (file: string) => readBoundedFile(resolve(dirname(path), file));
  const trust = {
    ...(ca !== undefined && { ca: await read(ca) }),
    ...(cert !== undefined && { cert: await read(cert) }),
    ...(key !== undefined && { key: await read(key) }),
    ...(insecure && { rejectUnauthorized: false as const }),
  };
  try {
    // TLS ignores certificate authorities that it cannot read.
    if (trust.ca !== undefined) new X509Certificate(trust.ca);
    createSecureContext(trust);
  } catch (cause) {
    throw badSubjectFile(path, `tls: the certificates cannot be used: ${messageOf(cause)}`);
  }
  return trust;
}

async function readExpectedFailures(path: string): Promise<readonly ExpectedFailure[]> {
  const entries = await readJson(path, expectedFailuresShape);
  // The JSON shape has checked all members.
  return withoutComments(entries) as unknown as readonly ExpectedFailure[];
}

async function readJson(path: string, shape: Shape): Promise<JsonValue> {
  const bytes = await readBoundedFile(path);
  let parsed: JsonValue;
  try {
    parsed = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw badSubjectFile(path, cause instanceof Error ? cause.message : "it is not JSON");
  }
  const problem = shape.check(withoutComments(parsed), "the file");
  if (problem !== undefined) throw badSubjectFile(path, problem.replace(/^the file\./, ""));
  return parsed;
}

/** Members whose names begin with `//` are comments. */
function withoutComments(json: JsonValue): JsonValue {
  if (Array.isArray(json)) return json.map(withoutComments);
  if (!isJsonObject(json)) return json;
  return Object.fromEntries(
    Object.entries(json)
      .filter(([name]) => !name.startsWith("//"))
      .map(([name, value]) => [name, withoutComments(value)]),
  );
}

/** Replaces `{"env": "NAME"}` by the variable's value, which becomes a secret. */
function withVariables(json: JsonValue, path: string, secrets: string[]): JsonValue {
  if (Array.isArray(json)) return json.map((item) => withVariables(item, path, secrets));
  if (!isJsonObject(json)) return json;
  const { env: name, ...others } = json;
  if (typeof name === "string" && Object.keys(others).length === 0) {
    const value = process.env[name];
    if (value === undefined) throw missingVariable(path, name);
    secrets.push(value);
    return value;
  }
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => [key, withVariables(value, path, secrets)]),
  );
}
