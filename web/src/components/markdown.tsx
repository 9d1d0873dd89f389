import { useMemo, type ReactNode } from "react";
import { blocks, type Block, type Span } from "../lib/markdown";

/** Markdown as the page's own elements: nothing in it can run, load or look like the page's controls. */
export function Markdown({ text }: { text: string }) {
  const found = useMemo(() => blocks(text), [text]);
  return <div className="markdown">{found.map((block, i) => <Part key={i} block={block} />)}</div>;
}

function Part({ block }: { block: Block }) {
  switch (block.kind) {
    case "heading":
      return <p className={`md-heading md-${Math.min(3, block.level)}`} role="heading" aria-level={Math.min(6, block.level + 2)}>{written(block.spans)}</p>;
    case "code":
      return <pre>{block.text}</pre>;
    case "rule":
      return <hr />;
    case "quote":
      return <blockquote>{written(block.spans)}</blockquote>;
    case "list": {
      const List = block.ordered ? "ol" : "ul";
      return <List>{block.items.map((item, i) => <li key={i} className={`md-depth-${item.depth}`}>{written(item.spans)}</li>)}</List>;
    }
    case "table":
      return (
        <div className="scroll-x">
          <table className="plain">
            <thead>
              <tr>{block.head.map((cell, i) => <th key={i} scope="col">{written(cell)}</th>)}</tr>
            </thead>
            <tbody>
              {block.rows.map((row, i) => <tr key={i}>{block.head.map((_, j) => <td key={j}>{written(row[j] ?? [])}</td>)}</tr>)}
            </tbody>
          </table>
        </div>
      );
    default:
      return <p>{written(block.spans)}</p>;
  }
}

function written(spans: readonly Span[]): ReactNode {
  return spans.map((span, i) => {
    switch (span.kind) {
      case "code":
        return <code key={i}>{span.text}</code>;
      case "strong":
        return <strong key={i}>{span.text}</strong>;
      case "em":
        return <em key={i}>{span.text}</em>;
      case "gone":
        return <s key={i}>{span.text}</s>;
      case "link":
        return <a key={i} href={span.to} target="_blank" rel="noopener noreferrer nofollow" title={span.to}>{span.text}</a>;
      default:
        return span.text;
    }
  });
}
