// The small parts every page is made of.
import { useState, type ReactNode } from "react";
import type { Query } from "../lib/query";
import { emphasise, STATE_TONES, STATE_WORDS, type Tone } from "../lib/describe";
import { ago, exact, stamp } from "../lib/format";
import type { LoopState, RunStatus, State } from "../lib/records";
import { href, Link, usePath } from "../lib/router";
import { Icon, type IconName } from "./icon";

const TONE_ICONS: Record<Tone, IconName> = { ok: "check", warn: "warn", bad: "cross", quiet: "ring", accent: "dot" };

/** A state by icon and word; colour only repeats it. */
export function Pill({ tone, icon, children }: { tone: Tone; icon?: IconName; children: ReactNode }) {
  return (
    <span className={`pill ${tone}`}>
      <Icon name={icon ?? TONE_ICONS[tone]} size={12} />
      {children}
    </span>
  );
}

export function StatePill({ state }: { state: State | LoopState }) {
  return <Pill tone={STATE_TONES[state]}>{STATE_WORDS[state]}</Pill>;
}

export const RUN_LOOKS: Record<RunStatus, { tone: Tone; icon: IconName }> = {
  running: { tone: "accent", icon: "dot" },
  scheduled: { tone: "quiet", icon: "clock" },
  finished: { tone: "ok", icon: "check" },
  failed: { tone: "bad", icon: "cross" },
  killed: { tone: "warn", icon: "dash" },
  lost: { tone: "warn", icon: "ring" },
};

/** A run's status as quiet text, for table rows. */
export function RunState({ status }: { status: RunStatus }) {
  const { tone, icon } = RUN_LOOKS[status];
  return (
    <span className={`state ${tone}`}>
      <Icon name={icon} size={12} /> {status}
    </span>
  );
}

/** A page's opening sentence; its two or three figures are set in bold. */
export function Say({ children, then }: { children: string; then?: string | null }) {
  const pieces = [...emphasise(children), ...emphasise(then ? ` ${then}` : "")];
  return <p className="say">{pieces.map((piece, i) => (piece.strong ? <b key={i}>{piece.text}</b> : piece.text))}</p>;
}

export function Card(props: { title: ReactNode; aside?: ReactNode; className?: string; id?: string; children: ReactNode }) {
  return (
    <section className={`card ${props.className ?? ""}`} id={props.id}>
      <header>
        <h2>{props.title}</h2>
        {props.aside !== undefined && <div className="aside">{props.aside}</div>}
      </header>
      {props.children}
    </section>
  );
}

export function Time({ ms, now }: { ms: number; now?: number }) {
  return (
    <time dateTime={stamp(ms)} title={exact(ms)}>
      {ago(ms, now)}
    </time>
  );
}

/** Text that can be copied with one press, such as the lines an empty page asks for. */
export function Code({ children, label = "Copy" }: { children: string; label?: string }) {
  const [copied, setCopied] = useState(false);
  const copy = () => {
    void navigator.clipboard?.writeText(children).then(() => setCopied(true));
  };
  return (
    <div className="code">
      <pre tabIndex={0}>{children}</pre>
      <button type="button" className="ghost" onClick={copy} aria-label={label} onBlur={() => setCopied(false)}>
        <Icon name={copied ? "check" : "copy"} /> {copied ? "copied" : "copy"}
      </button>
    </div>
  );
}

export function Empty({ title, children, code }: { title: string; children?: ReactNode; code?: string }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
      {code && <Code>{code}</Code>}
    </div>
  );
}

/** Grey shapes in place of what is coming; the style sheet shows them only after 150 ms. */
export function Skeleton({ lines = 3 }: { lines?: number }) {
  return (
    <div className="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, i) => (
        <span key={i} />
      ))}
    </div>
  );
}

export function Trouble({ error }: { error: { message: string; hint: string; code: string } }) {
  return (
    <div className="trouble" role="alert">
      <Icon name="warn" />
      <div>
        <b>{error.message}</b>
        {error.hint && <p>{error.hint.split("`").map((piece, i) => (i % 2 === 1 ? <code key={i}>{piece}</code> : piece))}</p>}
        <p className="mono quiet">{error.code}</p>
        <WayOn code={error.code} />
      </div>
    </div>
  );
}

/** Where to go from an error that this page cannot heal from by itself. */
function WayOn({ code }: { code: string }) {
  const [place = ""] = usePath();
  // The login is a page of the server, not of this application.
  if (code === "unauthenticated") return <a href={href("/login")}>log in</a>;
  return code === "not_found" && place !== "" ? <Link to={`/${place}`}>{place === "loop" ? "every loop" : `all ${place}`}</Link> : null;
}

/** Shows a query's result, or why there is none yet. A result already shown stays while the server is away. */
export function Answer<T>(props: { query: Query<T>; lines?: number; children: (data: T) => ReactNode }) {
  const { data, error } = props.query;
  if (data !== undefined) return <>{props.children(data)}</>;
  if (error) return <Trouble error={error} />;
  return <Skeleton lines={props.lines ?? 3} />;
}

/** A choice between a few, as one row of buttons. */
export function Segments<T extends string>(props: {
  label: string;
  value: T;
  options: readonly { value: T; label: ReactNode }[];
  onChange: (value: T) => void;
}) {
  return (
    <div className="segments" role="group" aria-label={props.label}>
      {props.options.map(({ value, label }) => (
        <button key={value} type="button" aria-pressed={value === props.value} onClick={() => props.onChange(value)}>
          {label}
        </button>
      ))}
    </div>
  );
}
