// Everything a version carries: metrics against the version before, gates, ONNX agreement, signature, files.
import type { ModelVersion } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { spell } from "../../lib/describe";
import { bytes, number, plural, short, signed } from "../../lib/format";
import { Link, path } from "../../lib/router";
import { Card } from "../../components/basics";
import { Icon } from "../../components/icon";
import { LineageCard } from "../../components/lineage-card";
import { lessIsBetter } from "../runs/better";
import { Gates } from "./gates";
import { Importances } from "./importances";

export function VersionDetail({ version, previous }: { version: ModelVersion; previous: ModelVersion | undefined }) {
  return (
    <div className="stack">
      {version.description && <p className="note">{version.description}</p>}
      <Card title={`Metrics of v${version.version}`} aside={previous ? `against v${previous.version}` : undefined}>
        <Metrics version={version} previous={previous} />
      </Card>
      <Gates gates={version.gates} status={version.status} />
      <ImportanceCard version={version} />
      <div className="two">
        <Package version={version} />
        <Environment version={version} />
      </div>
      <Signature version={version} />
      <LineageCard kind="model" asset={version.model} version={version.version} />
    </div>
  );
}

function Metrics({ version, previous }: { version: ModelVersion; previous: ModelVersion | undefined }) {
  const entries = Object.entries(version.metrics);
  if (entries.length === 0) return <p className="quiet">No metrics were recorded with this version.</p>;
  return (
    <dl className="figures">
      {entries.map(([key, value]) => {
        const before = previous?.metrics[key];
        const change = value != null && before != null ? value - before : null;
        const better = change === null || change === 0 ? null : change > 0 !== lessIsBetter(key);
        return (
          <div key={key}>
            <dt>{spell(key)}</dt>
            <dd className="figure">{number(value)}</dd>
            {change !== null && (
              <dd className={`change ${better === null ? "" : better ? "ok" : "bad"}`}>
                {signed(change)} {better === null ? "the same" : better ? "better" : "worse"}
              </dd>
            )}
          </div>
        );
      })}
    </dl>
  );
}

function ImportanceCard({ version }: { version: ModelVersion }) {
  const importance = useVerb("explain/importance", { model: version.model, version: version.version });
  // Computing it is optional; without an answer the page is complete.
  if (importance.data === undefined || importance.data.length === 0) return null;
  return (
    <Card title="What it looks at" aside="share of gain">
      <Importances importances={importance.data} />
    </Card>
  );
}

function Package({ version }: { version: ModelVersion }) {
  const { onnx } = version;
  return (
    <Card title="Package" aside={bytes(version.size)}>
      <dl className="facts-list">
        <div>
          <dt>flavour</dt>
          <dd>{version.flavor}</dd>
        </div>
        <div>
          <dt>digest</dt>
          <dd className="mono" title={version.digest}>
            {short(version.digest)}
          </dd>
        </div>
        <div>
          <dt>ONNX form</dt>
          <dd>
            {onnx === null || !onnx.available ? (
              <span className="state quiet">
                <Icon name="dash" size={12} /> none{onnx?.reason ? `: ${onnx.reason}` : ""}
              </span>
            ) : (
              <span className={`state ${onnx.agrees ? "ok" : "bad"}`}>
                <Icon name={onnx.agrees ? "check" : "cross"} size={12} /> {onnx.agrees ? "agrees" : "differs"}
                <span className="note">
                  {" "}
                  to {number(onnx.max_difference)}, {number(onnx.tolerance)} allowed
                </span>
              </span>
            )}
          </dd>
        </div>
        {version.data.map((read) => (
          <div key={read.table}>
            <dt>learnt from</dt>
            <dd>
              <Link to={path("data", read.table)}>
                {read.table} v{read.version}
              </Link>
            </dd>
          </div>
        ))}
        {version.run_id !== null && (
          <div>
            <dt>made by</dt>
            <dd>
              <Link to={path("runs", version.run_id)}>run {version.run_id.slice(0, 8)}</Link>
            </dd>
          </div>
        )}
        {Object.entries(version.files).map(([file, digest]) => (
          <div key={file}>
            <dt className="mono">{file}</dt>
            <dd className="mono note" title={digest}>
              {short(digest)}
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

function Environment({ version }: { version: ModelVersion }) {
  const params = Object.entries(version.params);
  return (
    <Card title="Parameters and environment" aside={plural(version.environment.length, "library", "libraries")}>
      <dl className="facts-list">
        {params.map(([key, value]) => (
          <div key={key}>
            <dt>{key}</dt>
            <dd className="mono">{typeof value === "object" ? JSON.stringify(value) : String(value)}</dd>
          </div>
        ))}
      </dl>
      <p className="environment mono">{version.environment.join("  ")}</p>
    </Card>
  );
}

function Signature({ version }: { version: ModelVersion }) {
  if (version.signature === null) return null;
  const { inputs, outputs } = version.signature;
  return (
    <Card title="Signature" aside={`${plural(inputs.length, "input")}, ${plural(outputs.length, "output")}`}>
      <div className="signature">
        {[...inputs.map((f) => ({ f, way: "in" })), ...outputs.map((f) => ({ f, way: "out" }))].map(({ f, way }) => (
          <span key={`${way}${f.name}`} className={`field ${way}`}>
            <span className="mono">{f.name}</span>
            <span className="note">
              {f.dtype}
              {f.shape.length > 0 && ` [${f.shape.map((n) => (n === null || n < 0 ? "n" : n)).join(", ")}]`}
            </span>
          </span>
        ))}
      </div>
    </Card>
  );
}
