import type { DescService } from "@bufbuild/protobuf";
import type { GeneratedFile, Printable, Target } from "@bufbuild/protoplugin";
import type { LongRunningMethod } from "../operation/long-running.js";

/** The package that the generated code imports. */
const runtime = "connect-longrunning";

/**
 * Prints the declarations of a service's long-running methods: a constant for each method,
 * `{Service}_{method}`, and an object with all of them, `{Service}LongRunning`.
 *
 * @param uniqueName Makes a name that the generated file can export.
 */
export function printService(
  f: GeneratedFile,
  target: Target,
  service: DescService,
  methods: readonly LongRunningMethod[],
  uniqueName: (ideal: string) => string,
): void {
  const constants = methods.map((declared) => ({
    ...declared,
    name: uniqueName(`${service.name}_${declared.method.localName}`),
  }));
  for (const { name, method, response, metadata } of constants) {
    f.print(f.jsDoc(method));
    printConstant(f, target, name, {
      type: [
        [f.import("LongRunningMethod", runtime, true), "<\n"],
        ["  typeof ", f.importSchema(method.input, true), ",\n"],
        ["  typeof ", f.importSchema(response, true), ",\n"],
        ["  typeof ", f.importSchema(metadata, true), "\n>"],
      ],
      value: [
        ["/*@__PURE__*/ ", f.import("longRunning", runtime), "("],
        [f.importSchema(service), ".method.", method.localName, ", {\n"],
        ["  response: ", f.importSchema(response), ",\n"],
        ["  metadata: ", f.importSchema(metadata), ",\n})"],
      ],
    });
    f.print();
  }
  f.print(f.jsDoc(textOf(service)));
  printConstant(f, target, uniqueName(`${service.name}LongRunning`), {
    type: [
      "{\n",
      constants.map(({ name, method }) => [
        // Editors show this comment at the client's method, because the client's type is derived
        // from this property.
        [f.jsDoc(method, "  "), "\n"],
        ["  readonly ", method.localName, ": typeof ", name, ";\n"],
      ]),
      "}",
    ],
    value: [
      "{\n",
      constants.map(({ name, method }) => ["  ", method.localName, ": ", name, ",\n"]),
      "}",
    ],
  });
}

function printConstant(
  f: GeneratedFile,
  target: Target,
  name: string,
  { type, value }: { type: Printable; value: Printable },
): void {
  f.print(
    f.export(target === "dts" ? "declare const" : "const", name),
    target === "js" ? [] : [": ", type],
    target === "dts" ? [] : [" = ", value],
    ";",
  );
}

function textOf(service: DescService): string {
  const lines = [
    `The long-running methods of ${service.typeName}, for \`createLongRunningClient\`.`,
    "",
    `@generated from ${service}`,
  ];
  if (service.deprecated || service.file.deprecated) lines.push("@deprecated");
  return lines.join("\n");
}
