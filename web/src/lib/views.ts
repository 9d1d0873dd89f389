// Views that a person kept: a name and the address that shows it. They stay in this browser.
import { useSyncExternalStore } from "react";

export interface View {
  name: string;
  /** The query of the address, without "?". */
  query: string;
}
const KEY = "homeostat:run-views";
const MOST = 50;
const watchers = new Set<() => void>();
let known: { text: string | null; views: View[] } = { text: null, views: [] };

function isView(value: unknown): value is View {
  const view = value as View | null;
  return typeof view?.name === "string" && typeof view.query === "string";
}

function read(): View[] {
  let text: string | null = null;
  try {
    text = localStorage.getItem(KEY);
  } catch {
    return known.views; // storage is forbidden: what was kept lasts as long as the page
  }
  if (text !== known.text) {
    let views: unknown = [];
    try {
      views = JSON.parse(text ?? "[]");
    } catch {
      views = [];
    }
    known = { text, views: Array.isArray(views) ? views.filter(isView) : [] };
  }
  return known.views;
}

function write(views: View[]): void {
  const text = JSON.stringify(views.slice(0, MOST));
  known = { text, views: views.slice(0, MOST) };
  try {
    localStorage.setItem(KEY, text);
  } catch {
    // kept for this page only
  }
  for (const watcher of watchers) watcher();
}

/** Keeps a view; one of the same name is replaced. */
export function saveView(name: string, query: string): void {
  write([...read().filter((view) => view.name !== name), { name, query }]);
}

export function forgetView(name: string): void {
  write(read().filter((view) => view.name !== name));
}

export function useViews(): View[] {
  return useSyncExternalStore((watcher) => {
    watchers.add(watcher);
    window.addEventListener("storage", watcher);
    return () => {
      watchers.delete(watcher);
      window.removeEventListener("storage", watcher);
    };
  }, read);
}
