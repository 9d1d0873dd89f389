// How a rollout stands: a canary's steps and what speaks for and against it, a bandit's arms and what they earned.
import type { BanditReview, Canary, CanaryReview, Deployment } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { count, duration, number, percent } from "../../lib/format";
import { Answer, Card, Code, Pill, Time } from "../../components/basics";
import type { Tone } from "../../lib/describe";
import { usePoll } from "./use-poll";
import { share } from "./words";

export function Judged({ deployment }: { deployment: Deployment }) {
  usePoll(["serving/judge_canary", "serving/bandit_arms"], 10_000);
  const { model, canary, bandit } = deployment;
  if (canary !== null) return <JudgedCanary model={model} canary={canary} />;
  return bandit === null ? null : <Arms model={model} />;
}

const NEXT: Record<CanaryReview["judgement"]["action"], { tone: Tone; word: string }> = {
  wait: { tone: "quiet", word: "waiting" },
  step: { tone: "ok", word: "goes on" },
  promote: { tone: "ok", word: "becomes champion" },
  roll_back: { tone: "bad", word: "goes back" },
};

function JudgedCanary({ model, canary }: { model: string; canary: Canary }) {
  const review = useVerb("serving/judge_canary", { model });
  return (
    <Answer query={review}>
      {(found) =>
        found === null ? null : (
          <Card title={`Canary v${found.version}`} aside={<Pill tone={NEXT[found.judgement.action].tone}>{NEXT[found.judgement.action].word}</Pill>}>
            <p>It {NEXT[found.judgement.action].word === "waiting" ? "stays as it is" : NEXT[found.judgement.action].word}: {found.judgement.reason}.</p>
            <Steps canary={canary} />
            <Evidence review={found} canary={canary} />
          </Card>
        )
      }
    </Answer>
  );
}

function Steps({ canary }: { canary: Canary }) {
  const now = canary.steps.at(-1);
  return (
    <ol className="canary-steps" aria-label="Steps">
      {canary.policy.weights.map((weight) => {
        const step = canary.steps.find((one) => one.weight === weight);
        return (
          <li key={weight} aria-current={weight === now?.weight ? "step" : undefined} className={step ? "done" : ""}>
            <b>{share(weight)}</b> <span className="note">{step ? <Time ms={step.at_ms} /> : "to come"}</span>
          </li>
        );
      })}
    </ol>
  );
}

function Evidence({ review: { judgement }, canary: { policy } }: { review: CanaryReview; canary: Canary }) {
  const proof = 3 / policy.alpha;
  const between = (lo: number | null, hi: number | null, text: (value: number) => string) => (lo === null || hi === null ? "too little to tell" : `${text(lo)} to ${text(hi)}`);
  const weighed = (evidence: number) => `${number(evidence, 1)} of ${number(Math.round(proof))}`;
  return (
    <dl className="facts-list">
      <div>
        <dt>errors, canary minus champion</dt>
        <dd>{between(judgement.error_rate_lo, judgement.error_rate_hi, (value) => percent(value, 2))}</dd>
      </div>
      <div>
        <dt>evidence that it fails more often</dt>
        <dd>{weighed(judgement.errors_evidence)}</dd>
      </div>
      <div>
        <dt>evidence that it is slow {policy.slow_ratio} times as often</dt>
        <dd>{weighed(judgement.slow_evidence)}</dd>
      </div>
      <div>
        <dt>reward, canary minus champion</dt>
        <dd>{between(judgement.reward_lo, judgement.reward_hi, (value) => number(value))}</dd>
      </div>
      <div>
        <dt>asked of each step</dt>
        <dd>
          {count(policy.min_requests)} requests, {duration(policy.hold_s * 1000)}
        </dd>
      </div>
    </dl>
  );
}

function Arms({ model }: { model: string }) {
  const review = useVerb("serving/bandit_arms", { model });
  return <Answer query={review}>{(found) => (found === null ? null : <ArmsTable model={model} review={found} />)}</Answer>;
}

function ArmsTable({ model, review }: { model: string; review: BanditReview }) {
  const told = review.versions.reduce((sum, arm) => sum + arm.rewards, 0);
  const best = review.versions.reduce((a, b) => (b.best > a.best ? b : a));
  return (
    <Card title="Bandit" aside={told > 0 ? `${count(told)} rewards` : undefined}>
      {told === 0 ? (
        <>
          <p>No reward has been told of yet, so all have the same share. Labels tell one as they arrive; or, by the id of its request:</p>
          <Code>{`from homeostat.serving import Feedback\n\nws.serving.record_feedback("${model}", [Feedback(request_id="…", reward=1)])`}</Code>
        </>
      ) : (
        <p>
          <b>v{best.version}</b> is the best with a probability of {percent(best.best, 0)}.
        </p>
      )}
      <div className="scroll-x" tabIndex={0} role="region" aria-label="Arms of the bandit">
        <table className="plain">
          <thead>
            <tr>
              <th scope="col">version</th>
              <th scope="col" className="right">share</th>
              <th scope="col" className="right">rewards</th>
              <th scope="col" className="right">mean</th>
              <th scope="col" className="right">is the best</th>
            </tr>
          </thead>
          <tbody>
            {review.versions.map((arm) => (
              <tr key={arm.version}>
                <th scope="row">v{arm.version}</th>
                <td className="right">{share(arm.weight)}</td>
                <td className="right">{count(arm.rewards)}</td>
                <td className="right">{arm.rewards > 0 ? number(arm.mean) : "–"}</td>
                <td className="right">{percent(arm.best, 0)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
