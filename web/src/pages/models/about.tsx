// What people say of a model or a version: a description in Markdown, and tags.
import { useState } from "react";
import { Icon } from "../../components/icon";
import { Markdown } from "../../components/markdown";
import { act } from "./act";

interface AboutProps {
  model: string;
  version?: number;
  description: string;
  tags: Record<string, string>;
}

export function About({ model, version, description, tags }: AboutProps) {
  const [writing, setWriting] = useState<string | null>(null);
  const [tag, setTag] = useState("");
  const what = version === undefined ? { model } : { model, version };
  const save = async () => {
    if (await act("registry/annotate", { ...what, description: writing ?? "" }, "The description is kept.")) setWriting(null);
  };
  const add = async (event: React.FormEvent) => {
    event.preventDefault();
    const [key = "", ...rest] = tag.split("=");
    if (key.trim() === "") return;
    if (await act("registry/annotate", { ...what, tags: { [key.trim()]: rest.join("=").trim() } }, "Tagged.")) setTag("");
  };
  const take = (key: string, value: string) =>
    void act("registry/delete_tag", { ...what, key }, `The tag ${key} is taken off.`, () => void act("registry/annotate", { ...what, tags: { [key]: value } }, "Tagged again."));
  return (
    <div className="about">
      {writing !== null ? (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void save();
          }}
        >
          <textarea autoFocus aria-label="Description" placeholder="Markdown" rows={4} maxLength={8000} value={writing} onChange={(event) => setWriting(event.target.value)} />
          <button type="submit" className="ghost">save</button>
          <button type="button" className="ghost" onClick={() => setWriting(null)}>leave as it was</button>
        </form>
      ) : (
        description !== "" && <Markdown text={description} />
      )}
      <ul className="tags">
        {Object.entries(tags).map(([key, value]) => (
          <li key={key} title={value}>
            <span className="note">{key}</span> {value}
            <button type="button" aria-label={`Take off the tag ${key}`} onClick={() => take(key, value)}>
              <Icon name="cross" size={10} />
            </button>
          </li>
        ))}
        <li className="adding">
          <form onSubmit={(event) => void add(event)}>
            <input type="text" aria-label={version === undefined ? "Add a tag to the model" : "Add a tag to the version"} placeholder="tag=value" value={tag} onChange={(event) => setTag(event.target.value)} />
          </form>
        </li>
        {writing === null && (
          <li className="adding">
            <button type="button" className="ghost" onClick={() => setWriting(description)}>
              {description === "" ? "describe it" : "edit the description"}
            </button>
          </li>
        )}
      </ul>
    </div>
  );
}
