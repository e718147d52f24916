// deno serve --allow-net deno.ts
import { web } from "./service.ts";

export default web;
