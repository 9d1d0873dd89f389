// The files of a run. Words are shown as words; pictures and reports in a frame that runs nothing.
import { useEffect, useMemo, useState } from "react";
import type { Artifact } from "../../lib/records";
import { address, basePath } from "../../lib/api";
import { parseCsv } from "../../lib/csv";
import { useVerb } from "../../lib/query";
import { bytes, plural } from "../../lib/format";
import { useParam } from "../../lib/router";
import { Card, Skeleton } from "../../components/basics";
import { Icon } from "../../components/icon";

const TEXT = /\.(txt|log|md|csv|tsv|json|jsonl|ya?ml|toml|ini|cfg|py|sql|xml)$|(^|\/)(MLmodel|Dockerfile|Makefile)$/i;
const FRAMED = /\.(html|png|jpe?g|gif|webp|svg)$/i;
const MOST_BYTES = 4 << 20;
const MOST_ROWS = 200;
const MOST_FILES = 100;

export function Artifacts({ id }: { id: string }) {
  const artifacts = useVerb("tracking/list_artifacts", { id });
  const [open, setOpen] = useParam("file");
  const [most, setMost] = useState(MOST_FILES);
  const files = artifacts.data ?? [];
  if (files.length === 0) return null;
  return (
    <Card title="Files" aside={plural(files.length, "file")}>
      <ul className="files">
        {files.slice(0, most).map((file) => (
          <li key={file.path}>
            <button type="button" aria-expanded={open === file.path} onClick={() => setOpen(open === file.path ? "" : file.path)}>
              <Icon name={open === file.path ? "down" : "right"} size={12} />
              <span className="mono">{file.path}</span>
            </button>
            <span className="note">{bytes(file.size)}</span>
            <a href={address("tracking/read_artifact", { id, path: file.path })} download={file.path.split("/").at(-1)}>
              download
            </a>
            {open === file.path && <Preview id={id} file={file} />}
          </li>
        ))}
      </ul>
      {files.length > most && (
        <button type="button" className="ghost more" onClick={() => setMost(most + 500)}>
          show more of {files.length - most}
        </button>
      )}
    </Card>
  );
}

function Preview({ id, file }: { id: string; file: Artifact }) {
  const url = `${basePath}preview/${encodeURIComponent(id)}/${file.path.split("/").map(encodeURIComponent).join("/")}`;
  if (file.size > MOST_BYTES) return <p className="note preview">Larger than what is shown here: download it.</p>;
  if (FRAMED.test(file.path)) return <iframe className="preview" sandbox="" src={url} title={file.path} loading="lazy" />;
  if (TEXT.test(file.path)) return <Words url={url} path={file.path} />;
  return <p className="note preview">This kind of file is not shown: download it.</p>;
}

function Words({ url, path }: { url: string; path: string }) {
  const [text, setText] = useState<string | null>(null);
  const [failed, setFailed] = useState("");
  useEffect(() => {
    let wanted = true;
    fetch(url)
      .then(async (response) => {
        if (!response.ok) throw new Error(`the server answered ${response.status}`);
        const read = await response.text();
        if (wanted) setText(read);
      })
      .catch((error: unknown) => wanted && setFailed(String(error)));
    return () => {
      wanted = false;
    };
  }, [url]);
  if (failed) return <p className="note preview" role="alert">It could not be read: {failed}.</p>;
  if (text === null) return <Skeleton lines={4} />;
  if (/\.[ct]sv$/i.test(path)) return <Sheet text={text} />;
  return (
    <pre className="preview mono" tabIndex={0}>
      {/\.json$/i.test(path) ? pretty(text) : text}
    </pre>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function Sheet({ text }: { text: string }) {
  const [head = [], ...rows] = useMemo(() => parseCsv(text, MOST_ROWS + 2), [text]);
  return (
    <div className="preview scroll-x" tabIndex={0} role="region" aria-label="Table">
      <table className="plain">
        <thead>
          <tr>
            {head.map((name, i) => (
              <th key={i} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, MOST_ROWS).map((row, i) => (
            <tr key={i}>
              {row.map((field, j) => (
                <td key={j} className="mono">
                  {field}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > MOST_ROWS && <p className="note">The first {MOST_ROWS} rows.</p>}
    </div>
  );
}
