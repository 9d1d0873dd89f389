// One file of a run, looked at in place: words and tables as the page's own, pictures and reports without power.
import { useMemo, useState } from "react";
import type { Artifact } from "../../lib/records";
import { parseCsv } from "../../lib/csv";
import { useText } from "../../lib/files";
import { previewUrl } from "../../lib/media";
import { useVerb } from "../../lib/query";
import { bytes, count } from "../../lib/format";
import { Answer, Segments, Skeleton } from "../../components/basics";
import { Markdown } from "../../components/markdown";
import { DataTable } from "../media/data-table";

const TEXT = /\.(txt|log|md|csv|tsv|json|jsonl|ya?ml|toml|ini|cfg|py|sql|xml)$|(^|\/)(MLmodel|Dockerfile|Makefile)$/i;
const FRAMED = /\.(html|svg)$/i;
const PICTURE = /\.(png|jpe?g|gif|webp)$/i;
const SOUND = /\.(wav|ogg|flac|mp3)$/i;
const TABLE = /\.(parquet|arrow|feather)$/i;
const MOST_BYTES = 4 << 20;
const MOST_ROWS = 1000;

export function Preview({ id, file }: { id: string; file: Artifact }) {
  const url = previewUrl(id, file.path);
  const long = file.size > MOST_BYTES;
  if (TABLE.test(file.path)) return <Sheet id={id} path={file.path} />;
  if (TEXT.test(file.path)) return <Words id={id} file={file} long={long} />;
  if (long) return <p className="note preview">{bytes(file.size)} is larger than what is shown here: download it.</p>;
  if (PICTURE.test(file.path)) return <img className="preview-picture" src={url} alt={file.path} loading="lazy" />;
  if (SOUND.test(file.path)) return <audio className="preview-sound" controls preload="none" src={url} aria-label={file.path} />;
  if (FRAMED.test(file.path)) return <iframe className="preview" sandbox="" src={url} title={file.path} loading="lazy" />;
  return <p className="note preview">This kind of file is not shown: download it.</p>;
}

function Sheet({ id, path }: { id: string; path: string }) {
  const table = useVerb("tracking/preview_table", { id, path, limit: MOST_ROWS });
  return (
    <div className="preview-wide">
      <Answer query={table} lines={4}>
        {(found) => (
          <>
            <DataTable columns={found.columns} notes={found.types} rows={found.rows} total={found.total} />
            {found.all_columns > found.columns.length && (
              <p className="note">
                The first {found.columns.length} of {count(found.all_columns)} columns.
              </p>
            )}
          </>
        )}
      </Answer>
    </div>
  );
}

function Words({ id, file, long }: { id: string; file: Artifact; long: boolean }) {
  const [end, setEnd] = useState<"head" | "tail">(/\.log$/i.test(file.path) ? "tail" : "head");
  const formed = !long && /\.(csv|tsv|md|json)$/i.test(file.path);
  const [plain, setPlain] = useState(false);
  const { text, failed } = useText(previewUrl(id, file.path, long ? end : undefined), file.digest);
  if (failed) return <p className="note preview" role="alert">It could not be read: {failed}.</p>;
  if (text === null) return <Skeleton lines={4} />;
  return (
    <div className="preview-wide">
      {(long || formed) && (
        <div className="preview-bar">
          {long && (
            <>
              <Segments label="Part" value={end} options={[{ value: "head", label: "first lines" }, { value: "tail", label: "last lines" }]} onChange={setEnd} />
              <span className="note">
                {bytes(text.length)} of {bytes(file.size)}
              </span>
            </>
          )}
          {formed && (
            <label className="check">
              <input type="checkbox" checked={plain} onChange={(event) => setPlain(event.target.checked)} />
              as it is written
            </label>
          )}
        </div>
      )}
      <Formed path={file.path} text={text} plain={plain || long} />
    </div>
  );
}

function Formed({ path, text, plain }: { path: string; text: string; plain: boolean }) {
  if (!plain && /\.[ct]sv$/i.test(path)) return <Csv text={text} />;
  if (!plain && /\.md$/i.test(path)) return <Markdown text={text} />;
  return (
    <pre className="preview mono" tabIndex={0}>
      {!plain && /\.json$/i.test(path) ? pretty(text) : text}
    </pre>
  );
}

function Csv({ text }: { text: string }) {
  const [head = [], ...rows] = useMemo(() => parseCsv(text, MOST_ROWS + 2), [text]);
  const cut = rows.length > MOST_ROWS;
  return (
    <>
      <DataTable columns={head} rows={rows.slice(0, MOST_ROWS)} />
      {cut && <p className="note">The first {count(MOST_ROWS)} rows.</p>}
    </>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
