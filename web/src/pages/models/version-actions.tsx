// What can be done with a version: an alias put on it (or asked for, where a rule guards it), its stage, its end.
import { useState } from "react";
import type { ModelVersion } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { act } from "./act";

const STAGES = ["None", "Staging", "Production", "Archived"] as const;

export function VersionActions({ version, versions }: { version: ModelVersion; versions: readonly ModelVersion[] }) {
  const { model, version: number } = version;
  const rules = useVerb("registry/list_rules", { model }).data ?? [];
  const [alias, setAlias] = useState("");
  const [reason, setReason] = useState("");
  const name = alias.trim();
  const ruled = rules.some((rule) => rule.alias === name);
  const now = versions.find((other) => other.aliases.includes(name))?.version ?? null;
  const known = [...new Set([...versions.flatMap((other) => other.aliases), ...rules.map((rule) => rule.alias), "champion"])];
  const point = async (event: React.FormEvent) => {
    event.preventDefault();
    if (name === "") return;
    const back = () =>
      void (now === null
        ? act("registry/delete_alias", { model, alias: name, reason: "undone" }, `${name} is taken off again.`)
        : act("registry/set_alias", { model, alias: name, version: now, expect: number, reason: "undone" }, `${name} points at v${now} again.`));
    const done = ruled
      ? await act("registry/request_alias", { model, alias: name, version: number, reason }, `The move of ${name} waits for approval.`)
      : await act("registry/set_alias", { model, alias: name, version: number, expect: now ?? 0, reason }, `${name} points at v${number}.`, back);
    if (done) {
      setAlias("");
      setReason("");
    }
  };
  const remove = () =>
    void act("registry/delete_version", { model, version: number, reason: "" }, `v${number} is deleted.`, () =>
      void act("registry/restore_version", { model, version: number, reason: "undone" }, `v${number} is back, without its aliases.`),
    );
  return (
    <form className="version-actions" aria-label={`What to do with v${number}`} onSubmit={(event) => void point(event)}>
      <input type="text" list="known-aliases" aria-label="Alias" placeholder="alias" value={alias} onChange={(event) => setAlias(event.target.value)} />
      <datalist id="known-aliases">
        {known.map((one) => (
          <option key={one} value={one} />
        ))}
      </datalist>
      <input type="text" className="why" aria-label="Reason" placeholder={ruled ? "reason (needed)" : "reason"} value={reason} onChange={(event) => setReason(event.target.value)} />
      <button type="submit" className="ghost" disabled={name === "" || now === number || (ruled && reason.trim() === "")}>
        {ruled ? `ask to point it here` : `point it here`}
        {now !== null && now !== number && ` (now v${now})`}
      </button>
      <span className="grow" />
      <label className="check">
        stage
        <select aria-label="Stage" value={version.stage ?? "None"} onChange={(event) => void act("registry/set_stage", { model, version: number, stage: event.target.value, reason }, `v${number} is in stage ${event.target.value}.`)}>
          {STAGES.map((stage) => (
            <option key={stage}>{stage}</option>
          ))}
        </select>
      </label>
      <button type="button" className="ghost" onClick={remove}>
        delete
      </button>
    </form>
  );
}
