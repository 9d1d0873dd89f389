// What people say of a run: a note and tags, written where they are read.
import { useState } from "react";
import { ApiError, post } from "../../lib/api";
import { invalidate } from "../../lib/query";
import type { Run } from "../../lib/records";
import { Card } from "../../components/basics";
import { Icon } from "../../components/icon";
import { Markdown } from "../../components/markdown";
import { tell } from "../../components/toast";

/** The tag MLflow keeps a run's description in, so that both show the same. */
const NOTE = "mlflow.note.content";
const MOST_CHARS = 8000;

export function Notes({ run }: { run: Run }) {
  const [writing, setWriting] = useState<string | null>(null);
  const [tag, setTag] = useState("");
  const [trouble, setTrouble] = useState("");
  const tags = Object.entries(run.tags).filter(([key]) => key !== NOTE);
  const note = run.tags[NOTE] ?? "";
  const save = async (changed: Record<string, string>) => {
    try {
      await post("tracking/set_tags", { id: run.id, tags: changed });
      setTrouble("");
      setWriting(null);
      setTag("");
      invalidate(["tracking/"]);
    } catch (error) {
      setTrouble(error instanceof ApiError ? `${error.message} ${error.hint}` : String(error));
    }
  };
  const take = async (key: string, value: string) => {
    try {
      await post("tracking/delete_tag", { id: run.id, key });
      invalidate(["tracking/"]);
      tell(`The tag ${key} is taken off.`, () => void save({ [key]: value }));
    } catch (error) {
      setTrouble(error instanceof ApiError ? `${error.message} ${error.hint}` : String(error));
    }
  };
  const add = (event: React.FormEvent) => {
    event.preventDefault();
    const [key = "", ...rest] = tag.split("=");
    if (key.trim() !== "") void save({ [key.trim()]: rest.join("=").trim() });
  };
  return (
    <Card
      title="Notes and tags"
      className="notes"
      aside={
        writing === null && (
          <button type="button" className="ghost" onClick={() => setWriting(note)}>
            {note === "" ? "write a note" : "edit the note"}
          </button>
        )
      }
    >
      {writing !== null ? (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void save({ [NOTE]: writing });
          }}
        >
          <textarea
            autoFocus
            aria-label="Note"
            placeholder="Markdown; Ctrl Enter saves"
            rows={5}
            maxLength={MOST_CHARS}
            value={writing}
            onChange={(event) => setWriting(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Escape") setWriting(null);
              if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) void save({ [NOTE]: writing });
            }}
          />
          <button type="submit" className="ghost">
            save
          </button>
          <button type="button" className="ghost" onClick={() => setWriting(null)}>
            leave as it was
          </button>
        </form>
      ) : (
        note !== "" && (
          <div className="note-text">
            <Markdown text={note} />
          </div>
        )
      )}
      <ul className="tags">
        {tags.map(([key, value]) => (
          <li key={key} title={value}>
            <span className="note">{key}</span> {value}
            <button type="button" aria-label={`Take off the tag ${key}`} onClick={() => void take(key, value)}>
              <Icon name="cross" size={10} />
            </button>
          </li>
        ))}
        <li className="adding">
          <form onSubmit={add}>
            <input type="text" aria-label="Add a tag" placeholder="tag=value" value={tag} onChange={(event) => setTag(event.target.value)} />
          </form>
        </li>
      </ul>
      {trouble && (
        <p className="quiet" role="alert">
          {trouble}
        </p>
      )}
    </Card>
  );
}
