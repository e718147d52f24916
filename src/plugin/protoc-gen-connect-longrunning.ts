#!/usr/bin/env node
// The executable that buf and protoc run. The plugin itself is imported below, because
// @bufbuild/protoplugin is an optional peer and may be missing.

/** The part of Node's `process` that the plugin uses, because the package is compiled without Node's types. */
declare const process: { exitCode: number };

try {
  const [{ runNodeJs }, { plugin }] = await Promise.all([
    import("@bufbuild/protoplugin"),
    import("./plugin.js"),
  ]);
  runNodeJs(plugin);
} catch (error) {
  if (!isMissing(error, "@bufbuild/protoplugin")) throw error;
  console.error(
    "protoc-gen-connect-longrunning needs the package @bufbuild/protoplugin, which is not " +
      "installed: npm install --save-dev @bufbuild/protoplugin, in the version of @bufbuild/protobuf",
  );
  process.exitCode = 1;
}

/** Whether an import failed because a package is not installed. */
function isMissing(error: unknown, packageName: string): boolean {
  return error instanceof Error && error.message.startsWith(`Cannot find package '${packageName}'`);
}

export {};
