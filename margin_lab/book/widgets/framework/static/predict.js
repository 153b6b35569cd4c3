// Predict first: the curves of one panel stay hidden until the reader has said where one of them will end.

/** The panel and the curve that a reader is asked about: the declared one, or the first line that the legend has a number of. */
function askable(spec, frame) {
  const ends = (panel, series) => Number.isFinite(frame[panel.name][series.name].y.at(-1));
  const all = spec.panels.flatMap((panel) => (panel.equal ? [] : panel.series.map((series) => ({ panel, series }))))
    .filter(({ panel, series }) => series.mark === "line" && series.label && ends(panel, series));
  const declared = ({ panel, series }) => spec.predict?.panel === panel.name && spec.predict.series === series.name;
  return all.find(declared) ?? all.find(({ series }) => series.last) ?? all[0] ?? null;
}

/** Whether there is a curve to ask for at all. */
const hasAskable = (spec) => spec.panels.some((p) => !p.equal && p.series.some((s) => s.mark === "line" && s.label));

/** {button, element, hides(panel), guess(panel), update(frame)}; `heightsOf(panel)` inverts shares of a panel's height. */
function makePrediction(spec, heightsOf, redraw) {
  const button = create("button", {
    type: "button", class: "ml-tool", "aria-pressed": "false", title: "Say where a curve will end before you see it", ...KEEP_KEYS,
  }, "Predict");
  const slider = create("input", { type: "range", min: 0, max: 100, step: 1, value: 50, ...KEEP_KEYS });
  const reveal = create("button", { type: "button", class: "ml-tool", ...KEEP_KEYS }, "Show");
  const label = create("label", { class: "ml-guess" });
  const answer = create("span", { class: "ml-answer", role: "status" });
  const element = create("div", { class: "ml-prediction", hidden: "" }, label, reveal, answer);
  button.toggleAttribute("hidden", !hasAskable(spec));
  let frame = null, on = false, shown = false, asked = null;

  const value = () => heightsOf(asked.panel.name).invert(slider.value / 100);
  function describe() {
    slider.style.setProperty("--ml-filled", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", readable(value()));
    redraw();
  }
  function ask() {
    shown = false;
    answer.textContent = "";
    reveal.textContent = "Show";
    slider.disabled = false;
    asked = on && frame ? askable(spec, frame) : null;
    element.toggleAttribute("hidden", !asked);
    if (asked) {
      label.replaceChildren(`${asked.panel.title}: where will “${asked.series.label}” end?`, slider);
      describe();
    } else redraw();
  }
  function tell() {
    const truth = frame[asked.panel.name][asked.series.name].y.at(-1), said = value();
    const off = asked.panel.y.scale === "log" && truth > 0
      ? `off by a factor of ${readable(Math.max(said / truth, truth / said))}`
      : `off by ${readable(Math.abs(said - truth))}`;
    shown = true;
    slider.disabled = true; // the answer is about this guess
    reveal.textContent = "Ask again";
    answer.textContent = `You said ${readable(said)}, it is ${readable(truth)}: ${off}.`;
    redraw();
  }
  button.addEventListener("click", () => {
    on = !on;
    button.setAttribute("aria-pressed", String(on));
    ask();
  });
  slider.addEventListener("input", describe);
  reveal.addEventListener("click", () => (shown ? ask() : tell()));
  return {
    button, element,
    hides: (panel) => on && !shown && asked?.panel.name === panel,
    guess: (panel) => (on && asked?.panel.name === panel ? value() : null),
    /** A new frame: if it is to be guessed, its curve is hidden before anything is drawn. */
    update(next) {
      frame = next;
      if (!on) return;
      shown = false;
      asked = askable(spec, frame);
    },
    /** After the drawing, which sets the heights. */
    askAgain() {
      if (on) ask();
    },
  };
}
