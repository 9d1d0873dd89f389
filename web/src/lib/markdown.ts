// Markdown as blocks and spans, for pages that draw them as their own elements: HTML in it stays the text it is.

export type Span =
  | { kind: "text" | "code" | "strong" | "em" | "gone"; text: string }
  | { kind: "link"; text: string; to: string };
export type Block =
  | { kind: "heading"; level: number; spans: Span[] }
  | { kind: "text" | "quote"; spans: Span[] }
  | { kind: "code"; text: string }
  | { kind: "rule" }
  | { kind: "list"; ordered: boolean; items: { depth: number; spans: Span[] }[] }
  | { kind: "table"; head: Span[][]; rows: Span[][][] };

const INLINE =
  /`([^`]+)`|\*\*([^*]+)\*\*|__([^_]+)__|~~([^~]+)~~|\*([^*\s][^*]*)\*|\b_([^_\s][^_]*)_\b|!?\[([^\]]*)\]\(([^()\s]+)(?:\s+"[^"]*")?\)|(https?:\/\/[^\s<>()]+)/g;

/** The spans of a line. Links lead only to http and https; of an image its words stay. */
export function spans(text: string): Span[] {
  const found: Span[] = [];
  let last = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > last) found.push({ kind: "text", text: text.slice(last, match.index) });
    const [whole, code, strong, strong2, gone, em, em2, label, to, bare] = match;
    if (code !== undefined) found.push({ kind: "code", text: code });
    else if (strong ?? strong2) found.push({ kind: "strong", text: (strong ?? strong2) as string });
    else if (gone !== undefined) found.push({ kind: "gone", text: gone });
    else if (em ?? em2) found.push({ kind: "em", text: (em ?? em2) as string });
    else if (bare !== undefined) found.push({ kind: "link", text: bare, to: bare });
    else if (to !== undefined && !whole.startsWith("!") && /^https?:\/\//i.test(to)) found.push({ kind: "link", text: label || to, to });
    else found.push({ kind: "text", text: label ?? "" });
    last = match.index + whole.length;
  }
  if (last < text.length) found.push({ kind: "text", text: text.slice(last) });
  return found;
}

const ITEM = /^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;
const FENCE = /^\s*(```+|~~~+)/;
const ROW = /^\s*\|?(.+?)\|?\s*$/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const starts = (line: string) => /^\s*$|^#{1,6}\s|^\s*>|^\s*(\*\s*){3,}$|^\s*(-\s*){3,}$/.test(line) || FENCE.test(line) || ITEM.test(line);
const cells = (line: string) => (ROW.exec(line)?.[1] ?? "").split("|").map((cell) => spans(cell.trim()));

/** The blocks of a text. */
export function blocks(text: string): Block[] {
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  const found: Block[] = [];
  let at = 0;
  const taken = (fits: (line: string) => boolean): string[] => {
    const from = at;
    while (at < lines.length && fits(lines[at] as string)) at += 1;
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const line = lines[at] as string;
    const fence = FENCE.exec(line)?.[1];
    const heading = /^(#{1,6})\s+(.*?)\s*#*\s*$/.exec(line);
    if (line.trim() === "") at += 1;
    else if (fence !== undefined) {
      at += 1;
      found.push({ kind: "code", text: taken((one) => !one.trim().startsWith(fence)).join("\n") });
      at += 1;
    } else if (heading) {
      found.push({ kind: "heading", level: (heading[1] as string).length, spans: spans(heading[2] as string) });
      at += 1;
    } else if (/^\s*((\*\s*){3,}|(-\s*){3,}|(_\s*){3,})$/.test(line)) {
      found.push({ kind: "rule" });
      at += 1;
    } else if (/^\s*>/.test(line)) {
      found.push({ kind: "quote", spans: spans(taken((one) => /^\s*>/.test(one)).map((one) => one.replace(/^\s*>\s?/, "")).join(" ")) });
    } else if (ITEM.test(line)) {
      const items = taken((one) => ITEM.test(one) || /^\s+\S/.test(one));
      found.push(listOf(items));
    } else if (line.includes("|") && DIVIDER.test(lines[at + 1] ?? "")) {
      at += 2;
      found.push({ kind: "table", head: cells(line), rows: taken((one) => one.includes("|")).map(cells) });
    } else {
      const first = at;
      found.push({ kind: "text", spans: spans(taken((one) => at === first || !starts(one)).map((one) => one.trim()).join(" ")) });
    }
  }
  return found;
}

function listOf(lines: readonly string[]): Block {
  const items: { depth: number; text: string }[] = [];
  for (const line of lines) {
    const match = ITEM.exec(line);
    const last = items.at(-1);
    if (match) items.push({ depth: Math.min(4, Math.floor((match[1] as string).length / 2)), text: match[3] as string });
    else if (last) last.text += ` ${line.trim()}`;
  }
  const ordered = ITEM.exec(lines[0] ?? "")?.[2] !== undefined;
  return { kind: "list", ordered, items: items.map(({ depth, text }) => ({ depth, spans: spans(text) })) };
}
