// What a run printed: its last lines, following while it goes on.
import { useEffect, useMemo, useRef, useState } from "react";
import type { Artifact } from "../../lib/records";
import { useText } from "../../lib/files";
import { previewUrl } from "../../lib/media";
import { bytes, count } from "../../lib/format";
import { Card, Skeleton } from "../../components/basics";

export const CONSOLE = "console.txt";
const PART = 256 << 10;

/** Colours and cursor moves of a terminal, which mean nothing here. */
export function unstyled(text: string): string {
  return text.replace(/\u001b(\[[0-9;?]*[A-Za-z]|\][^\u0007]*\u0007|[()][A-Z0-9])/g, "");
}

export function Console({ id, file, live }: { id: string; file: Artifact; live: boolean }) {
  const { text, failed } = useText(previewUrl(id, file.path, "tail"), file.digest);
  const [find, setFind] = useState("");
  const box = useRef<HTMLPreElement>(null);
  const follow = useRef(true);
  const lines = useMemo(() => unstyled(text ?? "").replace(/\n$/, "").split("\n"), [text]);
  const low = find.trim().toLowerCase();
  const shown = low === "" ? lines : lines.filter((line) => line.toLowerCase().includes(low));
  useEffect(() => {
    // Whoever has scrolled up to read stays there.
    if (box.current && follow.current) box.current.scrollTop = box.current.scrollHeight;
  }, [shown.length, text]);
  return (
    <Card
      title="Console"
      className="console-card"
      aside={
        <>
          <input type="text" className="small-search" aria-label="Find in the console" placeholder="Find" value={find} onChange={(event) => setFind(event.target.value)} />
          <span>
            {low !== "" && `${count(shown.length)} of `}
            {count(lines.length)} {lines.length === 1 ? "line" : "lines"}
            {file.size > PART && `, the last of ${bytes(file.size)}`}
            {live && ", as they come"}
          </span>
        </>
      }
    >
      {failed ? (
        <p className="note" role="alert">It could not be read: {failed}.</p>
      ) : text === null ? (
        <Skeleton lines={4} />
      ) : (
        <pre
          ref={box}
          className="preview mono console"
          tabIndex={0}
          onScroll={(event) => {
            const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
            follow.current = scrollHeight - scrollTop - clientHeight < 24;
          }}
        >
          {shown.join("\n")}
        </pre>
      )}
    </Card>
  );
}
