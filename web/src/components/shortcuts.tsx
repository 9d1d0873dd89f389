import { Overlay } from "./overlay";

const KEYS: [string, string][] = [
  ["⌘K or Ctrl K", "find a page, model, table or run"],
  ["g l", "Loop"],
  ["g d", "Data"],
  ["g r", "Runs"],
  ["g m", "Models"],
  ["g e", "Deployments"],
  ["/", "to the filter box"],
  ["j  k", "next, previous row of a table"],
  ["Enter", "open the row"],
  ["x", "select the row, or not; with Shift and a click, all between"],
  ["c", "compare the selected runs"],
  ["#", "delete the selected runs, or restore them; it can be undone"],
  ["← →", "move the time cursor of a chart"],
  ["t", "theme: system, light, dark"],
  ["?", "this sheet"],
  ["Esc", "close"],
];

export default function Shortcuts({ onClose }: { onClose: () => void }) {
  return (
    <Overlay label="Keyboard shortcuts" className="sheet" onClose={onClose}>
      <h2>Keyboard</h2>
      <dl className="keys">
        {KEYS.map(([key, meaning]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </Overlay>
  );
}
