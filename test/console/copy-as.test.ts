import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { callTexts } from "../../src/console/app/copy-as.js";
import type { ConsoleConfig } from "../../src/console/console-config.js";

const config: ConsoleConfig = {
  path: "/console",
  title: "Operations",
  readOnly: false,
  parents: [""],
};
const hostile = `operations/it's "$(id)" \`id\` \\ ; rm -rf *`;

/** Runs a command by a shell in which the program prints its arguments, one a line. */
function argumentsOf(text: string): string[] {
  const programs = ["curl", "buf", "longrunning"].map(
    (name) => `${name}() { printf '%s\\n' "$@"; }`,
  );
  const script = `${programs.join("\n")}\n${text}`;
  return execFileSync("sh", ["-c", script], { encoding: "utf8" }).trimEnd().split("\n");
}

function textOf(label: string, given: ConsoleConfig = config, name = hostile): string {
  const found = callTexts(name, given, "https://api.test/prefix/console/?op=x").find(
    (one) => one.label === label,
  );
  if (found === undefined) throw new Error(`there is no ${label}`);
  return found.text;
}

describe("the calls that the page copies", () => {
  it("are to the page's own server, without the console's path", () => {
    expect(textOf("curl")).toContain(
      "https://api.test/prefix/google.longrunning.Operations/GetOperation",
    );
    expect(textOf("TypeScript")).toContain('baseUrl: "https://api.test/prefix"');
  });

  it("give a name to the shell as one argument, whatever it contains", () => {
    expect(argumentsOf(textOf("longrunning"))).toEqual([
      "get",
      "--server",
      "https://api.test/prefix",
      "--protocol",
      "connect",
      hostile,
    ]);
    expect(argumentsOf(textOf("curl"))).toContain(JSON.stringify({ name: hostile }));
  });

  it.each([
    ["grpc", "buf curl", "grpc"],
    ["grpc-web", "buf curl", "grpcweb"],
    ["rest", "curl", "https://api.example/v1/operations/7"],
  ])("name the server of a proxy over %s", (protocol, label, contained) => {
    const server = { url: "https://api.example", protocol };
    const text = textOf(label, { ...config, path: "", server }, "operations/7");
    expect(argumentsOf(text)).toContain(contained);
    expect(text).toContain("https://api.example/");
  });
});
