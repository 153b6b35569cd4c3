// The picture in words, for those who do not see it, and to check what one believes to see.

/** "Margin gap: GD 0.031, PRGD 2.2·10⁻⁷." for every panel whose legend shows numbers, or has curves to tell the ends of. */
function readingOf(spec, frame, isHidden) {
  const sentences = [];
  for (const panel of spec.panels) {
    if (isHidden(panel.name)) {
      sentences.push(`${panel.title}: hidden until you have said what you expect.`);
      continue;
    }
    const labelled = panel.series.filter((s) => s.label && frame[panel.name][s.name].y.length);
    const numbers = labelled.filter((s) => s.last || s.mark === "value");
    const told = numbers.length ? numbers : labelled.filter((s) => s.mark === "line" && !panel.equal);
    const said = told.map((s) => `${s.label} ${readable(frame[panel.name][s.name].y.at(-1))}`);
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
      const tell = () => { element.textContent = text; };
      if (element.textContent) timer = setTimeout(tell, 250);
      else tell(); // the first one at once: a line that came later would push the page down
    },
  };
}
