// Comma-separated text, in and out (RFC 4180): quotes, commas and line ends inside fields.

/** The rows of a text, at most `most`; the separator is a tab when the first line has one and no comma. */
export function parseCsv(text: string, most = 1000): string[][] {
  const first = text.slice(0, text.search(/\r?\n|$/));
  const comma = first.includes("\t") && !first.includes(",") ? "\t" : ",";
  const rows: string[][] = [];
  let row: string[] = [];
  let field = "";
  let quoted = false;
  const end = () => {
    row.push(field);
    field = "";
  };
  for (let i = 0; i < text.length && rows.length < most; i += 1) {
    const char = text[i] as string;
    if (quoted) {
      if (char !== '"') field += char;
      else if (text[i + 1] === '"') {
        field += '"';
        i += 1;
      } else quoted = false;
    } else if (char === '"' && field === "") quoted = true;
    else if (char === comma) end();
    else if (char === "\n") {
      end();
      rows.push(row);
      row = [];
    } else if (char !== "\r") field += char;
  }
  if (rows.length < most && (field !== "" || row.length > 0)) {
    end();
    rows.push(row);
  }
  return rows;
}

// What a spreadsheet may take for the beginning of a formula, wide forms included, also after white space; a number
// alone is none, but one that something follows is ("-1+cmd|…").
const FORMULA = /^\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20|]/;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** One line of fields. A field that a spreadsheet would run as a formula is kept as text by a leading quote mark. */
export function csvLine(fields: readonly (string | number | null | undefined)[]): string {
  return fields
    .map((field) => {
      if (field === null || field === undefined) return "";
      const text = typeof field === "string" && FORMULA.test(field) && !NUMBER.test(field) ? `'${field}` : String(field);
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    })
    .join(",");
}
