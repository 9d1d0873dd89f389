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

const Context = createContext<Shared>({ domain: [0, 1], cursor: makeCursor() });

export function Timeline({ domain, children }: { domain: Extent; children: ReactNode }) {
  const cursor = useMemo(makeCursor, []);
  const [from, to] = domain;
  const shared = useMemo<Shared>(() => ({ domain: [from, to], cursor }), [from, to, cursor]);
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

/** Pointer handlers for a drawing whose time axis runs from pixel `left` to `right`. */
export function usePointer(left: number, right: number) {
  const { domain, cursor } = useContext(Context);
  return {
    onPointerMove: (event: { clientX: number; currentTarget: Element }) => {
      const x = event.clientX - event.currentTarget.getBoundingClientRect().left;
      cursor.set(invert(domain, [left, right], x));
    },
    onPointerLeave: () => cursor.set(null),
  };
}
