// The widget: controls, panels, status line. Tests and other scripts read `root.marginLab = {setting, frame}`:
// the numbers that are on the screen; `data-state` is "ready", "busy" or "error", `data-source` "static" or "live".

function mountWidget(root, spec, source) {
  const ask = (note) => {
    pending = note;
    root.dataset.state = "busy";
    source.ask(Object.fromEntries(controls.map((c) => [c.name, c.get()])));
  };
  let pending = "";
  const controls = spec.controls.map((c) => makeControl(c, source.live, ask));
  const panels = spec.panels.map((p) => makePanel(p));
  linkPanels(panels);
  const status = create("span", { class: "ml-status", role: "status" });
  const error = create("div", { class: "ml-error", role: "alert" });
  const reset = create("button", { type: "button", class: "ml-reset", ...KEEP_KEYS }, "Reset");
  reset.addEventListener("click", () => {
    controls.forEach((c, i) => c.set(spec.controls[i].default));
    ask("");
  });

  function show({ setting, frame, error: problem, milliseconds, mine }) {
    if (!mine && setting) controls.forEach((c) => c.set(setting[c.name]));
    error.textContent = problem ?? "";
    if (problem) {
      root.dataset.state = "error";
      status.textContent = "not computed";
      return;
    }
    spec.panels.forEach((p, i) => panels[i].draw(frame[p.name]));
    root.marginLab = { setting, frame };
    root.dataset.state = "ready";
    status.textContent = source.live ? `live · computed in ${Math.max(1, Math.round(milliseconds))} ms` : pending || "precomputed; any value in a live notebook";
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
        create("div", { class: "ml-actions" }, reset, status), error),
      ...beside),
    create("div", { class: "ml-panels" }, ...below)));
  source.start(guarded);
}

/** anywidget's entry (JupyterLab, Colab). */
function renderLive({ model, el }) {
  const root = create("div");
  el.append(root);
  const source = kernelSource(model);
  mountWidget(root, model.get("spec"), source);
  return source.stop;
}
