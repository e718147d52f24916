#!/usr/bin/env node
// node lint.mjs [--warn] [--counts] PATH...     lists the places that the rules fault; exits 1 if an error rule has a hit
// node lint.mjs --limits FILE                   compares the number of error hits below each path that FILE names
//                                               with the limit there; exits 1 if one is exceeded
// Reads comments of .ts files, prose of .md files, and test titles. It reads comments by line, which is enough for
// code that Biome has formatted.
import fs from "node:fs";
import path from "node:path";
import { lintText, rules } from "./rules.mjs";

const ruleById = new Map(rules.map((rule) => [rule.id, rule]));
const ignored = /^(node_modules|dist|gen|golden|\.git|\.vitepress|api)$/;
const titleCall =
  /\b(?:test|it|describe)(?:\.\w+)*(?:\([^()]*\))?\(\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)/g;

const args = process.argv.slice(2);
if (args[0] === "--limits") checkLimits(args[1]);
else listHits(args);

function checkLimits(file) {
  const limits = JSON.parse(fs.readFileSync(file, "utf8"));
  for (const [root, limit] of Object.entries(limits)) {
    const hits = hitsBelow(root).filter(({ rule }) => rule.level === "error");
    if (hits.length > limit) {
      print(hits);
      process.exitCode = 1;
    }
    const verdict = hits.length > limit ? "too many" : hits.length < limit ? "lower the limit" : "";
    console.log(`${root}: ${hits.length} of ${limit} ${verdict}`.trimEnd());
  }
}

function listHits(args) {
  const roots = args.filter((arg) => !arg.startsWith("--"));
  const hits = roots.flatMap(hitsBelow);
  if (args.includes("--counts")) {
    for (const { id, level } of rules) {
      const count = hits.filter(({ rule }) => rule.id === id).length;
      console.log(id.padEnd(12), level.padEnd(6), String(count).padStart(5));
    }
  } else {
    const levels = args.includes("--warn") ? ["error", "warn"] : ["error"];
    print(hits.filter(({ rule }) => levels.includes(rule.level)));
  }
  if (hits.some(({ rule }) => rule.level === "error")) process.exitCode = 1;
}

function print(hits) {
  for (const { file, line, rule, text, context } of hits) {
    console.log(
      `${file}:${line}  ${rule.id} "${text.trim()}"  → ${rule.fix}\n    …${context.trim()}…`,
    );
  }
}

function hitsBelow(root) {
  return [...filesBelow(root)].flatMap(hitsOf);
}

function* filesBelow(place) {
  if (fs.statSync(place).isFile()) yield place;
  else {
    for (const entry of fs.readdirSync(place).sort()) {
      if (!ignored.test(entry)) yield* filesBelow(path.join(place, entry));
    }
  }
}

function hitsOf(file) {
  if (!/\.(ts|tsx|md)$/.test(file)) return [];
  const source = fs.readFileSync(file, "utf8");
  const hits = [];
  const note = (line, found) => {
    for (const [id, text, context] of found) {
      hits.push({ file, line, rule: ruleById.get(id), text, context });
    }
  };
  if (file.endsWith(".md")) {
    note(0, lintText(proseOf(source)));
    return hits;
  }
  for (const { line, kind, text } of commentsOf(source)) note(line, lintText(text, kind));
  if (/\.test\.ts$|-cases\.ts$|-contract\.ts$/.test(file)) {
    for (const title of source.matchAll(titleCall)) {
      const line = source.slice(0, title.index).split("\n").length;
      note(line, lintText(title[1] ?? title[2]));
    }
  }
  return hits;
}

/** The text of a Markdown document without code, comments and link targets. */
function proseOf(source) {
  return source
    .replace(/```[\s\S]*?```/g, (match) => match.replace(/[^\n]/g, ""))
    .replace(/<!--[\s\S]*?-->/g, "")
    .replace(/\]\([^)]*\)/g, "]")
    .replace(/\|/g, "\n\n");
}

function commentsOf(source) {
  const lines = source.split("\n");
  const comments = [];
  for (let at = 0; at < lines.length; at += 1) {
    if (/^\s*\/\//.test(lines[at])) {
      const start = at;
      const text = [];
      while (at < lines.length && /^\s*\/\//.test(lines[at])) {
        text.push(lines[at].replace(/^\s*\/\/+\s?/, ""));
        at += 1;
      }
      at -= 1;
      comments.push({ line: start + 1, kind: "line", text: text.join("\n") });
    } else if (/^\s*\/\*/.test(lines[at])) {
      const start = at;
      const kind = lines[at].trim().startsWith("/**") ? "doc" : "block";
      while (!lines[at].includes("*/") && at < lines.length - 1) at += 1;
      const text = lines
        .slice(start, at + 1)
        .join("\n")
        .replace(/^\s*\/\*\*?/, "")
        .replace(/\*\/[\s\S]*$/, "")
        .replace(/^\s*\*\s?/gm, "");
      comments.push({ line: start + 1, kind, text });
    }
  }
  const isProse = ({ text }) =>
    /\w/.test(text) && !/biome-ignore|<reference|@ts-|Copyright/.test(text);
  return comments.filter(isProse);
}
