// What the page at hand can do, for the palette: a page names its commands while it is shown.
import { useEffect } from "react";

export interface Command {
  label: string;
  /** The key that does the same, if there is one. */
  keys?: string;
  run: () => void;
}
const shown = new Set<readonly Command[]>();

/** Offers these commands in the palette while the component is mounted. */
export function useCommands(commands: readonly Command[]): void {
  useEffect(() => {
    shown.add(commands);
    return () => {
      shown.delete(commands);
    };
  }, [commands]);
}

export function currentCommands(): Command[] {
  return [...shown].flat();
}
