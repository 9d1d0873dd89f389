// What the query box offers while one types: the names of the language, and the keys that the runs have.
export interface Names {
  metrics: readonly string[];
  params: readonly string[];
  tags: readonly string[];
}
export interface Offer {
  /** Where what is replaced begins; it ends at the caret. */
  from: number;
  options: string[];
}

const PROPERTIES = [
  "name", "status", "experiment", "kind", "start", "end", "duration", "notes", "user", "source", "id", "parent",
  "code_version", "error", "datasets", "artifacts",
]; // prettier-ignore
const GROUPS = ["metrics", "params", "tags"] as const;
const FIGURES = ["last", "min", "max", "first", "count", "step"];
const PLAIN = /^[A-Za-z_]\w*$/;
const RESERVED = /^(and|as|class|def|del|elif|else|except|False|finally|for|from|global|if|import|in|is|lambda|None|nonlocal|not|or|pass|raise|return|True|try|while|with|yield)$/;
const PATH = /[A-Za-z_][\w.]*(?:\["[^"]*)?$/;
const MOST = 8;

/** A key as the query language writes it. */
export function written(group: (typeof GROUPS)[number], key: string): string {
  const plain = PLAIN.test(key) && !RESERVED.test(key);
  return plain ? `run.${group}.${key}` : `run.${group}[${JSON.stringify(key)}]`;
}

/** What may stand where the caret is; null where nothing is to be offered. */
export function complete(text: string, caret: number, names: Names): Offer | null {
  const before = text.slice(0, caret);
  const typed = PATH.exec(before)?.[0];
  if (typed === undefined) return null;
  const from = caret - typed.length;
  // Inside a text one types what one looks for.
  if ((before.slice(0, from).match(/"/g) ?? []).length % 2 === 1) return null;
  const rooted = typed.startsWith("run.");
  const rest = rooted ? typed.slice(4) : typed;
  const options = inGroup(rest, names) ?? (rooted ? properties(rest) : rest.length > 1 ? bare(rest, names) : []);
  const further = options.filter((option) => option !== typed).slice(0, MOST);
  return further.length > 0 ? { from, options: further } : null;
}

function inGroup(rest: string, names: Names): string[] | null {
  const match = /^(metrics|params|tags)(?:\.|\[")(.*)$/.exec(rest);
  if (match === null) return null;
  const group = match[1] as (typeof GROUPS)[number];
  const typed = match[2] ?? "";
  const figure = /^(.+)\.(\w*)$/.exec(typed);
  if (group === "metrics" && figure !== null && names.metrics.includes(figure[1] ?? "")) {
    return FIGURES.filter((name) => name.startsWith(figure[2] ?? "")).map((name) => `${written(group, figure[1] ?? "")}.${name}`);
  }
  return nearest(names[group], typed).map((key) => written(group, key));
}

function properties(rest: string): string[] {
  return [...GROUPS.map((group) => `${group}.`), ...PROPERTIES].filter((name) => name.startsWith(rest)).map((name) => `run.${name}`);
}

function bare(typed: string, names: Names): string[] {
  const keys = GROUPS.flatMap((group) => names[group].filter((key) => begins(key, typed)).map((key) => written(group, key)));
  return [...PROPERTIES.filter((name) => begins(name, typed)).map((name) => `run.${name}`), ...keys];
}

const begins = (name: string, typed: string) => name.toLowerCase().startsWith(typed.toLowerCase());

/** Keys that begin with what was typed, then those that hold it. */
function nearest(keys: readonly string[], typed: string): string[] {
  const holding = keys.filter((key) => !begins(key, typed) && key.toLowerCase().includes(typed.toLowerCase()));
  return [...keys.filter((key) => begins(key, typed)), ...holding];
}
