// Everything a version carries: metrics against the version before, gates, ONNX agreement, signature, files.
import type { Field, ModelVersion } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { spell } from "../../lib/describe";
import { brief, bytes, number, plural, short, signed } from "../../lib/format";
import { Link, path } from "../../lib/router";
import { Card } from "../../components/basics";
import { Icon } from "../../components/icon";
import { LineageCard } from "../../components/lineage-card";
import { About } from "./about";
import { Gates } from "./gates";
import { Importances } from "./importances";
import { VersionActions } from "./version-actions";
import { VersionDiffCard } from "./version-diff";

export function VersionDetail({ version, versions }: { version: ModelVersion; versions: readonly ModelVersion[] }) {
  const previous = versions.find((other) => other.version < version.version);
  return (
    <div className="stack">
      <VersionActions version={version} versions={versions} />
      <About model={version.model} version={version.version} description={version.description} tags={version.tags} />
      <Card title={`Metrics of v${version.version}`} aside={previous ? `change since v${previous.version}, each on its own validation data` : undefined}>
        <Metrics version={version} previous={previous} />
      </Card>
      <Gates gates={version.gates} status={version.status} />
      <VersionDiffCard version={version} others={versions.filter((other) => other !== version)} />
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
        return (
          <div key={key}>
            <dt>{spell(key)}</dt>
            <dd className="figure">{number(value)}</dd>
            {change !== null && <dd className="note">{change === 0 ? "the same" : signed(change)}</dd>}
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
    <Card title="What it looks at" aside="share of the gain in training · how far shuffling it moves the prediction">
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
            {!onnx.available ? (
              <span className="state quiet">
                <Icon name="dash" size={12} /> none{onnx.reason ? `: ${onnx.reason}` : ""}
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
            <dd className="mono" title={value}>
              {brief(value)}
            </dd>
          </div>
        ))}
      </dl>
      <p className="environment mono">{version.environment.join("  ")}</p>
    </Card>
  );
}

function shapeText(shape: readonly number[]): string {
  return `[${shape.map((n) => (n < 0 ? "n" : n)).join(", ")}]`;
}

/** What goes in and what comes out. Columns of one tensor are told once, in their order. */
function Signature({ version }: { version: ModelVersion }) {
  const { inputs, outputs, tensor } = version.signature;
  return (
    <Card title="Signature" aside={`${plural(inputs.length, "input")}, ${plural(outputs.length, "output")}`}>
      <dl className="signature">
        <dt>
          takes{" "}
          {tensor !== null && (
            <span className="mono">
              {tensor} {inputs[0]?.dtype} [n, {inputs.length}]
            </span>
          )}
        </dt>
        <dd>
          {inputs.map((field) => (
            <span key={field.name} className="field">
              <span className="mono">{field.name}</span>
              {tensor === null && <FieldType field={field} />}
            </span>
          ))}
        </dd>
        <dt>gives</dt>
        <dd>
          {outputs.map((field) => (
            <span key={field.name} className="field out">
              <span className="mono">{field.name}</span>
              <FieldType field={field} />
            </span>
          ))}
        </dd>
      </dl>
    </Card>
  );
}

function FieldType({ field }: { field: Field }) {
  return (
    <span className="note">
      {field.dtype} {shapeText(field.shape)}
    </span>
  );
}
