// One model: its versions on the left, everything about the chosen one on the right, what was done to it below.
import "./registry.css";
import { useVerb } from "../../lib/query";
import type { Deployment, ModelVersion } from "../../lib/records";
import { number, plural } from "../../lib/format";
import { spell } from "../../lib/describe";
import { Link, path, useParam } from "../../lib/router";
import { Answer, Card, Pill, Say, Time } from "../../components/basics";
import { Spark } from "../../components/sparkline";
import { Page } from "../../components/page";
import { commonKeys } from "../../lib/diff";
import { Alias } from "./alias";
import { About } from "./about";
import { History } from "./history";
import { Requests } from "./requests";
import { RouteBar } from "./routes";
import { VersionDetail } from "./version-detail";

export const VERSION_LOOKS = {
  valid: { tone: "ok", icon: "check" },
  refused: { tone: "bad", icon: "cross" },
  pending: { tone: "quiet", icon: "clock" },
} as const;

export default function ModelPage({ model }: { model: string }) {
  const versions = useVerb("registry/list_versions", { model });
  const deployments = useVerb("serving/list_deployments", {});
  return (
    <Answer query={versions} lines={8}>
      {(found) => (
        <ModelView
          model={model}
          versions={[...found].sort((a, b) => b.version - a.version)}
          deployment={deployments.data?.find((d) => d.model === model)}
        />
      )}
    </Answer>
  );
}

function opening(versions: readonly ModelVersion[], champion: ModelVersion | undefined): string {
  const refused = versions.filter((v) => v.status === "refused").length;
  const many = `**${versions.length}** ${versions.length === 1 ? "version" : "versions"}`;
  const turned = refused > 0 ? `, **${refused}** refused` : "";
  if (champion === undefined) return `${many}${turned}; none is champion yet.`;
  const [metric] = Object.entries(champion.metrics);
  const passed = champion.gates.filter((g) => g.passed).length;
  const gates = champion.gates.length > 0 ? `, ${passed} of ${champion.gates.length} gates passed` : "";
  const figure = metric ? ` with ${spell(metric[0])} **${number(metric[1])}**` : "";
  return `${many}${turned}. **v${champion.version}** is champion${figure}${gates}.`;
}

interface ViewProps {
  model: string;
  versions: ModelVersion[];
  deployment: Deployment | undefined;
}

function ModelView({ model, versions, deployment }: ViewProps) {
  const champion = versions.find((v) => v.aliases.includes("champion"));
  const [chosen, choose] = useParam("version");
  const about = useVerb("registry/get_model", { name: model }).data;
  const shown = versions.find((v) => String(v.version) === chosen) ?? champion ?? versions[0];
  const key = commonKeys(versions, (v) => v.metrics)[0];
  return (
    <Page title={model} trail={["Models", model]}>
      <Say>{opening(versions, champion)}</Say>
      {about && <About model={model} description={about.description} tags={about.tags ?? {}} />}
      <p className="facts">
        {deployment && deployment.routes.length > 0 && (
          <span className="chip">
            <RouteBar routes={deployment.routes} />
          </span>
        )}
        <Link className="chip" to={path("loop", model)}>
          its loop
        </Link>
      </p>
      <div className="split">
        <Card
          title="Versions"
          className="versions"
          aside={key && <Spark values={[...versions].reverse().map((v) => v.metrics[key] ?? null)} label={`${spell(key)} by version`} />}
        >
          <ul>
            {versions.map((version) => (
              <VersionRow key={version.version} version={version} metric={key} on={version === shown} onChoose={() => choose(String(version.version))} />
            ))}
          </ul>
          <p className="note">{plural(versions.length, "version")}</p>
        </Card>
        {shown && <VersionDetail key={shown.version} version={shown} versions={versions} />}
      </div>
      <Requests model={model} />
      <History model={model} />
    </Page>
  );
}

function VersionRow(props: { version: ModelVersion; metric: string | undefined; on: boolean; onChoose: () => void }) {
  const { version, metric } = props;
  const look = VERSION_LOOKS[version.status];
  return (
    <li>
      <button type="button" aria-pressed={props.on} onClick={props.onChoose} aria-label={`Version ${version.version}, ${version.status}`}>
        <span className="version-top">
          <b>v{version.version}</b>
          {version.aliases.map((alias) => (
            <Alias key={alias} name={alias} />
          ))}
          <span className="grow" />
          {metric && <span className="value">{number(version.metrics[metric])}</span>}
        </span>
        <span className="version-bottom">
          <Pill tone={look.tone} icon={look.icon}>
            {version.status}
          </Pill>
          <span className="note">
            <Time ms={version.created_ms} />
          </span>
        </span>
      </button>
    </li>
  );
}
