import { useEffect } from "react";
import { invalidate } from "../../lib/query";

/** Asks again for what is shown below these paths every so often, while somebody looks. */
export function usePoll(prefixes: readonly string[], everyMs: number): void {
  const all = prefixes.join(" ");
  useEffect(() => {
    const timer = window.setInterval(() => {
      if (!document.hidden) invalidate(all.split(" "));
    }, everyMs);
    return () => window.clearInterval(timer);
  }, [all, everyMs]);
}
