// How a deployment is asked: its queue, its replicas, who may ask, what is logged; said in phrases, changed in a form.
import { useState } from "react";
import type { Deployment, DeploymentChange } from "../../lib/records";
import { Card } from "../../components/basics";
import { Outdated } from "./outdated";
import { change } from "./act";
import { alike, changed, changes, GROUPS, textsOf, type Field, type Options, type Texts } from "./options";
import { byDefault, served } from "./words";

interface OptionsProps {
  deployment: Deployment;
  history: readonly DeploymentChange[];
}
/** What somebody types, and the deployment that they began with. */
interface Draft {
  began: Deployment;
  texts: Texts;
}

export function OptionsCard({ deployment, history }: OptionsProps) {
  const [draft, setDraft] = useState<Draft | null>(null);
  const told = served(deployment);
  const opener = (
    <button type="button" className="ghost boxed" onClick={() => setDraft({ began: deployment, texts: textsOf(deployment) })}>
      change
    </button>
  );
  return (
    <Card title="How it is served" aside={draft === null && opener} className="options-card">
      {draft !== null ? (
        <OptionsForm deployment={deployment} draft={draft} latest={history[0]} onType={(texts) => setDraft({ ...draft, texts })} onClose={() => setDraft(null)} />
      ) : told.length === 0 ? (
        <p className="note">{byDefault(deployment)}</p>
      ) : (
        <ul className="served note" aria-label="How it is served">
          {told.map((phrase) => (
            <li key={phrase}>{phrase}</li>
          ))}
        </ul>
      )}
    </Card>
  );
}

interface FormProps {
  deployment: Deployment;
  draft: Draft;
  latest: DeploymentChange | undefined;
  onType: (texts: Texts) => void;
  onClose: () => void;
}

function OptionsForm({ deployment, draft, latest, onType, onClose }: FormProps) {
  const [busy, setBusy] = useState(false);
  const { began, texts } = draft;
  const wanted = changes(began, texts);
  const some = Object.keys(wanted).length > 0;
  // Steps of a canary make generations too: only other options are in the way.
  const outdated = !alike(began, deployment);
  const apply = async (event: React.FormEvent) => {
    event.preventDefault();
    setBusy(true);
    if (await configure(deployment, wanted)) onClose();
    setBusy(false);
  };
  return (
    <form aria-label="How it is served" className="options" noValidate onSubmit={(event) => void apply(event)} onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <div className="options-groups">
        {GROUPS.map(({ title, fields }, at) => (
          <fieldset key={title}>
            <legend>{title}</legend>
            {fields.map((field, row) => (
              <Option key={field.name} field={field} first={at + row === 0} text={texts[field.name]} onType={(text) => onType({ ...texts, [field.name]: text })} />
            ))}
          </fieldset>
        ))}
      </div>
      {outdated && <Outdated latest={latest} began={began.generation} />}
      {some && (
        <p role="status">
          From now on: <b>{changed(began, wanted)}</b>.
        </p>
      )}
      <span className="confirm-buttons">
        <button type="submit" className="primary" disabled={busy || !some || outdated}>
          {busy ? "…" : "apply"}
        </button>
        <button type="button" className="ghost" onClick={onClose}>
          {some ? "discard" : "close"}
        </button>
      </span>
    </form>
  );
}

function Option({ field, first, text, onType }: { field: Field; first: boolean; text: string; onType: (text: string) => void }) {
  const { name, label, empty, unset, choices } = field;
  const id = `option-${name}`;
  return (
    <p className="option">
      <label htmlFor={id}>
        {label} <span className="mono">{name}</span>
      </label>
      {choices ? (
        <select id={id} value={text} onChange={(event) => onType(event.target.value)}>
          {choices.map((choice) => (
            <option key={choice.value} value={choice.value}>
              {choice.label}
            </option>
          ))}
        </select>
      ) : (
        <input id={id} type="text" inputMode={typeof unset === "number" ? "decimal" : "text"} autoFocus={first} autoComplete="off" spellCheck={false} placeholder={empty} value={text} onChange={(event) => onType(event.target.value)} />
      )}
    </p>
  );
}

/** Sets options, with a way back to what they were; whether it was done. */
function configure(before: Deployment, wanted: Partial<Options>): Promise<boolean> {
  const { model, generation } = before;
  const undone = Object.fromEntries(Object.keys(wanted).map((name) => [name, before[name as keyof Options]])) as Partial<Options>;
  const back = (made: number) => change("serving/configure", { model, ...undone, expect_generation: made }, `${model} is served as before.`);
  return change("serving/configure", { model, ...wanted, expect_generation: generation }, `${model}: ${changed(before, wanted)}.`, back);
}
