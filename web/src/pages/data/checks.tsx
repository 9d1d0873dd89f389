import type { CheckReport, CheckResult, Table } from "../../lib/records";
import { spell, type Tone } from "../../lib/describe";
import { count, plural } from "../../lib/format";
import { Card, Code, Pill, Time } from "../../components/basics";
import { Icon, type IconName } from "../../components/icon";

function look(result: CheckResult): { tone: Tone; icon: IconName; word: string } {
  if (result.passed) return { tone: "ok", icon: "check", word: "holds" };
  if (result.severity === "error") return { tone: "bad", icon: "cross", word: "fails" };
  return { tone: "warn", icon: "warn", word: result.severity === "warn" ? "warning" : "note" };
}

/** A report in one pill: what fails, else what is warned of, else that all holds. */
export function CheckPill({ report }: { report: CheckReport }) {
  const failed = report.results.filter((r) => !r.passed && r.severity === "error").length;
  const warned = report.results.filter((r) => !r.passed && r.severity === "warn").length;
  if (failed > 0) return <Pill tone="bad">{plural(failed, "check fails", "checks fail")}</Pill>;
  if (warned > 0) return <Pill tone="warn">{plural(warned, "warning")}</Pill>;
  return <Pill tone="ok">{plural(report.results.length, "check holds", "checks hold")}</Pill>;
}

function expectation({ name, columns, key }: Table): string {
  const column = key[0] ?? columns[0]?.name ?? "COLUMN";
  return `from homeostat.data import NotNull

ws.data.set_expectations("${name}", [NotNull(column="${column}")])`;
}

/** What the newest checked version was found to be, troubles first. */
export function Checks({ table, report }: { table: Table; report: CheckReport | null }) {
  if (report === null) {
    return (
      <Card title="Checks">
        <p className="quiet">Nothing is expected of this table yet. Say what must hold for every version of it:</p>
        <Code>{expectation(table)}</Code>
      </Card>
    );
  }
  const sorted = [...report.results].sort((a, b) => Number(a.passed) - Number(b.passed));
  return (
    <Card title="Checks" aside={<span>of v{report.version}, <Time ms={report.at_ms} /></span>}>
      <ul className="checks">
        {sorted.map((result, i) => {
          const { tone, icon, word } = look(result);
          return (
            <li key={i}>
              <span className={`state ${tone}`}>
                <Icon name={icon} size={13} /> {word}
              </span>
              <span>
                {spell(result.check)} {result.column && <span className="mono">{result.column}</span>}
                <span className="note block">
                  {result.message || [result.observed, result.expected && `expected ${result.expected}`].filter(Boolean).join(", ")}
                </span>
              </span>
              <span className="note right">{result.rows > 0 ? `${count(result.rows)} rows` : ""}</span>
            </li>
          );
        })}
      </ul>
    </Card>
  );
}
