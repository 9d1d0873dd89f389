// The timeline of decisions: each reads like a colleague's note, opens to its evidence, and can be recomputed.
import { useMemo, useState } from "react";
import { useVerb, type Query } from "../../lib/query";
import type { Decision } from "../../lib/records";
import { DECISIONS, verdict } from "../../lib/describe";
import { day, exact, plural, stamp } from "../../lib/format";
import { useParam } from "../../lib/router";
import { Answer, Card, Skeleton, Trouble } from "../../components/basics";
import { Icon } from "../../components/icon";
import { useSetCursor } from "../../components/timeline";
import { DECISION_ICONS, decisionElement } from "./focus";
import { DecisionDetail } from "./evidence";

type Item = { decision: Decision } | { waits: Decision[] };
/** So many quiet reviews in a row are told in one line. */
const FOLD = 3;

/** Folds long runs of reviews that changed nothing into one item; the newest review stays by itself. */
export function fold(decisions: readonly Decision[], opened: string): Item[] {
  const items: Item[] = [];
  let quiet: Decision[] = [];
  const flush = () => {
    if (quiet.length >= FOLD && !quiet.some((d) => d.id === opened)) items.push({ waits: quiet });
    else items.push(...quiet.map((decision) => ({ decision })));
    quiet = [];
  };
  decisions.forEach((decision, i) => {
    if (decision.kind === "wait" && i > 0) quiet.push(decision);
    else {
      flush();
      items.push({ decision });
    }
  });
  flush();
  return items;
}

export function Decisions({ query, at }: { query: Query<Decision[]>; at: number }) {
  const [opened] = useParam("decision");
  const [unfolded, setUnfolded] = useState<ReadonlySet<string>>(new Set());
  const items = useMemo(() => fold(query.data ?? [], opened), [query.data, opened]);
  return (
    <Card title="Decisions" aside="every one can be recomputed from its record" className="decisions">
      <Answer query={query} lines={5}>
        {(decisions) =>
          decisions.length === 0 ? (
            <p className="quiet">Nothing has been decided yet. The first review follows the first labels.</p>
          ) : (
            <ol className="decision-list">
              {items.map((item) => {
                if ("decision" in item) return <DecisionRow key={item.decision.id} decision={item.decision} at={at} />;
                const key = item.waits[0]?.id ?? "";
                return unfolded.has(key) ? (
                  item.waits.map((decision) => <DecisionRow key={decision.id} decision={decision} at={at} />)
                ) : (
                  <QuietRow key={key} waits={item.waits} at={at} onOpen={() => setUnfolded(new Set([...unfolded, key]))} />
                );
              })}
            </ol>
          )
        }
      </Answer>
    </Card>
  );
}

function QuietRow({ waits, at, onOpen }: { waits: Decision[]; at: number; onOpen: () => void }) {
  const [first, last] = [waits.at(-1) as Decision, waits[0] as Decision];
  return (
    <li className="decision quiet-row">
      <span className="when">{day(last.at_ms, at)}</span>
      <span className="verdict quiet">
        <Icon name="dash" size={13} /> wait
      </span>
      <p className="note">
        {plural(waits.length, "review")} since {day(first.at_ms, at)}, nothing to do.
      </p>
      <button type="button" className="link" onClick={onOpen} aria-label={`Show ${waits.length} quiet reviews`}>
        show
      </button>
    </li>
  );
}

function DecisionRow({ decision, at }: { decision: Decision; at: number }) {
  const [opened, setOpened] = useParam("decision");
  const setCursor = useSetCursor();
  const open = opened === decision.id;
  const { tone } = DECISIONS[decision.kind];
  return (
    <li
      className={`decision ${open ? "open" : ""}`}
      id={decisionElement(decision.id)}
      onPointerEnter={() => setCursor(decision.at_ms)}
      onPointerLeave={() => setCursor(null)}
    >
      <time className="when" dateTime={stamp(decision.at_ms)} title={exact(decision.at_ms)}>
        {day(decision.at_ms, at)}
      </time>
      <span className={`verdict ${tone}`}>
        <Icon name={DECISION_ICONS[decision.kind]} size={13} /> {verdict(decision)}
      </span>
      <div className="told">
        <p className="headline">{decision.headline}</p>
        <p className="note">{decision.reason}</p>
      </div>
      <button
        type="button"
        className="link"
        aria-expanded={open}
        aria-label={`Why: ${decision.headline}`}
        onClick={() => setOpened(open ? "" : decision.id)}
      >
        why <Icon name={open ? "down" : "right"} size={12} />
      </button>
      {open && (
        <div className="decision-detail">
          <Recomputed id={decision.id} />
          <DecisionDetail decision={decision} />
        </div>
      )}
    </li>
  );
}

/** Asks the server to decide again from the record alone, and says whether the answer is the same. */
function Recomputed({ id }: { id: string }) {
  const why = useVerb("loop/why", { id });
  if (why.error) return <Trouble error={why.error} />;
  if (why.data === undefined) return <Skeleton lines={1} />;
  const { recomputed, same, sentences } = why.data;
  const word = !recomputed ? "Not recomputed" : same ? "Recomputed from its record: the same decision" : "Recomputed: a different decision";
  return (
    <div className={`recomputed ${!recomputed ? "quiet" : same ? "ok" : "bad"}`}>
      <Icon name={!recomputed ? "question" : same ? "check" : "cross"} />
      <div>
        <b>{word}</b>
        <p>{sentences.at(-1)}</p>
        {sentences.length > 1 && (
          <details>
            <summary>all of it in words</summary>
            {sentences.slice(0, -1).map((sentence, i) => (
              <p key={i}>{sentence}</p>
            ))}
          </details>
        )}
      </div>
    </div>
  );
}
