import { Option } from "@commander-js/extra-typings";
import { InvalidArgumentError } from "commander";

/**
 * Makes the option `--database-url`. The environment can also contain it, because it may contain a
 * password.
 */
export function databaseUrlOption(use: string) {
  return new Option("--database-url <url>", use)
    .env("LONGRUNNING_DATABASE_URL")
    .argParser(parseDatabaseUrl);
}

/** `--database-url` for several databases, which the environment separates by spaces. */
export function databaseUrlsOption(use: string) {
  return new Option("--database-url <url>", use)
    .env("LONGRUNNING_DATABASE_URL")
    .argParser((text: string, earlier: readonly string[] | undefined) => [
      ...(earlier ?? []),
      ...text.split(/\s+/).filter(Boolean).map(parseDatabaseUrl),
    ]);
}

function parseDatabaseUrl(text: string): string {
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text)) {
    throw new InvalidArgumentError("It must be postgres://user:password@host:port/database.");
  }
  return text;
}
