import { Option } from "@commander-js/extra-typings";
import { InvalidArgumentError } from "commander";

/** `--database-url`, which may hold a password, so the environment can hold it, too. */
export function databaseUrlOption(use: string) {
  return new Option("--database-url <url>", use)
    .env("LONGRUNNING_DATABASE_URL")
    .argParser(parseDatabaseUrl);
}

function parseDatabaseUrl(text: string): string {
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text)) {
    throw new InvalidArgumentError("It must be postgres://user:password@host:port/database.");
  }
  return text;
}
