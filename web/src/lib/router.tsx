// Addresses carry the whole state of a view: path for the page, query for sort, filter and span.
import { useSyncExternalStore, type AnchorHTMLAttributes, type MouseEvent } from "react";
import { basePath } from "./api";

const CHANGED = "homeostat:navigated";

function subscribe(watcher: () => void): () => void {
  window.addEventListener("popstate", watcher);
  window.addEventListener(CHANGED, watcher);
  return () => {
    window.removeEventListener("popstate", watcher);
    window.removeEventListener(CHANGED, watcher);
  };
}

/** The browser address of a path inside the application ("/runs" → "/prefix/runs"). */
export function href(path: string): string {
  return basePath + path.replace(/^\//, "");
}

/** Goes to a path inside the application; `replace` keeps the history free of every keystroke. */
export function navigate(path: string, options: { replace?: boolean } = {}): void {
  const target = href(path);
  if (target === location.pathname + location.search) return;
  history[options.replace ? "replaceState" : "pushState"](null, "", target);
  window.dispatchEvent(new Event(CHANGED));
  if (!options.replace) window.scrollTo(0, 0);
}

function currentPath(): string {
  const { pathname } = location;
  return "/" + (pathname.startsWith(basePath) ? pathname.slice(basePath.length) : pathname.slice(1));
}

/** The path as decoded parts: "/models/flight-delay" → ["models", "flight-delay"]. */
export function usePath(): string[] {
  const path = useSyncExternalStore(subscribe, currentPath);
  return path
    .split("/")
    .filter(Boolean)
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
}

/** One value of the address's query, and how to change it ("" removes it). */
export function useParam(name: string, fallback = ""): [string, (value: string) => void] {
  const search = useSyncExternalStore(subscribe, () => location.search);
  const value = new URLSearchParams(search).get(name) ?? fallback;
  return [value, (next) => setParams({ [name]: next === fallback ? "" : next })];
}

/** Changes several values of the query at once. */
export function setParams(values: Record<string, string>): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  navigate(currentPath() + (text ? `?${text}` : ""), { replace: true });
}

/** A path from parts, each escaped: path("models", "a/b") → "/models/a%2Fb". */
export function path(...parts: (string | number)[]): string {
  return "/" + parts.map((part) => encodeURIComponent(part)).join("/");
}

export function Link({ to, onClick, ...rest }: { to: string } & AnchorHTMLAttributes<HTMLAnchorElement>) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    navigate(to);
  };
  return <a href={href(to)} onClick={follow} {...rest} />;
}
