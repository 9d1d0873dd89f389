// Keyboard: single keys and two-key sequences ("g l"), silent while one types.
import { useEffect } from "react";

export type Keymap = Record<string, (event: KeyboardEvent) => void>;
const SEQUENCE_MS = 1200;

function typing(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  if (target instanceof HTMLInputElement) return !/^(checkbox|radio|range|button|submit)$/.test(target.type);
  return target !== null && (/^(TEXTAREA|SELECT)$/.test(target.tagName) || target.isContentEditable);
}

/** Listens while mounted. Keys: "j", "?", "Escape", "g l", "mod+k" (⌘ or Ctrl; heard while typing too). */
export function useKeys(keymap: Keymap): void {
  useEffect(() => {
    let first = "";
    let since = 0;
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented) return;
      if (event.metaKey || event.ctrlKey) {
        keymap[`mod+${event.key.toLowerCase()}`]?.(event);
        return;
      }
      if (event.altKey || typing(event)) return;
      const sequence = event.timeStamp - since < SEQUENCE_MS ? keymap[`${first} ${event.key}`] : undefined;
      (sequence ?? keymap[event.key])?.(event);
      first = sequence ? "" : event.key;
      since = event.timeStamp;
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [keymap]);
}
