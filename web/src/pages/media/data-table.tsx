// A table that lies in the page: sorted by a press on a heading, narrowed by words, drawn a hundred rows at a time.
import { useMemo, useState } from "react";
import { brief, count, number } from "../../lib/format";
import { Icon } from "../../components/icon";

export type Cell = string | number | boolean | null | undefined;
interface DataTableProps {
  columns: readonly string[];
  /** Said under the names, such as types. */
  notes?: readonly string[];
  rows: readonly (readonly Cell[])[];
  /** How many rows there are in all, where these are only the first. */
  total?: number;
}
const FIRST = 100;

const isNumber = (cell: Cell) => typeof cell === "number" || (typeof cell === "string" && cell.trim() !== "" && Number.isFinite(Number(cell)));

function compare(a: Cell, b: Cell): number {
  if (a == null || b == null) return a == null ? (b == null ? 0 : 1) : -1;
  if (isNumber(a) && isNumber(b)) return Number(a) - Number(b);
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

/** The rows with a cell that holds the words, in the order of one column; what is missing comes last. */
export function arranged(rows: DataTableProps["rows"], text: string, by: number | null, down: boolean): DataTableProps["rows"] {
  const low = text.trim().toLowerCase();
  const found = low === "" ? [...rows] : rows.filter((row) => row.some((cell) => cell != null && String(cell).toLowerCase().includes(low)));
  if (by === null) return found;
  return found.sort((a, b) => {
    const [x, y] = [a[by], b[by]];
    return x == null || y == null || !down ? compare(x, y) : compare(y, x);
  });
}

export function DataTable({ columns, notes, rows, total }: DataTableProps) {
  const [text, setText] = useState("");
  const [by, setBy] = useState<number | null>(null);
  const [down, setDown] = useState(false);
  const [most, setMost] = useState(FIRST);
  const found = useMemo(() => arranged(rows, text, by, down), [rows, text, by, down]);
  const sort = (column: number) => {
    if (by === column) {
      if (down) setBy(null);
      setDown(!down);
    } else {
      setBy(column);
      setDown(false);
    }
  };
  const numeric = useMemo(() => columns.map((_, i) => rows.slice(0, 50).some((row) => row[i] != null) && rows.slice(0, 50).every((row) => row[i] == null || isNumber(row[i]))), [columns, rows]);
  const part = total !== undefined && total > rows.length;
  return (
    <div className="data-table">
      <div className="data-table-bar">
        {rows.length > 10 && <input type="text" className="small-search" aria-label="Find in the table" placeholder="Find" value={text} onChange={(event) => setText(event.target.value)} />}
        <span className="note">
          {part ? `the first ${count(rows.length)} of ${count(total)} rows` : text.trim() ? `${count(found.length)} of ${count(rows.length)} rows` : `${count(rows.length)} ${rows.length === 1 ? "row" : "rows"}`}
        </span>
      </div>
      <div className="preview scroll-x" tabIndex={0} role="region" aria-label="Table">
        <table className="plain">
          <thead>
            <tr>
              {columns.map((name, i) => (
                <th key={i} scope="col" className={numeric[i] ? "num" : ""} aria-sort={by === i ? (down ? "descending" : "ascending") : "none"}>
                  <button type="button" title={`Sort by ${name}`} onClick={() => sort(i)}>
                    {name}
                    {notes?.[i] && <span className="note"> {notes[i]}</span>}
                    {by === i && <Icon name={down ? "down" : "up"} size={10} />}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {found.slice(0, most).map((row, i) => (
              <tr key={i}>
                {columns.map((_, j) => (
                  <td key={j} className={numeric[j] ? "num" : "mono"}>
                    {cellText(row[j])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {found.length > most && (
        <button type="button" className="ghost more" onClick={() => setMost(most + 1000)}>
          show more of {count(found.length - most)}
        </button>
      )}
    </div>
  );
}

function cellText(cell: Cell) {
  if (cell === null || cell === undefined) return <span className="note">–</span>;
  if (typeof cell === "number") return <span title={String(cell)}>{number(cell, 4)}</span>;
  const text = String(cell);
  return text.length > 12 ? <span title={text}>{brief(text)}</span> : text;
}
