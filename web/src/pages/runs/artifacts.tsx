// The files of a run, by folder; a press shows one in place.
import { useEffect, useMemo, useState } from "react";
import type { Artifact } from "../../lib/records";
import { address } from "../../lib/api";
import { bytes, plural } from "../../lib/format";
import { useParam } from "../../lib/router";
import { treeOf, type Folder } from "../../lib/tree";
import { Card } from "../../components/basics";
import { Icon } from "../../components/icon";
import { Preview } from "./preview";

const MOST_FILES = 100;
const SEARCHED = 12;
/** What is shown elsewhere on the page stays closed until asked for. */
const ELSEWHERE = "media";

export function Artifacts({ id, files }: { id: string; files: readonly Artifact[] }) {
  const [text, setText] = useState("");
  const low = text.trim().toLowerCase();
  const tree = useMemo(() => treeOf(files.filter((file) => file.path.toLowerCase().includes(low))), [files, low]);
  if (files.length === 0) return null;
  return (
    <Card
      title="Files"
      className="files-card"
      aside={
        <>
          {files.length > SEARCHED && <input type="text" className="small-search" aria-label="Find a file" placeholder="Find a file" value={text} onChange={(event) => setText(event.target.value)} />}
          {plural(tree.count, "file")}, {bytes(tree.size)}
        </>
      }
    >
      <Level id={id} folder={tree} open={low !== ""} />
    </Card>
  );
}

function Level({ id, folder, open }: { id: string; folder: Folder<Artifact>; open: boolean }) {
  const [most, setMost] = useState(MOST_FILES);
  return (
    <>
      <ul className="files">
        {folder.folders.map((below) => (
          <FolderRow key={below.path} id={id} folder={below} open={open} />
        ))}
        {folder.files.slice(0, most).map((file) => (
          <FileRow key={file.path} id={id} file={file} />
        ))}
      </ul>
      {folder.files.length > most && (
        <button type="button" className="ghost more" onClick={() => setMost(most + 500)}>
          show more of {folder.files.length - most}
        </button>
      )}
    </>
  );
}

function FolderRow({ id, folder, open }: { id: string; folder: Folder<Artifact>; open: boolean }) {
  const [chosen] = useParam("file");
  const [own, setOwn] = useState(folder.count <= SEARCHED && folder.name.split("/")[0] !== ELSEWHERE);
  const inside = chosen.startsWith(`${folder.path}/`);
  useEffect(() => {
    if (inside) setOwn(true);
  }, [inside]);
  const shown = own || open;
  return (
    <li>
      <button type="button" aria-expanded={shown} onClick={() => setOwn(!shown)}>
        <Icon name={shown ? "down" : "right"} size={12} />
        <span className="mono">{folder.name}/</span>
      </button>
      <span className="note">
        {plural(folder.count, "file")}, {bytes(folder.size)}
      </span>
      {shown && (
        <div className="below">
          <Level id={id} folder={folder} open={open} />
        </div>
      )}
    </li>
  );
}

function FileRow({ id, file }: { id: string; file: Artifact }) {
  const [chosen, setChosen] = useParam("file");
  const name = file.path.split("/").at(-1) as string;
  const shown = chosen === file.path;
  return (
    <li>
      <button type="button" aria-expanded={shown} onClick={() => setChosen(shown ? "" : file.path)} title={file.path}>
        <Icon name={shown ? "down" : "right"} size={12} />
        <span className="mono">{name}</span>
      </button>
      <span className="note">{bytes(file.size)}</span>
      <a href={address("tracking/read_artifact", { id, path: file.path })} download={name}>
        download
      </a>
      {shown && <Preview id={id} file={file} />}
    </li>
  );
}
