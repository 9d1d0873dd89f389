// One time axis for a whole page: every chart under a Timeline shares its domain and its cursor.
import { createContext, useContext, useMemo, useSyncExternalStore, type ReactNode } from "react";
import { invert, type Extent } from "../lib/scale";

interface Cursor {
  get: () => number | null;
  set: (at: number | null) => void;
  watch: (watcher: () => void) => () => void;
}
interface Shared {
  domain: Extent;
  cursor: Cursor;
  /** The other end of a stretch that is being drawn, while a pointer is down. */
  began: Cursor;
  zoom: ((to: Extent | null) => void) | undefined;
}

function makeCursor(): Cursor {
  let at: number | null = null;
  const watchers = new Set<() => void>();
  return {
    get: () => at,
    set: (next) => {
      if (next === at) return;
      at = next;
      for (const watcher of watchers) watcher();
    },
    watch: (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
}

const Context = createContext<Shared>({ domain: [0, 1], cursor: makeCursor(), began: makeCursor(), zoom: undefined });

interface TimelineProps {
  domain: Extent;
  /** What to do with a stretch that somebody draws; null when they want all of it back. */
  onZoom?: (to: Extent | null) => void;
  children: ReactNode;
}

export function Timeline({ domain, onZoom, children }: TimelineProps) {
  const [cursor, began] = useMemo(() => [makeCursor(), makeCursor()], []);
  const [from, to] = domain;
  const shared = useMemo<Shared>(() => ({ domain: [from, to], cursor, began, zoom: onZoom }), [from, to, cursor, began, onZoom]);
  return <Context value={shared}>{children}</Context>;
}

export function useDomain(): Extent {
  return useContext(Context).domain;
}

/** The time under the cursor anywhere on the page, or null. Redraws only who asks. */
export function useCursor(): number | null {
  const { cursor } = useContext(Context);
  return useSyncExternalStore(cursor.watch, cursor.get);
}

export function useSetCursor(): (at: number | null) => void {
  return useContext(Context).cursor.set;
}

/** The stretch that is being drawn with the pointer anywhere on the page, or null. */
export function useStretch(): Extent | null {
  const { cursor, began } = useContext(Context);
  const from = useSyncExternalStore(began.watch, began.get);
  const to = useSyncExternalStore(cursor.watch, cursor.get);
  return from === null || to === null ? null : [Math.min(from, to), Math.max(from, to)];
}

// A pointer that hardly moves between down and up is a click.
const DRAWN = 6;

/** Pointer handlers for a drawing whose time axis runs from pixel `left` to `right`. */
export function usePointer(left: number, right: number) {
  const { domain, cursor, began, zoom } = useContext(Context);
  const place = (event: { clientX: number; currentTarget: Element }) => {
    const x = event.clientX - event.currentTarget.getBoundingClientRect().left;
    return invert(domain, [left, right], Math.min(right, Math.max(left, x)));
  };
  const pixel = (right - left === 0 ? 0 : (domain[1] - domain[0]) / (right - left)) || Number.MIN_VALUE;
  const shown = {
    onPointerMove: (event: { clientX: number; currentTarget: Element }) => cursor.set(place(event)),
    onPointerLeave: () => {
      cursor.set(null);
      began.set(null);
    },
  };
  if (zoom === undefined) return shown;
  return {
    ...shown,
    onPointerDown: (event: { clientX: number; button: number; currentTarget: Element }) => {
      if (event.button === 0) began.set(place(event));
    },
    onPointerUp: (event: { clientX: number; currentTarget: Element }) => {
      const from = began.get();
      const to = place(event);
      began.set(null);
      if (from !== null && Math.abs(to - from) > DRAWN * pixel) zoom([Math.min(from, to), Math.max(from, to)]);
    },
    onDoubleClick: () => zoom(null),
  };
}
