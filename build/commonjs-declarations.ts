import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * Writes `dist/cjs`: the declarations once more, in a folder that is CommonJS to TypeScript.
 *
 * Connect and Protobuf-ES have other declarations for CommonJS than for ESM, and their types are
 * not compatible. A project of type CommonJS gets the former, so this package's declarations must
 * import the former, too. There is one implementation: Node requires the ESM files.
 *
 * @param dist The folder with the declarations.
 */
export async function writeCommonJsDeclarations(dist: string): Promise<void> {
  const target = join(dist, "cjs");
  await rm(target, { recursive: true, force: true });
  const paths = await readdir(dist, { recursive: true });
  for (const path of paths.filter((one) => one.endsWith(".d.ts"))) {
    const declarations = await readFile(join(dist, path), "utf8");
    await mkdir(dirname(join(target, path)), { recursive: true });
    // Its map is beside the original.
    const withoutMap = declarations.replace(/^\/\/# sourceMappingURL=.*\n?/m, "");
    await writeFile(join(target, path), withoutMap);
  }
  await writeFile(join(target, "package.json"), '{ "type": "commonjs" }\n');
}
