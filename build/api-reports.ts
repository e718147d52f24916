/**
 * Writes `api/NAME.api.md` for each entry point of package.json: its whole public surface in one
 * file, so that every change of the surface shows in a diff. Writes the page of all options, too.
 *
 * `--check` writes nothing and exits with 1 if a report is out of date.
 */
import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Extractor, ExtractorConfig, ExtractorLogLevel } from "@microsoft/api-extractor";
import { root } from "./bundle-package.js";
import { optionsPage, optionsPagePath } from "./options-page.js";

const isCheck = process.argv.includes("--check");
const reportFolder = join(root, "api");
/** Inside the checkout, so that the declarations find the packages that they import. */
const scratch = join(root, ".cache/api");

await rm(scratch, { recursive: true, force: true });
await mkdir(scratch, { recursive: true });
for (const project of ["tsconfig.build.json", "tsconfig.build-node.json"]) {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", project, "--outDir", join(scratch, "dist")], {
    cwd: root,
    stdio: "inherit",
  });
}

const reports = await readReports();
const stale = await staleReports(reports);
const page = await optionsPage();
const isPageStale = (await readFile(join(root, optionsPagePath), "utf8").catch(() => "")) !== page;
if (!isCheck) {
  for (const file of stale) {
    const report = reports.get(file);
    if (report === undefined) await rm(join(reportFolder, file));
    else await writeFile(join(reportFolder, file), report);
    console.log(`${report === undefined ? "removed" : "written"}: api/${file}`);
  }
  if (isPageStale) {
    await writeFile(join(root, optionsPagePath), page);
    console.log(`written: ${optionsPagePath}`);
  }
} else if (stale.length > 0 || isPageStale) {
  const files = stale.map((file) => `api/${file}`);
  console.error(`out of date: ${[...files, ...(isPageStale ? [optionsPagePath] : [])].join(", ")}`);
  console.error("run `npm run api` and commit its result");
  process.exitCode = 1;
}

/** The files whose committed content differs from the reports. */
async function staleReports(reports: ReadonlyMap<string, string>): Promise<string[]> {
  await mkdir(reportFolder, { recursive: true });
  const stale = (await readdir(reportFolder)).filter((file) => !reports.has(file));
  for (const [file, report] of reports) {
    const committed = await readFile(join(reportFolder, file), "utf8").catch(() => undefined);
    if (committed !== report) stale.push(file);
  }
  return stale;
}

/** The report of each entry point, by file name: `./store/sqlite` has `store-sqlite.api.md`. */
async function readReports(): Promise<Map<string, string>> {
  const manifest: { readonly exports: Record<string, unknown> } = JSON.parse(
    await readFile(join(root, "package.json"), "utf8"),
  );
  const reports = new Map<string, string>();
  for (const [path, target] of Object.entries(manifest.exports)) {
    const declarations = declarationsOf(target);
    if (declarations === undefined || path.includes("*")) continue;
    const name = path === "." ? "index" : path.slice(2).replaceAll("/", "-");
    reports.set(`${name}.api.md`, await readReport(name, join(scratch, declarations)));
  }
  return withoutOtherEntryPoints(reports);
}

/** The path of the declarations in a target of `exports`, under whichever condition it is. */
function declarationsOf(target: unknown): string | undefined {
  if (typeof target !== "object" || target === null) return undefined;
  if ("types" in target && typeof target.types === "string") return target.types;
  return Object.values(target)
    .map(declarationsOf)
    .find((path) => path !== undefined);
}

async function readReport(name: string, declarations: string): Promise<string> {
  const silent = { default: { logLevel: ExtractorLogLevel.None } };
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: declarations,
      newlineKind: "lf",
      compiler: {
        overrideTsconfig: {
          extends: join(root, "tsconfig.json"),
          include: [declarations],
          exclude: [],
        },
      },
      apiReport: {
        enabled: true,
        reportFolder: scratch,
        reportTempFolder: join(scratch, "temp"),
        reportFileName: name,
        includeForgottenExports: true,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: { extractorMessageReporting: silent, tsdocMessageReporting: silent },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(root, "package.json"),
  });
  const { succeeded } = Extractor.invoke(config, {
    localBuild: true,
    messageCallback: (message) => {
      message.handled = message.logLevel !== ExtractorLogLevel.Error;
    },
  });
  if (!succeeded) throw new Error(`API Extractor made no report of ${declarations}`);
  return readFile(join(scratch, `${name}.api.md`), "utf8");
}

/**
 * Removes from each report the types that it uses and another entry point exports: they are in
 * that one's report. Types that no entry point exports stay, because they are part of the surface.
 */
function withoutOtherEntryPoints(reports: ReadonlyMap<string, string>): Map<string, string> {
  const exported = new Set<string>();
  for (const report of reports.values()) {
    for (const block of report.split("\n\n")) {
      const name = declaredName(block, "export ");
      if (name !== undefined) exported.add(name);
    }
  }
  return new Map(
    Array.from(reports, ([file, report]) => {
      const blocks = report.split("\n\n").filter((block) => {
        const name = declaredName(block, "");
        return name === undefined || !exported.has(name);
      });
      return [file, blocks.join("\n\n")];
    }),
  );
}

/** The name that a block of a report declares after a prefix; undefined for another block. */
function declaredName(block: string, prefix: "" | "export "): string | undefined {
  const declaration = new RegExp(
    `^${prefix}(?:declare )?(?:interface|type|const|let|function|class|enum|abstract class) (\\w+)`,
    "m",
  );
  return declaration.exec(block)?.[1];
}
