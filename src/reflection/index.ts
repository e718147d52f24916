export { createReflection, type ReflectionOptions } from "./create-reflection.js";
