import { bundlePackage, root } from "./bundle-package.js";

await bundlePackage(root);
