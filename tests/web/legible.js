// What the tests ask of every page, inside the page: names, structure, contrast. Each returns a list of complaints.
window.legible = {
  unnamed() {
    const named = (e) =>
      [
        (e.getAttribute("aria-labelledby") ?? "")
          .split(" ")
          .map((id) => (id ? document.getElementById(id)?.textContent : ""))
          .join(""),
        e.getAttribute("aria-label"),
        e.getAttribute("title"),
        e.textContent,
        [...(e.labels ?? [])].map((label) => label.textContent).join(""),
      ].some((text) => text?.trim());
    const controls = "a[href],button,input,select,textarea,summary,[role=button],[role=img],[role=dialog],[tabindex='0']";
    return [...document.querySelectorAll(controls)].filter((e) => !named(e)).map((e) => e.outerHTML.slice(0, 160));
  },

  structure() {
    const all = (selector) => [...document.querySelectorAll(selector)];
    const found = [];
    if (all("h1").length !== 1) found.push("not one h1");
    if (all("main").length !== 1) found.push("not one main");
    if (!document.documentElement.lang) found.push("no language");
    const ids = all("[id]").map((e) => e.id);
    for (const id of ids) if (ids.filter((other) => other === id).length > 1) found.push(`id twice: ${id}`);
    for (const e of all("img:not([alt])")) found.push(`img without alt: ${e.src}`);
    for (const e of all("table")) if (!e.querySelector("th[scope]")) found.push("table without headings");
    for (const e of all("[role=cell],[role=columnheader]")) if (!e.closest("[role=row]")) found.push("cell outside a row");
    for (const e of all("a a, button a, a button, button button")) found.push(`nested: ${e.outerHTML.slice(0, 90)}`);
    for (const e of all("[aria-hidden=true] :is(a, button)")) found.push(`hidden control: ${e.outerHTML.slice(0, 90)}`);
    return [...new Set(found)];
  },

  // WCAG contrast of every visible text with what is painted behind it.
  contrast() {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      return [r, g, b, a / 255];
    };
    const channel = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
    const behind = (element) => {
      const layers = [];
      for (let e = element; e; e = e.parentElement) layers.unshift(rgba(getComputedStyle(e).backgroundColor));
      return layers.reduce((below, top) => over(top, below), [255, 255, 255, 1]);
    };
    const poor = [];
    for (const e of document.querySelectorAll("body *")) {
      const text = [...e.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
      const style = getComputedStyle(e);
      const shown = e.getBoundingClientRect().width > 0 && style.visibility !== "hidden";
      if (!text || !shown || e.closest("noscript,title,[disabled]")) continue;
      const drawn = e instanceof SVGElement;
      const paper = behind(drawn ? e.closest("svg").parentElement : e);
      const ink = over(rgba(drawn ? style.fill : style.color), paper);
      const [high, low] = [luminance(ink), luminance(paper)].sort((a, b) => b - a);
      const ratio = (high + 0.05) / (low + 0.05);
      if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${e.outerHTML.slice(0, 120)}`);
    }
    return poor;
  },

  // A card that holds more than it has room for, unless it is meant to be scrolled.
  overflowing() {
    return [...document.querySelectorAll(".card, .toolbar, .facts, .title")]
      .filter((e) => e.scrollWidth > e.clientWidth + 1 && !e.matches(".scroll-x"))
      .map((e) => `${e.scrollWidth} in ${e.clientWidth}: ${e.textContent.slice(0, 60)}`);
  },

  focusUnseen() {
    const e = document.activeElement;
    const style = getComputedStyle(e);
    const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    const circle = e.querySelector("circle");
    const drawn = circle && parseFloat(getComputedStyle(circle).strokeWidth) >= 2.5;
    return e === document.body || outlined || drawn ? null : e.outerHTML.slice(0, 120);
  },
};
