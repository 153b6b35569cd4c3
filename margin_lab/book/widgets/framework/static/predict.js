// Predict first: the curves of one panel stay hidden until the reader has said where the chosen one will end.

/** The panel and the curve that a reader is asked about: the first labelled line that ends at a finite value. */
function askable(spec, frame) {
  for (const panel of spec.panels) {
    for (const series of panel.series) {
      const { y } = frame[panel.name][series.name];
      if (series.mark === "line" && series.label && y.length > 1 && Number.isFinite(y[y.length - 1]) && !panel.equal) return { panel, series };
    }
  }
  return null;
}

/** {element, hides(panel), guess(panel), update(frame)}: `redraw` is called when what is hidden or guessed changes. */
function makePrediction(spec, scaleOf, redraw) {
  const toggle = create("button", { type: "button", class: "ml-tool", "aria-pressed": "false", ...KEEP_KEYS }, "Predict");
  const slider = create("input", { type: "range", min: 0, max: 100, step: 1, value: 50, ...KEEP_KEYS });
  const reveal = create("button", { type: "button", class: "ml-tool", ...KEEP_KEYS }, "Show");
  const label = create("label", { class: "ml-guess" }), answer = create("span", { class: "ml-answer", role: "status" });
  const row = create("div", { class: "ml-prediction", hidden: "" }, label, reveal, answer);
  let frame = null, on = false, shown = false, asked = null;

  const value = () => scaleOf(asked.panel.name).invert(slider.value / 100);
  function describe() {
    slider.setAttribute("aria-valuetext", readable(value()));
    redraw();
  }
  function ask() {
    shown = false;
    answer.textContent = "";
    asked = on && frame ? askable(spec, frame) : null;
    row.toggleAttribute("hidden", !asked);
    if (asked) label.replaceChildren(`Where will “${asked.series.label}” end?`, slider);
    redraw();
  }
  toggle.addEventListener("click", () => {
    on = !on;
    toggle.setAttribute("aria-pressed", String(on));
    ask();
  });
  slider.addEventListener("input", describe);
  reveal.addEventListener("click", () => {
    const y = frame[asked.panel.name][asked.series.name].y, truth = y[y.length - 1], said = value();
    const off = asked.panel.y.scale === "log" && truth > 0
      ? `off by a factor of ${readable(Math.max(said / truth, truth / said))}`
      : `off by ${readable(Math.abs(said - truth))}`;
    shown = true;
    answer.textContent = `You said ${readable(said)}, it is ${readable(truth)}: ${off}.`;
    redraw();
  });
  return {
    button: toggle, element: row,
    hides: (panel) => on && !shown && asked?.panel.name === panel,
    guess: (panel) => (on && asked?.panel.name === panel ? value() : null),
    update(next) {
      frame = next;
      if (on) ask();
    },
  };
}
