// Ask the model by hand: its inputs by their types, filled with recorded rows; the answer; the same request to copy.
import { useEffect, useState } from "react";
import { ApiError, predict, takes } from "../../lib/api";
import type { LoggedAnswer, Predicted, Route } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { number } from "../../lib/format";
import { Card, Code, Segments, Skeleton, Trouble } from "../../components/basics";
import { Icon } from "../../components/icon";
import { inputsOf, requestOf, snippet, start, written, wrong, type Input, type Typed, type Way } from "./form";
import { latency } from "./words";

const MOST_ROWS = 100;
const WAYS = [
  { value: "curl", label: "curl" },
  { value: "python", label: "Python" },
  { value: "mlflow", label: "MLflow" },
] as const;

interface TryProps {
  model: string;
  routes: readonly Route[];
  /** A logged request that is shown beside: its inputs can be asked again. */
  logged: readonly LoggedAnswer[] | undefined;
  onLook: (request: string) => void;
}

function useInputs(model: string, version: string) {
  const [inputs, setInputs] = useState<Input[] | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [again, setAgain] = useState(0);
  useEffect(() => {
    let current = true;
    takes(model, version).then(
      (document) => {
        if (!current) return;
        setInputs(inputsOf(document));
        setError(null);
      },
      (reason: unknown) => current && setError(reason instanceof ApiError ? reason : new ApiError("unexpected", String(reason), "", 0)),
    );
    return () => {
      current = false;
    };
  }, [model, version, again]);
  return { inputs, error, retry: () => setAgain(again + 1) };
}

