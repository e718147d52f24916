/** Returns a subject file for a gRPC address, with comments that explain the next steps. */
export function subjectTemplate(address: string, schema: string): string {
  const template = {
    $schema: schema,
    "//": [
      "The subject of `longrunning conformance`. Members that begin with // are comments.",
      "This file suffices for a first run. Remove the // before a member below to add it.",
    ],
    subject: "my-server",
    protocols: { grpc: address },
    "//starts":
      "needs: starts of operations by your own methods. Types come from reflection or from `descriptors`.",
    "//needs": {
      succeeds: {
        rpc: "printing.v1.PrintService/Print",
        request: { parent: "{{parent}}", pages: 1 },
      },
      takes: { rpc: "printing.v1.PrintService/Print", request: { seconds: "{{seconds}}" } },
      runsUntilCancelled: { rpc: "printing.v1.PrintService/Print", request: { pages: 100000 } },
      fails: {
        rpc: "printing.v1.PrintService/Print",
        request: { pages: -1 },
        error: { code: 9 },
      },
    },
    "//test builds":
      "driver: the server has longrunning.conformance.v1.Driver, which can start every kind of operation.",
    "//driver": true,
    "//types": "descriptors: a file that buf build -o print.binpb makes",
    "//descriptors": "print.binpb",
    "//parents": ["printers/a", "printers/b"],
    "//headers": { authorization: { env: "TOKEN" } },
    "//command": ["./my-server", "--port={{port}}"],
    "//more": "docs/conformance/subject-file.md lists all members.",
  };
  return `${JSON.stringify(template, undefined, 2)}\n`;
}
