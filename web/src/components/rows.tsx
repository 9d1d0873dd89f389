// A table that draws only the rows in sight: a hundred thousand rows cost as much as thirty.
import { useEffect, useLayoutEffect, useRef, useState, type ReactNode } from "react";
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
  const template = columns.map((column) => column.width).join(" ");
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
  const press = (event: React.KeyboardEvent) => {
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
            className={`row ${first + i === active ? "active" : ""}`}
            style={{ gridTemplateColumns: template, height: rowHeight, top: (first + i) * rowHeight }}
            onClick={(event) => {
              if (!(event.target as Element).closest("a,button")) props.onOpen(row);
            }}
          >
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
