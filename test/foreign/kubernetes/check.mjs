// Validates manifests by the published schemas of Kubernetes: check.mjs FILE...
import { readFile } from "node:fs/promises";
import { loadAll } from "js-yaml";

for (const path of process.argv.slice(2)) {
  for (const manifest of loadAll(await readFile(path, "utf8"))) {
    const { apiVersion, kind } = manifest;
    const models = await import(`kubernetes-models/${apiVersion}/${kind}`);
    const Model = models[kind] ?? models.default[kind];
    // Throws for a missing field and for a value of another type.
    new Model(manifest).validate();
    console.log(`${path}: ${apiVersion} ${kind} is valid`);
  }
}
