// The link between a mark on the chart and its decision in the list.
import type { DecisionKind } from "../../lib/records";
import type { IconName } from "../../components/icon";
import { setParams } from "../../lib/router";

export const DECISION_ICONS: Record<DecisionKind, IconName> = {
  wait: "dash",
  fix_data: "wrench",
  collect: "tray",
  retrain: "turn",
  promote: "check",
  refuse: "cross",
  canary: "split",
  roll_back: "back",
};

export const decisionElement = (id: string) => `decision-${id}`;

/** Opens a decision in the list and brings it into sight. */
export function focusDecision(id: string): void {
  setParams({ decision: id });
  requestAnimationFrame(() => {
    const element = document.getElementById(decisionElement(id));
    element?.scrollIntoView({ block: "center" });
    element?.querySelector<HTMLElement>("button")?.focus({ preventScroll: true });
  });
}