export function TryIt(props: TryProps) {
  const [version, setVersion] = useState("");
  const { inputs, error, retry } = useInputs(props.model, version);
  const pick = (
    <label className="try">
      ask{" "}
      <select aria-label="Which version" value={version} onChange={(event) => setVersion(event.target.value)}>
        <option value="">as it is routed</option>
        {props.routes.map((route) => (
          <option key={route.version} value={route.version}>
            v{route.version}, {route.role}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <Card title="Try it" aside={pick} className="try">
      {error !== null ? (
        <>
          <Trouble error={error} />
          <button type="button" className="ghost boxed again" onClick={retry}>
            try again
          </button>
        </>
      ) : inputs === null ? (
        <Skeleton lines={4} />
      ) : (
        <Form key={inputs.map((input) => input.name).join()} {...props} inputs={inputs} version={version} />
      )}
    </Card>
  );
}

function Form({ model, version, inputs, logged, onLook }: TryProps & { inputs: Input[]; version: string }) {
  const [typed, setTyped] = useState(() => start(inputs));
  const [answer, setAnswer] = useState<Predicted | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const odd = wrong(typed);
  const columns = typed.every((one) => one.shape === null);
  const ask = async (event: React.FormEvent) => {
    event.preventDefault();
    setBusy(true);
    try {
      setAnswer(await predict(model, version, requestOf(typed)));
      setError(null);
    } catch (reason) {
      setError(reason instanceof ApiError ? reason : new ApiError("unexpected", String(reason), "", 0));
    }
    setBusy(false);
  };
  const taken = logged?.filter((row) => row.route !== "shadow" && typed.every((one) => one.optional || one.name in row.inputs)) ?? [];
  return (
    <form aria-label="Try it" onSubmit={(event) => void ask(event)}>
      {columns ? <Rows typed={typed} onChange={setTyped} /> : <Tensors typed={typed} onChange={setTyped} />}
      {odd.length > 0 && (
        <p className="bad" role="status">
          Not what it should be: {odd.slice(0, 4).join("; ")}
          {odd.length > 4 && ` and ${odd.length - 4} more`}.
        </p>
      )}
      <p className="try-buttons">
        <button type="submit" className="primary" disabled={busy || odd.length > 0}>
          {busy ? "…" : "ask"}
        </button>
        {columns && (
          <button type="button" className="ghost boxed" disabled={(typed[0]?.texts.length ?? 0) >= MOST_ROWS} onClick={() => setTyped(typed.map((one) => ({ ...one, texts: [...one.texts, one.texts.at(-1) ?? ""] })))}>
            add a row
          </button>
        )}
        <button type="button" className="ghost" onClick={() => setTyped(start(inputs))}>
          recorded rows
        </button>
        {columns && taken.length > 0 && (
          <button type="button" className="ghost" onClick={() => setTyped(typed.map((one) => ({ ...one, texts: taken.map((row) => written(row.inputs[one.name])) })))}>
            rows of the request above
          </button>
        )}
      </p>
      {error !== null && <Trouble error={error} />}
      {error === null && answer !== null && <Answered answer={answer} onLook={onLook} />}
      <Copy model={model} version={version} typed={typed} />
    </form>
  );
}

interface FieldsProps {
  typed: Typed[];
  onChange: (typed: Typed[]) => void;
}

/** A row of fields for each row; columns by their names and datatypes. */
function Rows({ typed, onChange }: FieldsProps) {
  const rows = typed[0]?.texts.length ?? 0;
  const set = (at: number, row: number, text: string) =>
    onChange(typed.map((one, i) => (i === at ? { ...one, texts: one.texts.map((old, r) => (r === row ? text : old)) } : one)));
  const drop = (row: number) => onChange(typed.map((one) => ({ ...one, texts: one.texts.filter((_, r) => r !== row) })));
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label="Inputs">
      <table className="plain stacked inputs">
        <thead>
          <tr>
            {typed.map((one) => (
              <th key={one.name} scope="col">
                <span className="mono">{one.name}</span> {one.datatype.toLowerCase()}
                {one.optional && <span className="optional">, may be left out</span>}
              </th>
            ))}
            <th scope="col" aria-label="Take out" />
          </tr>
        </thead>
        <tbody>
          {Array.from({ length: rows }, (_, row) => (
            <tr key={row} aria-label={`row ${row + 1}`}>
              {typed.map((one, at) => (
                <td key={one.name} data-label={`${one.name} ${one.datatype.toLowerCase()}`}>
                  <Field optional={one.optional} datatype={one.datatype} label={`${one.name}, row ${row + 1}`} value={one.texts[row] ?? ""} onChange={(text) => set(at, row, text)} />
                </td>
              ))}
              <td>
                {rows > 1 && (
                  <button type="button" className="ghost" aria-label={`Take row ${row + 1} out`} onClick={() => drop(row)}>
                    <Icon name="cross" size={14} />
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface FieldProps {
  datatype: string;
  optional: boolean | undefined;
  label: string;
  value: string;
  onChange: (text: string) => void;
}

function Field({ datatype, optional, label, value, onChange }: FieldProps) {
  if (datatype === "BOOL") {
    return (
      <select aria-label={label} value={value} onChange={(event) => onChange(event.target.value)}>
        {optional && <option value="">left out</option>}
        <option>false</option>
        <option>true</option>
      </select>
    );
  }
  const figures = datatype === "BYTES" ? "text" : /INT/.test(datatype) ? "numeric" : "decimal";
  return <input type="text" inputMode={figures} aria-label={label} value={value} placeholder={optional ? "left out" : figures === "decimal" ? "missing" : ""} onChange={(event) => onChange(event.target.value)} />;
}

/** Tensors of more dimensions: their shape, and their values as JSON. */
function Tensors({ typed, onChange }: FieldsProps) {
  const set = (at: number, change: Partial<Typed>) => onChange(typed.map((one, i) => (i === at ? { ...one, ...change } : one)));
  return (
    <ul className="tensors">
      {typed.map((one, at) => (
        <li key={one.name}>
          <label>
            <span className="mono">{one.name}</span> <span className="note">{one.datatype.toLowerCase()}, shape </span>
            <input
              type="text"
              aria-label={`Shape of ${one.name}`}
              value={one.shape?.join(" × ") ?? ""}
              onChange={(event) => set(at, { shape: event.target.value.split(/[^\d]+/).filter(Boolean).map(Number) })}
            />
          </label>
          <textarea className="mono" rows={3} aria-label={`Values of ${one.name}`} value={one.texts[0] ?? ""} onChange={(event) => set(at, { texts: [event.target.value] })} />
        </li>
      ))}
    </ul>
  );
}

function Answered({ answer: { answer, took_ms }, onLook }: { answer: Predicted; onLook: (request: string) => void }) {
  const route = String(answer.parameters?.route ?? "direct");
  const rows = Math.max(0, ...answer.outputs.map((output) => output.shape[0] ?? 0));
  return (
    <section className="answered" aria-label="Answer" role="status">
      <p>
        <b>v{answer.model_version}</b> answered {route === "direct" ? "by name" : `as ${route}`} in <b>{latency(took_ms)}</b>, the way to the data plane and back included.{" "}
        {answer.id !== undefined && (
          <button type="button" className="link" onClick={() => onLook(answer.id ?? "")}>
            see it in the log
          </button>
        )}
      </p>
      <div className="scroll-x" tabIndex={0} role="region" aria-label="Outputs">
        <table className="plain">
          <thead>
            <tr>
              <th scope="col">row</th>
              {answer.outputs.map((output) => (
                <th key={output.name} scope="col" className="mono">
                  {output.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {Array.from({ length: Math.min(rows, MOST_ROWS) }, (_, row) => (
              <tr key={row}>
                <td className="note">{row + 1}</td>
                {answer.outputs.map((output) => {
                  const each = Math.max(1, Math.round(output.data.length / Math.max(1, output.shape[0] ?? 1)));
                  const values = output.data.slice(row * each, row * each + Math.min(each, 12));
                  return (
                    <td key={output.name} className="mono">
                      {values.map((value) => (typeof value === "number" ? number(value, 5) : written(value))).join(", ")}
                      {each > 12 && " …"}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Copy({ model, version, typed }: { model: string; version: string; typed: readonly Typed[] }) {
  const [way, setWay] = useState<Way>("curl");
  const endpoint = useVerb("serving/endpoint", {}).data;
  if (endpoint === undefined || wrong(typed).length > 0) return null;
  return (
    <section className="copy-it">
      <p>
        The same from elsewhere <Segments label="In which words" value={way} options={WAYS} onChange={setWay} />
      </p>
      <Code>{snippet(way, endpoint.rest_url, model, version, typed)}</Code>
    </section>
  );
}
