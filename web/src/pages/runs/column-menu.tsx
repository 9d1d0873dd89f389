import { Icon } from "../../components/icon";
import { spell } from "../../lib/describe";

interface ColumnMenuProps {
  metrics: readonly string[];
  params: readonly string[];
  picked: readonly string[];
  onChange: (picked: string[]) => void;
}

/** Which metrics and parameters the table shows. */
export function ColumnMenu({ metrics, params, picked, onChange }: ColumnMenuProps) {
  const all = [...metrics.map((key) => `m:${key}`), ...params.map((key) => `p:${key}`)];
  const toggle = (key: string) => {
    const next = picked.includes(key) ? picked.filter((one) => one !== key) : all.filter((one) => one === key || picked.includes(one));
    onChange(next);
  };
  if (all.length === 0) return null;
  return (
    <details className="menu">
      <summary>
        <Icon name="columns" size={14} /> columns
      </summary>
      <div className="menu-body">
        {[
          { name: "metrics", prefix: "m:", keys: metrics },
          { name: "parameters", prefix: "p:", keys: params },
        ].map(({ name, prefix, keys }) => (
          <fieldset key={name} hidden={keys.length === 0}>
            <legend>{name}</legend>
            {keys.map((key) => (
              <label key={key}>
                <input type="checkbox" checked={picked.includes(prefix + key)} onChange={() => toggle(prefix + key)} />
                {prefix === "m:" ? spell(key) : key}
              </label>
            ))}
          </fieldset>
        ))}
      </div>
    </details>
  );
}
