import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "./styles/fonts.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/shell.css";
import "./styles/charts.css";
import "./styles/tables.css";
import "./styles/pages.css";
import "./styles/loop.css";
import { App } from "./app";
import { startLive } from "./lib/live";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
startLive();
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
