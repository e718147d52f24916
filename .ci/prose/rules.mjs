// The prose rules. level "error": fit for CI. level "warn": read the hit.
// on: undefined = anywhere in the comment, "doc-start" = first words of a doc comment, "sentence" = one sentence.
export const rules = [
  {
    id: "person",
    level: "error",
    fix: "name the actor: the caller, the client, the work, another process",
    re: /\b(?:nobody|somebody|anybody|everybody|whoever|whomever|no one|someone|anyone|everyone)\b/gi,
  },
  {
    id: "who",
    level: "error",
    fix: "name the actor",
    re: /(?:^|[.;:(] ?|\b(?:those|one|all|others|many|to|for|by|of|than) )(?:who|whom)\b/gi,
  },
  { id: "gender", level: "error", fix: "repeat the noun", re: /\b(?:he|him|his|himself)\b/gi },
  {
    id: "what-start",
    level: "error",
    fix: "start with a verb or with the thing's noun",
    re: /(?:^|[.!:] )(?:What|Whatever|Whose|Which)\b(?![^.]*\?)/g,
  },
  {
    id: "what-mid",
    level: "error",
    fix: "name the thing",
    re: /\b(?:of|for|by|with|from|on|into|than|and|or|but|all|besides|after|before|under|at|about|are|as|takes?|ends?|keeps?) what (?!if\b|happens\b|appears\b|(?:we|would) )|[,;:] what (?=[a-z])/gi,
  },
  {
    id: "theirs",
    level: "error",
    fix: "the package's X / another process's X",
    re: /\bof (?:theirs|ours|yours|his own|our own)\b|\bis (?:another's|nobody's|somebody's|ours|theirs)\b/gi,
  },
  {
    id: "of-its-own",
    level: "warn",
    fix: "its own X",
    re: /\bof (?:its own|their own|one's own|a caller's own|the caller's own)\b/gi,
  },
  {
    id: "is-none",
    level: "error",
    fix: "is not a X / has no X",
    re: /\b(?:is|are|was|were|be|has|have|had|makes?|gives?|names?|knows?) none\b(?! of)|\bwhere there (?:is|are) none\b/gi,
  },
  {
    id: "is-no",
    level: "error",
    fix: "is not a X",
    re: /(?<!there )\b(?:is|are|was|be|makes?) no (?!longer\b|more\b|need\b|way\b|reason\b|difference\b)[a-z]+/gi,
  },
  {
    id: "stands",
    level: "error",
    fix: "depends on / is / remains",
    re: /\bst(?:ands?|ood) (?:on|in|at|beside|still|behind|within|there|here|before|to the|where|between|around|bare|as|open)\b|\b(?:may|must|can) stand\b(?! for)|\bstands?(?=[.,;:])/gi,
  },
  {
    id: "idiom",
    level: "error",
    fix: "use the field's term",
    re: /\bword of what\b|\bnews of\b|\bthe like\b|\b(?:comes?|came) (?:to be|about)\b|\bat hand\b|\bof no use\b|\bmanieth\b|\ball the same(?=[.,;:]| and\b| unless\b|$)|\bfor ever\b|\bto be had\b|\bin truth\b|\bwithout further ado\b|\bas far as that goes\b|\bof (?:our|one's|their) making\b|\bto (?:this|the present) version\b/gi,
  },
  {
    id: "has-it",
    level: "error",
    fix: "as X does / like X",
    re: /\bas (?:[\w.'`-]+ ){1,4}(?:has|have|had) (?:it|them)\b/gi,
  },
  {
    id: "hear-tell",
    level: "error",
    fix: "is called with / receives / reports / reads",
    re: /\bh(?:ears?|eard) of\b|\bto hear of\b|\bHears?\b|\bt(?:ells?|old) (?:of|whoever)\b|\b(?:is|are|be|was) told\b|\bknows? of\b|\b(?:says?|said) of\b|\blearn(?:s|t|ed) of\b/g,
  },
  {
    id: "look",
    level: "error",
    fix: "poll / read",
    re: /\b(?:a|an|one|each|every|single|last|latest|first|next|failed|answered|two|ten) looks?\b(?! like| up)|\bthe looks?\b|\blooks? (?:that (?:failed|fail|came|shows?|showed)|in a row|at it|once)\b|\blooked at\b/gi,
  },
  {
    id: "same-start",
    level: "error",
    fix: "repeat the noun and the verb",
    on: "doc-start",
    re: /^(?:The same\b(?! as)|As (?:above|in|`|every|those|the)|Also\b)/g,
  },
  {
    id: "frag-start",
    level: "error",
    fix: "start with a verb or with the thing's noun",
    on: "doc-start",
    re: /^(?:Of|By(?! default)|Those|That|Without|With|From|Below|Beyond|Among|Such|Here|Nothing|One (?:that|who|without|with|of (?:which|whom))|Whom|Undefined|Absent|Null)\b/g,
  },
  {
    id: "undef-where",
    level: "error",
    fix: "undefined if …",
    re: /\b(?:undefined|empty|null|absent|false|missing|infinite|nothing|none|0) where\b/gi,
  },
  {
    id: "also-one",
    level: "error",
    fix: "including …",
    re: /(?:^|[,;:.] )also (?:an?|the|those|one|of|where|after|with|what|that)\b/gi,
  },
  {
    id: "all-else",
    level: "error",
    fix: "name it",
    re: /\ball (?:else|that (?!happened))\b|\ball there\b|\bso many (?!as|that)\b/gi,
  },
  {
    id: "is-to-be",
    level: "error",
    fix: "must be / call it before",
    re: /\b(?:is|are|was) to be\b|\bto be called before\b|\b(?:for|to) whom\b/gi,
  },
  { id: "besides", level: "error", fix: "in addition to / other than", re: /\bbesides\b/gi },
  {
    id: "any-more",
    level: "warn",
    fix: "no longer",
    re: /\b(?:not|no|never|nobody|nothing|n't)\b[^.;]{0,60}\bany ?more\b|\b(?:held|renew it|are held) no more\b/gi,
  },
  {
    id: "one-that",
    level: "warn",
    fix: "repeat the noun",
    re: /(?:^|[.;:,] )one (?:that|which|without|with|is|has|may|must)\b|\bthose (?:of|that|which|with|without|in|on|within|below|among)\b|\bthat of (?:the|an?|its|what)\b/gi,
  },
  {
    id: "where-if",
    level: "warn",
    fix: "if / when",
    re: /, where (?:it|there|that|nothing|none|one|no|they|this)\b|\bwhere (?:there (?:is|are)|that (?:is|has|cannot|fails)|it (?:has|is|does|can|cannot|knows))\b/gi,
  },
  {
    id: "as-because",
    level: "warn",
    fix: "because / like",
    re: /, as (?:it|they|a|an|the|one|this|that|our|its|there|nothing|what)\b /gi,
  },
  {
    id: "but-for",
    level: "warn",
    fix: "except / only",
    re: /\bbut for (?:those|the (?!sake)|deleted|what|a|an|its|two)\b|\bnothing but\b|\bno \w+ but\b/gi,
  },
  {
    id: "stacked",
    level: "warn",
    fix: "split the sentence",
    on: "sentence",
    re: /(?:\b(?:that|which|who|whom|whose|what|whatever|whoever)\b.*){3,}/is,
  },
  { id: "semicolon", level: "warn", fix: "two sentences", re: /;(?=\s)/g },
  {
    id: "long-25",
    level: "info",
    on: "sentence",
    test: (s) => s.split(/\s+/).filter((w) => /\w/.test(w)).length > 25,
  },
  {
    id: "long-35",
    level: "warn",
    fix: "split",
    on: "sentence",
    test: (s) => s.split(/\s+/).filter((w) => /\w/.test(w)).length > 35,
  },
];
export function clean(text) {
  let t = text
    .replace(/```[\s\S]*?(```|$)/g, "\n\n")
    .replace(/^\s*@example[\s\S]*?(?=^\s*@|$(?![\s\S]))/gm, "\n\n");
  t = t
    .replace(/\{@link(?:code)?\s+([^}|]+)(?:\|[^}]*)?\}/g, "`x`")
    .replace(/https?:\/\/\S+/g, "`url`");
  t = t.replace(
    /^\s*@(?:param|template|typeParam)\s+(?:\{[^}]*\}\s*)?\[?[\w.<>]+\]?(?:=\S+\])?\s*(?:[-–]\s*)?/gm,
    "\n\n",
  );
  t = t.replace(/^\s*@\w+(?:\s*\{[^}]*\})?/gm, "\n\n").replace(/@throws /g, "");
  t = t.replace(/`[^`\n]*`/g, "`x`").replace(/^\s*\|.*$/gm, "");
  return t;
}
export const paragraphs = (t) =>
  t
    .split(/\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )/)
    .map((p) => p.replace(/\s+/g, " ").trim())
    .filter((p) => /\w/.test(p));
export const sentences = (t) =>
  paragraphs(t)
    .flatMap((p) => p.split(/(?<=[.!?])\s+(?=[A-Z`"(])/))
    .filter((s) => /\w/.test(s));
export function lintText(text, kind = "line") {
  const t = clean(text),
    ps = paragraphs(t),
    hits = [];
  for (const r of rules) {
    if (r.on === "doc-start") {
      if (kind === "doc")
        for (const m of (ps[0] ?? "").matchAll(r.re)) hits.push([r.id, m[0], ps[0]]);
      continue;
    }
    if (r.on === "sentence") {
      for (const s of sentences(t)) if (r.test ? r.test(s) : r.re.test(s)) hits.push([r.id, "", s]);
      continue;
    }
    for (const p of ps)
      for (const m of p.matchAll(r.re))
        hits.push([r.id, m[0], p.slice(Math.max(0, m.index - 60), m.index + 80)]);
  }
  return hits;
}
