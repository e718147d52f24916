export { pack, typeNameOf, unpackAs, unpackWith } from "./any.js";
