// The widget: controls, panels, status line. Tests and other scripts read `root.marginLab = {setting, frame}`:
// the numbers that are on the screen; `data-state` is "ready", "busy" or "error", `data-source` "static" or "live".

function mountWidget(root, spec, source) {
  const ask = (note) => {
    pending = note;
    moved = true;
    root.dataset.state = "busy";
    source.ask(current());
  };
  let pending = "", moved = false, last = null, pinned = null, free = false;
  const key = source.live ? null : addressKey(root, spec.name);
  const controls = spec.controls.map((c) => makeControl(c, source.live, ask));
  const current = () => Object.fromEntries(controls.map((c) => [c.name, c.get()]));
  const apply = (setting) => controls.forEach((c) => { if (c.name in setting) c.set(setting[c.name]); });
  const panels = spec.panels.map((p) => makePanel(p));
  linkPanels(panels);
  const extents = makeExtents(spec, source);
  const prediction = makePrediction(spec, (name) => panels.find((p) => p.spec.name === name).heights(), redraw);
  const reading = makeReading();
  const status = create("span", { class: "ml-status", role: "status" });
  const error = create("div", { class: "ml-error", role: "alert" });
  const tool = (text, act, extra = {}) => {
    const button = create("button", { type: "button", class: "ml-tool", ...KEEP_KEYS, ...extra }, text);
    button.addEventListener("click", () => act(button));
    return button;
  };
  const reset = tool("Reset", () => {
    apply(Object.fromEntries(spec.controls.map((c) => [c.name, c.default])));
    ask("");
  }, { class: "ml-tool ml-reset" });
  const pin = tool("Pin", (button) => {
    pinned = pinned ? null : last.frame;
    button.setAttribute("aria-pressed", String(Boolean(pinned)));
    button.textContent = pinned ? "Unpin" : "Pin";
    redraw();
  }, { "aria-pressed": "false", title: "Keep these curves, pale, beside the next ones" });
  const axes = tool("Free axes", (button) => {
    free = !free;
    button.setAttribute("aria-pressed", String(free));
    redraw();
  }, { "aria-pressed": "false", title: "Fit the axes to what is shown, instead of to all settings" });
  const csv = tool("CSV", () => download(`${spec.name}.csv`, "text/csv", csvOf(spec, last.setting, last.frame, readingOf(spec, last.frame))), { title: "These numbers as a file" });
  const svg = tool("SVG", () => download(`${spec.name}.svg`, "image/svg+xml", svgOf(root, spec)), { title: "This picture as a file" });
  const tries = spec.tries.map(({ label, setting }) => tool(label, () => {
    apply(setting);
    ask("");
  }, { class: "ml-tool ml-try" }));

  function redraw() {
    if (!last) return;
    const far = free ? null : extents(last.setting, last.frame);
    spec.panels.forEach((p, i) => panels[i].draw(last.frame[p.name], {
      extent: far?.[p.name] ?? null, ghost: pinned?.[p.name] ?? null,
      hidden: prediction.hides(p.name), guess: prediction.guess(p.name),
    }));
  }

  function show({ setting, frame, error: problem, milliseconds, mine }) {
    if (!mine && setting) controls.forEach((c) => c.set(setting[c.name]));
    error.textContent = problem ?? "";
    if (problem) {
      root.dataset.state = "error";
      status.textContent = "not computed";
      return;
    }
    last = { setting, frame };
    redraw(); // the scales that a prediction needs
    prediction.update(frame);
    root.marginLab = { setting, frame };
    root.dataset.state = "ready";
    status.textContent = source.live ? `live · computed in ${Math.max(1, Math.round(milliseconds))} ms` : pending || "precomputed; any value in a live notebook";
    reading.say(readingOf(spec, frame));
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

  const isBeside = (_, i) => spec.panels[i].beside_controls;
  const elements = panels.map((p) => p.element);
  const beside = elements.filter(isBeside), below = elements.filter((e, i) => !isBeside(e, i));
  root.classList.add("ml-widget");
  root.dataset.widget = spec.name;
  root.dataset.source = source.live ? "live" : "static";
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", spec.title);
  root.replaceChildren(create("div", { class: "ml-frame" },
    create("div", { class: "ml-title" }, spec.title),
    create("div", { class: "ml-top" },
      create("div", { class: "ml-controls" }, ...controls.map((c) => c.element),
        ...(tries.length ? [create("div", { class: "ml-tries", role: "group", "aria-label": "Things to try" }, ...tries)] : []),
        create("div", { class: "ml-actions" }, reset, pin, axes, prediction.button, csv, svg), prediction.element, status, error),
      ...beside),
    create("div", { class: "ml-panels" }, ...below), reading.element));
  const wanted = key ? settingFromAddress(key) : null;
  if (wanted) apply(Object.fromEntries(spec.controls.filter((c) => c.name in wanted).map((c) => [c.name, c.kind === "slider" ? Number(wanted[c.name]) : wanted[c.name]])));
  source.start(guarded, wanted ? current() : null);
  if (wanted) root.scrollIntoView({ block: "nearest" });
}

/** anywidget's entry (JupyterLab, Colab). */
function renderLive({ model, el }) {
  const root = create("div");
  el.append(root);
  const source = kernelSource(model);
  mountWidget(root, model.get("spec"), source);
  return source.stop;
}
