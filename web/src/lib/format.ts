// Numbers, times and sizes as words. All times are shown in UTC, as they are recorded.

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MINUS = "\u2212";
const THIN = "\u202f";
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** A number with the digits that matter: 0.7421 → "0.742", 12345 → "12,345", 1e-7 → "1.0e−7". */
export function number(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : `${MINUS}∞`;
  const size = Math.abs(value);
  let text: string;
  if (Number.isInteger(value) && size < 1e15) text = grouped(size);
  else if (size >= 1000) text = grouped(Math.round(size));
  else if (size >= 100) text = size.toFixed(1);
  else if (size >= 10) text = size.toFixed(Math.min(2, digits));
  else if (size >= 10 ** -digits || size === 0) text = size.toFixed(digits);
  else text = size.toExponential(1).replace("-", MINUS);
  return value < 0 ? MINUS + text : text;
}

function grouped(size: number): string {
  return String(size).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A count: 336776 → "336,776". */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : number(Math.round(value));
}

/** A difference with its sign always written and its decimals fixed, so that two can be compared at a glance. */
export function signed(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value) || Number.isInteger(value) || Math.abs(value) >= 100) return (value > 0 ? "+" : "") + number(value);
  return (value < 0 ? MINUS : "+") + Math.abs(value).toFixed(digits);
}

/** A share as a percentage: 0.9615 → "96.2 %". */
export function percent(value: number | null | undefined, digits = 1): string {
  if (value === null || value === undefined) return "–";
  return `${(value * 100).toFixed(digits)}${THIN}%`;
}

/** Bytes in the unit a person would choose. */
export function bytes(value: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  let size = value;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

/** A length of time in at most two units: 6_000_000 → "1 h 40". */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  if (ms < 0) return MINUS + duration(-ms);
  if (ms < SECOND) return `${ms < 10 && !Number.isInteger(ms) ? ms.toFixed(1) : Math.round(ms)} ms`;
  if (ms < MINUTE) return `${ms < 10 * SECOND ? (ms / SECOND).toFixed(1).replace(/\.0$/, "") : Math.round(ms / SECOND)} s`;
  if (ms < HOUR) return pair(ms, MINUTE, "min", SECOND, 2);
  if (ms < 2 * DAY) return pair(ms, HOUR, "h", MINUTE, 2);
  return `${Math.round(ms / DAY)} days`;
}

function pair(ms: number, big: number, unit: string, small: number, pad: number): string {
  let whole = Math.floor(ms / big);
  let rest = Math.round((ms - whole * big) / small);
  if (rest === 60) [whole, rest] = [whole + 1, 0];
  return rest === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${String(rest).padStart(pad, "0")}`;
}

/** The time as machines read it; nothing for a number that no date has, which must not take the page with it. */
export function stamp(ms: number): string {
  const at = new Date(ms);
  return Number.isNaN(at.getTime()) ? "" : at.toISOString();
}

/** A day: "3 Sep", with the year when it is not that of `beside`. */
export function day(ms: number, beside?: number): string {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return "–";
  const year = beside === undefined || new Date(beside).getUTCFullYear() !== at.getUTCFullYear();
  return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]}${year ? ` ${at.getUTCFullYear()}` : ""}`;
}

/** A day and a minute: "10 Nov 2013, 14:05". */
export function moment(ms: number): string {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return "–";
  return `${day(ms)}, ${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}`;
}

/** The time of day: "14:05:09". */
export function clock(ms: number): string {
  return stamp(ms).slice(11, 19);
}

/** The full time for a tooltip: "2013-11-10 14:05:09 UTC". */
export function exact(ms: number): string {
  const text = stamp(ms);
  return text ? text.slice(0, 19).replace("T", " ") + " UTC" : "not a date";
}

/** How long ago, when that is the better answer, else the day. */
export function ago(ms: number, now: number = Date.now()): string {
  const past = now - ms;
  if (past < -MINUTE) return moment(ms);
  if (past < 45 * SECOND) return "just now";
  if (past < HOUR) return `${Math.max(1, Math.round(past / MINUTE))} min ago`;
  if (past < DAY) return `${Math.round(past / HOUR)} h ago`;
  if (past < 7 * DAY) return `${Math.round(past / DAY)} days ago`;
  return day(ms, now);
}

export function month(ms: number): string {
  return MONTHS[new Date(ms).getUTCMonth()] ?? "";
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

/** A recorded text that is a long number, shortened to five digits; any other text as it is. */
export function brief(text: string): string {
  return /^-?\d*\.\d{6,}(e-?\d+)?$/.test(text) ? String(Number(Number(text).toPrecision(5))) : text;
}

/** "1 row", "3 rows". */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** The first characters of an identifier, enough to recognise it. */
export function short(id: string): string {
  return id.replace(/^(sha256|blake3):/, "").slice(0, 10);
}
