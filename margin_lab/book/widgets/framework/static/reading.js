// The picture in words, for those who do not see it, and to check what one believes to see.

/** "Margin gap: GD 0.031, PRGD 2.2·10⁻⁷." for every panel with labelled curves or values. */
function readingOf(spec, frame) {
  const sentences = [];
  for (const panel of spec.panels) {
    const said = [];
    for (const series of panel.series) {
      const { y } = frame[panel.name][series.name];
      if (!series.label || !(series.mark === "value" || series.mark === "line") || !y.length) continue;
      said.push(`${series.label} ${readable(y[y.length - 1])}`);
    }
    if (said.length) sentences.push(`${panel.title}: ${said.join(", ")}.`);
  }
  return sentences.join(" ");
}

/** Tell it when the reader has stopped moving: a sentence for every step of a slider would never end. */
function makeReading() {
  const element = create("p", { class: "ml-reading", "aria-live": "polite" });
  let timer = null;
  return {
    element,
    say(text) {
      clearTimeout(timer);
      timer = setTimeout(() => { element.textContent = text; }, 250);
    },
  };
}
