// Files of runs as text, kept for as long as anything shows them; a new version has a new stamp.
import { useEffect, useState } from "react";

const kept = new Map<string, Promise<string>>();
const MOST = 300;

async function read(url: string): Promise<string> {
  const response = await fetch(url);
  if (!response.ok) {
    const body = (await response.json().catch(() => null)) as { error?: { message?: string } } | null;
    throw new Error(body?.error?.message ?? `the server answered ${response.status}`);
  }
  return response.text();
}

/** The text at an address, asked for once; `stamp` tells versions of it apart. */
export function fetchText(url: string, stamp = ""): Promise<string> {
  const key = `${url}\n${stamp}`;
  let found = kept.get(key);
  if (found === undefined) {
    found = read(url);
    found.catch(() => kept.delete(key)); // asked again the next time
    kept.set(key, found);
    if (kept.size > MOST) kept.delete(kept.keys().next().value as string);
  }
  return found;
}

export interface FileText {
  text: string | null;
  failed: string;
}

/** The text at an address; the last one stays while a newer one comes. `null` asks nothing. */
export function useText(url: string | null, stamp = ""): FileText {
  const [state, setState] = useState<FileText>({ text: null, failed: "" });
  useEffect(() => {
    if (url === null) return undefined;
    let wanted = true;
    fetchText(url, stamp).then(
      (text) => wanted && setState({ text, failed: "" }),
      (error: unknown) => wanted && setState({ text: null, failed: error instanceof Error ? error.message : String(error) }),
    );
    return () => {
      wanted = false;
    };
  }, [url, stamp]);
  return state;
}
