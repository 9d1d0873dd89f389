// What was just done, said once at the foot of the page, with a way back where there is one.
import { useEffect, useSyncExternalStore } from "react";

interface Told {
  id: number;
  text: string;
  undo: (() => void) | null;
}
const STAYS_MS = 10_000;
let told: Told | null = null;
let last = 0;
const watchers = new Set<() => void>();

function show(next: Told | null): void {
  told = next;
  for (const watcher of watchers) watcher();
}

/** Says that something was done; `undo` offers to take it back for ten seconds. */
export function tell(text: string, undo: (() => void) | null = null): void {
  last += 1;
  show({ id: last, text, undo });
}

export function Toasts() {
  const now = useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => told,
  );
  useEffect(() => {
    if (now === null) return undefined;
    const timer = window.setTimeout(() => show(null), STAYS_MS);
    return () => window.clearTimeout(timer);
  }, [now]);
  return (
    <div className="toasts" role="status">
      {now !== null && (
        <p className="toast" key={now.id}>
          {now.text}
          {now.undo !== null && (
            <button
              type="button"
              className="link"
              onClick={() => {
                show(null);
                now.undo?.();
              }}
            >
              undo
            </button>
          )}
        </p>
      )}
    </div>
  );
}
