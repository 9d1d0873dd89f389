// A table that draws only the rows in sight: a hundred thousand rows cost as much as thirty.
import { useEffect, useLayoutEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { useKeys } from "../lib/keys";
import { Icon } from "./icon";

export interface Column<T> {
  key: string;
  title: ReactNode;
  /** The name read aloud and shown on the sort button; needed when `title` is not text. */
  name?: string;
  width: string;
  align?: "right";
  sortable?: boolean;
  cell: (row: T, index: number) => ReactNode;
}

interface RowsProps<T> {
  label: string;
  rows: readonly T[];
  columns: readonly Column<T>[];
  id: (row: T) => string;
  rowHeight?: number;
  order: string;
  onOrder: (order: string) => void;
  onOpen: (row: T) => void;
  /** Called when the end comes into sight. */
  onEnd?: () => void;
  /** With these the rows can be chosen: by box, by x, and with Shift all between two. */
  chosen?: ReadonlySet<string>;
  onChoose?: (ids: readonly string[], chosen: boolean) => void;
}
const EXTRA = 8;

function useVisible(rowHeight: number, total: number) {
  const ref = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  useLayoutEffect(() => {
    const element = ref.current;
    if (element === null) return undefined;
    const measure = () => setView({ top: element.scrollTop, height: element.clientHeight });
    measure();
    element.addEventListener("scroll", measure, { passive: true });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => {
      element.removeEventListener("scroll", measure);
      observer.disconnect();
    };
  }, []);
  const first = Math.max(0, Math.floor(view.top / rowHeight) - EXTRA);
  const last = Math.min(total, Math.ceil((view.top + view.height) / rowHeight) + EXTRA);
  return { ref, first, last };
}

export function Rows<T>(props: RowsProps<T>) {
  const { rows, columns, rowHeight = 34 } = props;
  const { ref, first, last } = useVisible(rowHeight, rows.length);
  const [active, setActive] = useState(-1);
  const { chosen, onChoose } = props;
  const anchor = useRef(-1);
  const template = (chosen ? "20px " : "") + columns.map((column) => column.width).join(" ");
  const shown = rows.slice(first, last);
  const { onEnd } = props;
  useEffect(() => {
    if (last >= rows.length) onEnd?.();
  }, [last, rows.length, onEnd]);

  const move = (by: number) => {
    const next = Math.min(rows.length - 1, Math.max(0, active + by));
    setActive(next);
    const box = ref.current;
    if (box === null) return;
    const [top, bottom] = [next * rowHeight, (next + 2) * rowHeight];
    if (top < box.scrollTop) box.scrollTop = top;
    else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  };
  const choose = (at: number, all: boolean) => {
    const row = rows[at];
    if (row === undefined || chosen === undefined) return;
    const from = all && anchor.current >= 0 ? anchor.current : at;
    const between = rows.slice(Math.min(from, at), Math.max(from, at) + 1).map(props.id);
    onChoose?.(between, !chosen.has(props.id(row)));
    anchor.current = at;
  };
  // The keys also work while nothing has the focus: a table is what its page is about.
  const keymap = useKeymap({ move, open: () => rows[active] && props.onOpen(rows[active]), choose: () => choose(active, false) });
  useKeys(keymap);
  const press = (event: React.KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const by = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 20, PageUp: -20, Home: -1e9, End: 1e9 }[event.key];
    const row = rows[active];
    if (by !== undefined) move(by);
    else if (event.key === "Enter" && row !== undefined && event.target === ref.current) props.onOpen(row);
    else return;
    event.preventDefault();
  };

  return (
    <div
      className="rows"
      ref={ref}
      role="table"
      aria-label={props.label}
      aria-rowcount={rows.length + 1}
      tabIndex={0}
      onKeyDown={press}
    >
      <div className="rows-head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
        {chosen && (
          <div role="columnheader" aria-label="Selected">
            <input
              type="checkbox"
              aria-label="Select all that are loaded"
              checked={rows.length > 0 && rows.every((row) => chosen.has(props.id(row)))}
              onChange={(event) => onChoose?.(rows.map(props.id), event.target.checked)}
            />
          </div>
        )}
        {columns.map((column) => (
          <Heading key={column.key} column={column} order={props.order} onOrder={props.onOrder} />
        ))}
      </div>
      <div className="rows-body" role="rowgroup" style={{ height: rows.length * rowHeight }}>
        {shown.map((row, i) => (
          <div
            key={props.id(row)}
            role="row"
            aria-rowindex={first + i + 2}
            className={`row ${first + i === active ? "active" : ""} ${chosen?.has(props.id(row)) ? "chosen" : ""}`}
            style={{ gridTemplateColumns: template, height: rowHeight, top: (first + i) * rowHeight }}
            onClick={(event) => {
              if (!(event.target as Element).closest("a,button,input")) props.onOpen(row);
            }}
          >
            {chosen && (
              <div role="cell">
                <input
                  type="checkbox"
                  aria-label={`Select row ${first + i + 1}`}
                  checked={chosen.has(props.id(row))}
                  onChange={(event) => choose(first + i, (event.nativeEvent as MouseEvent).shiftKey)}
                />
              </div>
            )}
            {columns.map((column) => (
              <div key={column.key} role="cell" className={column.align ?? ""}>
                {column.cell(row, first + i)}
              </div>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}

/** A keymap that never changes, so that listening is not begun anew with every row. */
function useKeymap(acts: { move: (by: number) => void; open: () => void; choose: () => void }) {
  const now = useRef(acts);
  now.current = acts;
  return useMemo(() => {
    const free = (act: () => void) => (event: KeyboardEvent) => {
      const target = event.target as Element | null;
      if (target?.closest("a,button,summary,dialog") && event.key === "Enter") return;
      act();
    };
    return {
      j: free(() => now.current.move(1)),
      k: free(() => now.current.move(-1)),
      x: free(() => now.current.choose()),
      Enter: free(() => now.current.open()),
    };
  }, []);
}

function Heading<T>({ column, order, onOrder }: { column: Column<T>; order: string; onOrder: (order: string) => void }) {
  const direction = order === column.key ? "ascending" : order === `-${column.key}` ? "descending" : "none";
  if (!column.sortable) {
    return (
      <div role="columnheader" className={column.align ?? ""}>
        {column.title}
      </div>
    );
  }
  return (
    <div role="columnheader" className={column.align ?? ""} aria-sort={direction}>
      <button
        type="button"
        title={`Sort by ${column.name ?? String(column.title)}`}
        onClick={() => onOrder(direction === "descending" ? column.key : `-${column.key}`)}
      >
        {column.title}
        <span className={`sort ${direction}`}>
          <Icon name="down" size={10} />
        </span>
      </button>
    </div>
  );
}
