// The options of a deployment as a form: what is typed for each, what that means, what changes by it. Which values may
// be is the server's to say, in the words it has for every caller.
import type { Deployment } from "../../lib/records";
import { number } from "../../lib/format";
import { share } from "./words";

const NAMES = ["max_waiting", "timeout_ms", "min_replicas", "max_replicas", "idle_s", "callers", "rate_limit", "log_share", "redacted", "key", "time", "sticky"] as const;
export type OptionName = (typeof NAMES)[number];
export type Options = Pick<Deployment, OptionName>;
export type Texts = Record<OptionName, string>;

export interface Field {
  name: OptionName;
  /** What it is, in words; the unit at the end. */
  label: string;
  /** What holds where nothing is typed, in words and as a value. */
  empty: string;
  unset: string | number | string[];
  choices?: readonly { value: string; label: string }[];
}

export const GROUPS: readonly { title: string; fields: readonly Field[] }[] = [
  {
    title: "Queue",
    fields: [
      { name: "max_waiting", label: "requests that may wait", empty: "2048", unset: 2048 },
      { name: "timeout_ms", label: "answered within, ms", empty: "30000", unset: 30_000 },
    ],
  },
  {
    title: "Replicas and memory",
    fields: [
      { name: "min_replicas", label: "replicas, at least", empty: "0: may be unloaded", unset: 0 },
      { name: "max_replicas", label: "replicas, at most", empty: "1", unset: 1 },
      { name: "idle_s", label: "unloaded when idle for, s", empty: "never", unset: 0 },
    ],
  },
  {
    title: "Who may ask",
    fields: [
      { name: "callers", label: "users", empty: "all who may read", unset: [] },
      { name: "rate_limit", label: "requests a second, each", empty: "no limit", unset: 0 },
    ],
  },
  {
    title: "Prediction log",
    fields: [
      { name: "log_share", label: "requests logged, %", empty: "100", unset: 1 },
      { name: "redacted", label: "inputs never logged", empty: "none", unset: [] },
    ],
  },
  {
    title: "Beside the inputs",
    fields: [
      { name: "key", label: "tensor with the row's key", empty: "key", unset: "key" },
      { name: "time", label: "tensor with the row's time", empty: "time", unset: "time" },
      {
        name: "sticky",
        label: "version kept for the same",
        empty: "",
        unset: "request",
        choices: [
          { value: "request", label: "request id" },
          { value: "key", label: "key" },
        ],
      },
    ],
  },
];
const FIELDS = GROUPS.flatMap((group) => group.fields);

/** The options among what is known of a deployment. */
export function optionsOf(deployment: Deployment): Options {
  return Object.fromEntries(NAMES.map((name) => [name, deployment[name]])) as Options;
}

/** What stands in the form: nothing where nothing is set. */
export function textsOf(deployment: Deployment): Texts {
  return Object.fromEntries(FIELDS.map((field) => [field.name, textOf(field, deployment[field.name])])) as Texts;
}

function textOf({ name, unset, choices }: Field, value: Options[OptionName]): string {
  if (choices === undefined && JSON.stringify(value) === JSON.stringify(unset)) return "";
  if (Array.isArray(value)) return value.join(", ");
  return name === "log_share" ? String(Number((Number(value) * 100).toFixed(6))) : String(value);
}

/** What a text means. One that is no number goes to the server as it is, which says so. */
function valueOf({ name, unset }: Field, text: string): string | number | string[] {
  const given = text.trim();
  if (Array.isArray(unset)) return given.split(/[,\s]+/).filter(Boolean);
  if (given === "") return unset;
  if (typeof unset === "string" || !Number.isFinite(Number(given))) return given;
  return name === "log_share" ? Number((Number(given) / 100).toFixed(8)) : Number(given);
}

/** The options that become others. */
export function changes(deployment: Deployment, texts: Texts): Partial<Options> {
  const changed = FIELDS.map((field) => [field.name, valueOf(field, texts[field.name])] as const).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(deployment[name]));
  return Object.fromEntries(changed);
}

/** Changes in words: "timeout_ms 30,000 → 5,000, callers all who may read → web". */
export function changed(before: Deployment, after: Partial<Options>): string {
  return FIELDS.filter(({ name }) => name in after)
    .map((field) => `${field.name} ${worded(field, before[field.name])} → ${worded(field, after[field.name] ?? "")}`)
    .join(", ");
}

function worded({ name, unset, empty }: Field, value: Options[OptionName]): string {
  if (Array.isArray(value)) return value.length === 0 ? empty : value.join(", ");
  if (name === "log_share" && typeof value === "number") return share(value);
  if (value === unset && unset === 0 && name !== "min_replicas") return empty;
  return typeof value === "number" ? number(value) : value;
}

/** Whether two deployments are asked in the same way, whatever their routes. */
export function alike(one: Deployment, other: Deployment): boolean {
  return JSON.stringify(optionsOf(one)) === JSON.stringify(optionsOf(other));
}
