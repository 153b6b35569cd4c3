// The widget: controls, panels, status line. Tests and other scripts read `root.marginLab = {setting, frame}`:
// the numbers that are on the screen; `data-state` is "ready", "busy" or "error", `data-source` "static" or "live".

function mountWidget(root, spec, source) {
  let note = "", moved = false, last = null, pinned = null, free = false;
  const key = source.live ? null : addressKey(root, spec.name);
  const ask = (words) => {
    note = words;
    moved = true;
    root.dataset.state = "busy";
    source.ask(current());
  };
  const controls = spec.controls.map((c) => makeControl(c, source.live, ask));
  const current = () => Object.fromEntries(controls.map((c) => [c.name, c.get()]));
  const apply = (setting) => controls.forEach((c) => { if (c.name in setting) c.set(setting[c.name]); });
  const panels = spec.panels.map((p) => makePanel(p));
  linkPanels(panels);
  const extents = makeExtents(spec, source);
  const playhead = makePlayhead(spec.clock, () => {
    redraw();
    tell();
  });
  const prediction = makePrediction(spec, (name) => panels.find((p) => p.spec.name === name).heights(), () => {
    redraw();
    tell();
  });
  const reading = makeReading();
  const status = create("span", { class: "ml-status", role: "status" });
  const error = create("div", { class: "ml-error", role: "alert" });
  const reset = makeTool("Reset", () => {
    playhead.reset();
    apply(Object.fromEntries(spec.controls.map((c) => [c.name, c.default])));
    ask("");
  }, { class: "ml-tool ml-reset" });
  const pin = makeSwitch("Pin", "Keep these curves, pale, beside the next ones", (on) => {
    pinned = on ? last : null;
    redraw();
    tell();
  });
  const axes = makeSwitch("Free axes", "Fit the axes to what is shown, instead of to all positions of the sliders", (on) => {
    free = on;
    redraw();
  });
  const csv = makeTool("CSV", () => download(`${spec.name}.csv`, "text/csv", csvOf(spec, last.setting, last.frame, source.live ? 17 : 8)),
    { title: "These numbers as a file" });
  const svg = makeTool("SVG", () => download(`${spec.name}.svg`, "image/svg+xml", svgOf(root)), { title: "This picture as a file" });
  const tries = spec.tries.map(({ label, setting }) => makeTool(label, () => {
    playhead.reset();
    apply(setting);
    ask("");
  }, { class: "ml-tool ml-try" }));

  function redraw() {
    if (!last) return;
    const far = extents(last.setting, last.frame), frame = playhead.cut(last.frame);
    spec.panels.forEach((p, i) => panels[i].draw(frame[p.name], {
      far: far[p.name], free, ghost: pinned?.frame[p.name] ?? null,
      hidden: prediction.hides(p.name), guess: prediction.guess(p.name),
    }));
  }

  /** The words under the picture. */
  function tell() {
    if (!last) return;
    const pale = pinned ? ` Pale: ${differenceOf(spec, pinned.setting, last.setting)}.` : "";
    reading.say(readingOf(spec, playhead.cut(last.frame), prediction.hides) + pale);
  }

  function show({ setting, frame, error: problem, milliseconds, mine }) {
    if (!mine && setting) apply(setting);
    error.textContent = problem ?? "";
    if (problem) {
      root.dataset.state = "error";
      status.textContent = "not computed";
      return;
    }
    last = { setting, frame };
    playhead.update(setting, frame);
    prediction.update(frame);
    redraw();
    prediction.askAgain();
    root.marginLab = { setting, frame };
    root.dataset.state = "ready";
    const how = source.live ? `live · computed in ${Math.max(1, Math.round(milliseconds))} ms` : "precomputed; any value in a live notebook";
    status.textContent = (!source.live && note) || how;
    tell();
    if (moved && key) settingToAddress(key, setting);
  }

  function guarded(answer) {
    try {
      show(answer);
    } catch (problem) {
      root.dataset.state = "error";
      error.textContent = `The figure could not be drawn: ${problem.message}`;
      throw problem; // the console (and the tests) should hear of it too
    }
  }

  const elements = panels.map((p) => p.element);
  const [beside, below] = [true, false].map((where) => elements.filter((_, i) => spec.panels[i].beside_controls === where));
  const group = (label, children) =>
    (children.length ? [create("div", { class: "ml-tries", role: "group", "aria-label": label }, ...children)] : []);
  root.classList.add("ml-widget");
  root.dataset.widget = spec.name;
  root.dataset.source = source.live ? "live" : "static";
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", spec.title);
  root.setAttribute("aria-description", spec.alt);
  // On a telephone the outer box dissolves (widget.css), so that the sliders stick while all panels pass.
  root.replaceChildren(create("div", { class: "ml-frame" },
    create("div", { class: "ml-title" }, spec.title),
    create("div", { class: "ml-top" },
      create("div", { class: "ml-controls" },
        create("div", { class: "ml-sliders" }, ...controls.map((c) => c.element), ...playhead.elements),
        create("div", { class: "ml-tools" }, ...group("Things to try", tries),
          create("div", { class: "ml-actions" }, reset, pin, axes, prediction.button, csv, svg), prediction.element, status, error)),
      ...beside),
    create("div", { class: "ml-panels" }, ...below), reading.element));

  const wanted = key ? settingFromAddress(key, spec.controls) : null;
  if (wanted) apply(wanted);
  source.start(guarded, wanted ? current() : null);
  if (!key) return;
  const follow = performance.getEntriesByType("navigation")[0]?.type === "navigate"; // not after Back or reload
  if (wanted && follow) root.scrollIntoView({ block: "nearest" });
  addEventListener("hashchange", () => { // a link to a setting, or an address typed
    const next = settingFromAddress(key, spec.controls);
    if (!next) return;
    apply(next);
    source.ask(current());
    root.scrollIntoView({ block: "nearest" });
  });
}

/** anywidget's entry (JupyterLab, Colab). */
function renderLive({ model, el }) {
  const root = create("div");
  el.append(root);
  const source = kernelSource(model);
  mountWidget(root, model.get("spec"), source);
  return source.stop;
}
