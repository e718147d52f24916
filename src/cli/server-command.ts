import { Command, Option } from "@commander-js/extra-typings";
import { InvalidArgumentError } from "commander";
import { protocols } from "./connection.js";
import { parseDuration } from "./duration.js";
import { splitWords } from "./header-command.js";

/** The longest time of a call without --timeout, in milliseconds. */
export const defaultCallTimeoutMs = 30_000;

/**
 * Makes a sub-command that calls a server, with the options that all of them share.
 *
 * @param timeout The help of --timeout.
 */
export function serverCommand(name: string, timeout: string) {
  return new Command(name)
    .addOption(
      new Option("--server <url>", "the server's address, as http://localhost:8080")
        .env("LONGRUNNING_SERVER")
        .argParser(parseServer)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option("--protocol <protocol>", "what the server speaks")
        .choices(protocols)
        .default("grpc" as const),
    )
    .addOption(
      new Option("--header <header>", "send this, as 'Name: value', with every call; repeatable")
        .argParser(addHeader)
        .default([]),
    )
    .addOption(
      new Option(
        "--header-command <command>",
        "run this program, without a shell, and send the 'name: value' lines that it prints with " +
          "every call; it is run again when the server says UNAUTHENTICATED",
      ).argParser(parseCommand),
    )
    .addOption(new Option("--timeout <duration>", timeout).argParser(parseDuration))
    .option("--json", "print JSON for machines")
    .option(
      "--proto-set <file>",
      "a FileDescriptorSet (buf build -o FILE.binpb) with the types of the payloads; without it " +
        "the server is asked by its reflection (grpc only), and payloads of unknown types are shown as base64",
    )
    .option("--ca <file>", "trust these certificates (PEM) in place of the system's")
    .option("--insecure", "trust any certificate of the server")
    .option("--rest-version <version>", "first segment of the paths, for rest", "v1");
}

/** The options of a command that `serverCommand` made. */
export type ServerArguments = ReturnType<ReturnType<typeof serverCommand>["opts"]>;

function parseServer(text: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // The check below reports the error.
  }
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new InvalidArgumentError("It must begin with http:// (plaintext) or https:// (TLS).");
  }
  if (url.search !== "" || url.hash !== "" || url.username !== "") {
    throw new InvalidArgumentError(
      "It must have no query, no fragment and no user; give credentials with --header.",
    );
  }
  return url;
}

function parseCommand(text: string): readonly string[] {
  const words = splitWords(text);
  if (words.length === 0) throw new InvalidArgumentError("It must name a program.");
  return words;
}

type HeaderField = readonly [name: string, value: string];

function addHeader(text: string, earlier: readonly HeaderField[]): readonly HeaderField[] {
  const [, name, value] = /^([^:]+):\s*(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError("It must be 'Name: value'.");
  }
  try {
    new Headers([[name, value]]);
  } catch {
    throw new InvalidArgumentError("Its name or its value has characters that no header may have.");
  }
  return [...earlier, [name, value]];
}
