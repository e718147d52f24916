// bun run bun.ts
import { web } from "./service.ts";

export default web;
