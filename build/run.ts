import { join } from "node:path";
import { bundleCommand } from "./bundle-command.js";
import { bundleConsole } from "./bundle-console.js";
import { bundlePackage, root } from "./bundle-package.js";
import { writeCommonJsDeclarations } from "./commonjs-declarations.js";

await bundlePackage(root);
await bundleConsole(join(root, "dist/console/assets.js"));
await bundleCommand(join(root, "dist/src/cli/longrunning.js"));
await writeCommonJsDeclarations(join(root, "dist"));
