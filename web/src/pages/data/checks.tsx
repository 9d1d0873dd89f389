import type { CheckReport, CheckResult } from "../../lib/records";
import { spell, type Tone } from "../../lib/describe";
import { count, number } from "../../lib/format";
import { Card, Code, Time } from "../../components/basics";
import { Icon, type IconName } from "../../components/icon";

function look(result: CheckResult): { tone: Tone; icon: IconName; word: string } {
  if (result.passed) return { tone: "ok", icon: "check", word: "holds" };
  if (result.severity === "error") return { tone: "bad", icon: "cross", word: "fails" };
  return { tone: "warn", icon: "warn", word: result.severity === "warn" ? "warning" : "note" };
}

function said(value: unknown): string {
  if (value === null || value === undefined || value === "") return "";
  if (typeof value === "number") return number(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** What the newest checked version was found to be, troubles first. */
export function Checks({ report }: { report: CheckReport | null }) {
  if (report === null) {
    return (
      <Card title="Checks">
        <p className="quiet">Nothing is expected of this table yet.</p>
        <Code>{`homeostat data check-table NAME`}</Code>
      </Card>
    );
  }
  const sorted = [...report.results].sort((a, b) => Number(a.passed) - Number(b.passed));
  return (
    <Card title="Checks" aside={<>of v{report.version}, <Time ms={report.at_ms} /></>}>
      <ul className="checks">
        {sorted.map((result, i) => {
          const { tone, icon, word } = look(result);
          const expected = said(result.expected);
          return (
            <li key={i}>
              <span className={`state ${tone}`}>
                <Icon name={icon} size={13} /> {word}
              </span>
              <span>
                {spell(result.check)} {result.column && <span className="mono">{result.column}</span>}
                <span className="note block">
                  {result.message || `${said(result.observed)}${expected && `, expected ${expected}`}`}
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
