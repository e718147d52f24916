import type { ConsoleConfig } from "../console-config.js";

/** The text of a call of GetOperation, in one language. */
export interface CallText {
  readonly label: string;
  readonly text: string;
}

/**
 * Writes GetOperation of an operation as commands and as code.
 *
 * @param pageUrl The address of the page, which tells the address of a server that has the console.
 */
export function callTexts(name: string, config: ConsoleConfig, pageUrl: string): CallText[] {
  const { url, protocol } = config.server ?? {
    url: serverUrlOf(pageUrl, config.path),
    protocol: "connect",
  };
  const body = shellQuoted(JSON.stringify({ name }));
  const rpc = `${url}/google.longrunning.Operations/GetOperation`;
  const command = `longrunning get --server ${shellQuoted(url)} --protocol ${protocol} ${shellQuoted(name)}`;
  return [
    protocol === "rest"
      ? { label: "curl", text: `curl ${shellQuoted(encodeURI(`${url}/v1/${name}`))}` }
      : protocol === "connect"
        ? {
            label: "curl",
            text: `curl -H 'Content-Type: application/json' -d ${body} ${shellQuoted(rpc)}`,
          }
        : {
            label: "buf curl",
            text: `buf curl --protocol ${protocol === "grpc" ? "grpc --http2-prior-knowledge" : "grpcweb"} -d ${body} ${shellQuoted(rpc)}`,
          },
    { label: "longrunning", text: command },
    { label: "TypeScript", text: typeScriptOf(name, url, protocol) },
  ];
}

function typeScriptOf(name: string, url: string, protocol: string): string {
  const [factory, module] = {
    grpc: ["createGrpcTransport", "connect-longrunning/node"],
    rest: ["createRestTransport", "connect-longrunning/rest"],
    "grpc-web": ["createGrpcWebTransport", "@connectrpc/connect-web"],
  }[protocol] ?? ["createConnectTransport", "@connectrpc/connect-web"];
  const rules =
    protocol === "rest" ? ', rules: operationsHttpRules({ parent: /* its pattern */ "" })' : "";
  return [
    'import { createOperationsClient } from "connect-longrunning";',
    `import { ${factory}${protocol === "rest" ? ", operationsHttpRules" : ""} } from "${module}";`,
    "",
    `const transport = ${factory}({ baseUrl: ${JSON.stringify(url)}${rules} });`,
    "const operations = createOperationsClient(transport);",
    `const operation = await operations.get(${JSON.stringify(name)});`,
    "",
  ].join("\n");
}

/** The server's address is the page's without the console's path. */
function serverUrlOf(pageUrl: string, consolePath: string): string {
  const { origin, pathname } = new URL(".", pageUrl);
  const folder = pathname.replace(/\/$/, "");
  return (
    origin +
    (folder.endsWith(consolePath) ? folder.slice(0, folder.length - consolePath.length) : "")
  );
}

/** Quotes a word for POSIX shells. */
export function shellQuoted(word: string): string {
  return /^[\w/:.=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
