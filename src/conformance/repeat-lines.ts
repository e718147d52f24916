import type { CallEvidence } from "./evidence.js";

/** Returns commands that repeat a call: curl or grpcurl, and this package's own. */
export function repeatLines(call: CallEvidence | undefined): string[] {
  if (call === undefined || call.target === "") return [];
  const [httpMethod = "", url = ""] = call.target.split(" ");
  const headers = Object.entries(call.requestHeaders).filter(
    ([name]) =>
      !/^(content-type|te|accept|x-grpc-web|connect-protocol-version|grpc-timeout)$/.test(name),
  );
  const headerArguments = headers
    .map(([name, value]) => ` -H ${quoted(`${name}: ${value}`)}`)
    .join("");
  const json = JSON.stringify(call.request ?? {});
  const lines: string[] = [];
  if (call.protocol === "rest") {
    const hasBody = httpMethod === "POST";
    const body = hasBody ? ` -H 'content-type: application/json' -d ${quoted(json)}` : "";
    lines.push(`curl -i -X ${httpMethod}${headerArguments}${body} ${quoted(url)}`);
  } else if (call.protocol === "grpc") {
    const { host, protocol, pathname } = new URL(url);
    const plain = protocol === "http:" ? " -plaintext" : "";
    lines.push(`grpcurl${plain}${headerArguments} -d ${quoted(json)} ${host} ${pathname.slice(1)}`);
  } else {
    lines.push(
      `curl -i${headerArguments} -H 'content-type: application/json' -d ${quoted(json)} ${quoted(url)}`,
    );
  }
  const name = nameIn(call);
  const { origin } = new URL(url);
  if (name !== undefined) {
    const protocol = call.protocol === "connect-json" ? "connect" : call.protocol;
    lines.push(
      `longrunning get ${quoted(name)} --server ${origin} --protocol ${protocol}${headers
        .map(([key, value]) => ` --header ${quoted(`${key}: ${value}`)}`)
        .join("")}`,
    );
  }
  return lines;
}

function nameIn({ request, method }: CallEvidence): string | undefined {
  if (!/Operation$/.test(method) || typeof request !== "object" || request === null)
    return undefined;
  const name = "name" in request ? request.name : undefined;
  return typeof name === "string" && name !== "" && name.length < 500 ? name : undefined;
}

/** A word for a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
