import { join } from "node:path";
import { bundleConsole } from "../../../build/bundle-console.js";
import { root } from "../../../build/bundle-package.js";

/** Builds the page from the sources under test, where the console's handler loads it from. */
export default (): Promise<void> => bundleConsole(join(root, "dist/console/assets.js"));
