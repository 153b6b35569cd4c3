// The front page's sandbox: points to drag, five optimizers racing from one start to the widest margin of their own norm.
// It draws what race.js computes; tests read `root.marginRace`, the state that is on the screen.
"use strict";

(() => {
  const root = document.getElementById("margin-race");
  if (!root) return;
  const { METHODS, NORM } = MarginRace;
  const LABELS = { gd: "gradient descent", ngd: "normalised GD", prgd: "PRGD", sign: "sign descent", coordinate: "coordinate descent" };
  const STEPS = 10000, RECORDS = 240, START = [0.15, -0.35], SIZE = 400, REACH = 1.25, FLOOR = 1e-12;
  const PRESETS = {
    "three norms": [[0.75, 0.1, 1], [0.55, 0.55, 1], [1.0, 0.65, 1], [-0.95, -0.35, -1], [-0.85, -0.75, -1]],
    "two against one": [[0.25, 0.95, 1], [0.35, 0.9, 1], [-0.25, 0.8, -1]],
    "two clouds": [[0.3, 0.75, 1], [0.75, 0.55, 1], [0.6, 0.95, 1], [1.0, 0.15, 1], [-0.35, -0.5, -1], [-0.8, -0.7, -1], [-0.55, 0.1, -1], [-0.15, -0.95, -1]],
  };
  const times = [...new Set([0, ...Array.from({ length: RECORDS }, (_, i) => Math.round(STEPS ** (i / (RECORDS - 1))))])].sort((a, b) => a - b);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const state = { points: [], chosen: "prgd", at: times.length - 1, playing: false, lr: 1, growth: 1.1, picked: -1 };

  const svg = (name, attributes = {}, ...children) => fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
  const html = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
  function fill(element, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  }

  // ---- the race

  function compute() {
    const Z = state.points.map(([x, y, label]) => [x * label, y * label]);
    state.wide = Object.fromEntries(["l1", "l2", "linf"].map((norm) => [norm, MarginRace.widest(Z, norm)]));
    state.separable = Z.length > 0 && state.wide.l2.margin > FLOOR;
    state.runs = {};
    if (!state.separable) return;
    for (const method of METHODS) {
      const w = MarginRace.run(Z, method, STEPS, { w0: START, lr: state.lr, growth: state.growth, record: times });
      const goal = state.wide[NORM[method]].margin;
      // how far the margin is from the widest one, as a share of it
      const gap = w.map((v) => Math.max(FLOOR, 1 - MarginRace.margin(Z, v, NORM[method]) / goal));
      state.runs[method] = { w, gap };
    }
  }

  // ---- the plane: samples, directions, the chosen method's line and band

  const X = (x) => SIZE / 2 + (x / REACH) * (SIZE / 2), Y = (y) => SIZE / 2 - (y / REACH) * (SIZE / 2);
  const band = svg("polygon", { class: "mr-band" }), now = svg("line", { class: "mr-now" });
  const arrows = svg("g"), rings = svg("g"), dots = svg("g");
  const plane = svg("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, class: "mr-plane", role: "group", "aria-label": "The plane: samples that can be dragged, and the directions of five optimizers" },
    svg("line", { class: "mr-axis", x1: 0, x2: SIZE, y1: Y(0), y2: Y(0) }), svg("line", { class: "mr-axis", y1: 0, y2: SIZE, x1: X(0), x2: X(0) }),
    band, now, arrows, rings, dots);

  const unit = (w) => { const size = Math.hypot(...w); return size > 0 ? [w[0] / size, w[1] / size] : [0, 0]; };
  const across = (w, far = 3) => ({ x1: X(-w[1] * far), y1: Y(w[0] * far), x2: X(w[1] * far), y2: Y(-w[0] * far) });

  function drawPlane() {
    const norm = NORM[state.chosen], goal = state.wide[norm], u = unit(goal.w), half = goal.margin / Math.hypot(...goal.w);
    plane.dataset.separable = state.separable;
    arrows.replaceChildren();
    rings.replaceChildren();
    const corner = (side, far) => `${X(u[0] * half * side - u[1] * far)},${Y(u[1] * half * side + u[0] * far)}`;
    band.setAttribute("points", state.separable ? [corner(1, -3), corner(1, 3), corner(-1, 3), corner(-1, -3)].join(" ") : "");
    band.style.setProperty("--mr", `var(--mr-${state.chosen})`);
    now.style.setProperty("--mr", `var(--mr-${state.chosen})`);
    if (state.separable) {
      for (const method of METHODS) {
        const d = unit(state.runs[method].w[state.at]), target = unit(state.wide[NORM[method]].w);
        const style = `--mr: var(--mr-${method})`, chosen = method === state.chosen ? " mr-chosen" : "";
        arrows.append(
          svg("circle", { class: "mr-target" + chosen, style, cx: X(target[0] * 1.12), cy: Y(target[1] * 1.12), r: 6 }),
          svg("line", { class: "mr-arrow" + chosen, style, x1: X(0), y1: Y(0), x2: X(d[0] * 1.12), y2: Y(d[1] * 1.12) }),
          svg("circle", { class: "mr-head", style, cx: X(d[0] * 1.12), cy: Y(d[1] * 1.12), r: 3.5 }));
      }
      fill(now, across(unit(state.runs[state.chosen].w[state.at])), []);
      for (const [x, y, label] of state.points) {
        if ((u[0] * x + u[1] * y) * label <= half * (1 + 1e-9) + 1e-12) rings.append(svg("circle", { class: "mr-ring", cx: X(x), cy: Y(y), r: 12 }));
      }
    }
    now.style.display = state.separable ? "" : "none";
  }

  const name = ([x, y, label], i) => `sample ${i + 1}, class ${label > 0 ? "plus" : "minus"}, at ${x.toFixed(2)}, ${y.toFixed(2)}`;

  function drawSamples() {
    const focused = dots.contains(document.activeElement);
    dots.replaceChildren(...state.points.map((p, i) => {
      const [x, y, label] = p;
      const mark = label > 0 ? svg("circle", { cx: X(x), cy: Y(y), r: 7 }) : svg("rect", { x: X(x) - 6.5, y: Y(y) - 6.5, width: 13, height: 13 });
      return svg("g", {
        class: `mr-sample ${label > 0 ? "mr-plus" : "mr-minus"}`, tabindex: 0, role: "button", "data-lm-suppress-shortcuts": "true",
        "aria-label": `${name(p, i)}. Arrow keys move it, Enter flips its class, Delete removes it`,
        onfocus: () => { state.picked = i; },
        onkeydown: (event) => key(event, i),
        onpointerdown: (event) => drag(event, i),
        ondblclick: () => flip(i),
      }, svg("circle", { class: "mr-touch", cx: X(x), cy: Y(y), r: 18 }), mark);
    }));
    if (focused) dots.children[Math.min(state.picked, state.points.length - 1)]?.focus();
  }

  const clamp = (v) => Math.max(-REACH + 0.05, Math.min(REACH - 0.05, v));
  function moveTo(i, x, y) {
    state.points[i] = [clamp(x), clamp(y), state.points[i][2]];
    update();
  }
  function flip(i) {
    if (!state.points[i]) return;
    state.points[i] = [state.points[i][0], state.points[i][1], -state.points[i][2]];
    update();
  }
  function remove(i) {
    if (state.points.length < 2) return;
    state.points.splice(i, 1);
    state.picked = Math.min(i, state.points.length - 1);
    update();
  }
  function add(x, y, label) {
    state.points.push([clamp(x), clamp(y), label]);
    state.picked = state.points.length - 1;
    update();
  }
  function key(event, i) {
    const step = event.shiftKey ? 0.1 : 0.02, [x, y] = state.points[i];
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (moves[event.key]) moveTo(i, x + moves[event.key][0], y + moves[event.key][1]);
    else if (event.key === "Enter" || event.key === " ") flip(i);
    else if (event.key === "Delete" || event.key === "Backspace") remove(i);
    else return;
    event.preventDefault();
  }
  function drag(event, i) {
    event.preventDefault();
    state.picked = i;
    dots.children[i].focus();
    const place = (e) => {
      const at = new DOMPoint(e.clientX, e.clientY).matrixTransform(plane.getScreenCTM().inverse());
      moveTo(i, (at.x / SIZE - 0.5) * 2 * REACH, (0.5 - at.y / SIZE) * 2 * REACH);
    };
    const stop = () => { removeEventListener("pointermove", place); removeEventListener("pointerup", stop); removeEventListener("pointercancel", stop); };
    addEventListener("pointermove", place);
    addEventListener("pointerup", stop);
    addEventListener("pointercancel", stop);
  }

  // ---- the curves: what is missing of each one's widest margin, against steps, both on log axes

  const W = 420, H = 300, LEFT = 52, BOTTOM = 40, TOP = 10;
  const T = (t) => LEFT + (Math.log10(Math.max(1, t)) / Math.log10(STEPS)) * (W - LEFT - 14);
  const G = (gap) => TOP + (Math.log10(gap) / Math.log10(FLOOR)) * (H - TOP - BOTTOM);
  const curves = svg("g"), cursor = svg("line", { class: "mr-cursor", y1: TOP, y2: H - BOTTOM }), grid = svg("g");
  for (let k = 0; k <= 4; k++) grid.append(svg("line", { class: "mr-grid", x1: T(10 ** k), x2: T(10 ** k), y1: TOP, y2: H - BOTTOM }), svg("text", { x: T(10 ** k), y: H - BOTTOM + 15, "text-anchor": k === 4 ? "end" : "middle", dx: k === 4 ? 8 : 0 }, (10 ** k).toLocaleString("en")));
  for (const [gap, text] of [[1, "all"], [1e-2, "1 %"], [1e-4, "10⁻⁴"], [1e-8, "10⁻⁸"], [1e-12, "10⁻¹²"]]) grid.append(svg("line", { class: "mr-grid", x1: LEFT, x2: W - 14, y1: G(gap), y2: G(gap) }), svg("text", { x: LEFT - 6, y: G(gap) + 4, "text-anchor": "end" }, text));
  grid.append(svg("text", { class: "mr-label", x: (LEFT + W) / 2, y: H - 6, "text-anchor": "middle" }, "steps"),
    svg("text", { class: "mr-label", x: -(H - BOTTOM + TOP) / 2, y: 12, transform: "rotate(-90)", "text-anchor": "middle" }, "missing of the widest margin"));
  const chart = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "mr-chart", role: "img", "aria-label": "How much each optimizer's margin misses of the widest one, against steps" }, grid, curves, cursor);

  function drawCurves() {
    curves.replaceChildren(...(state.separable ? [...METHODS].sort((a, b) => (a === state.chosen) - (b === state.chosen)) : []).map((method) => svg("path", {
      class: "mr-curve" + (method === state.chosen ? " mr-chosen" : ""), style: `--mr: var(--mr-${method})`, "data-method": method,
      d: "M" + times.slice(1).map((t, i) => `${T(t).toFixed(1)},${G(Math.min(1, state.runs[method].gap[i + 1])).toFixed(1)}`).join("L"),
    })));
  }

  // ---- controls

  const button = (text, onclick, extra = {}) => html("button", { type: "button", onclick, ...extra }, text);
  const play = button("Play", () => (state.playing ? pause() : start()), { class: "mr-play" });
  const scrub = html("input", { type: "range", min: 0, max: times.length - 1, step: 1, autocomplete: "off", "aria-label": "Step of the race", "data-lm-suppress-shortcuts": "true", oninput: () => { pause(); state.at = +scrub.value; show(); } });
  const reading = html("p", { class: "mr-reading", "aria-live": "polite" });
  const knob = (name, label, options, text) => {
    const out = html("output"), input = html("input", { type: "range", autocomplete: "off", "data-lm-suppress-shortcuts": "true", "data-knob": name, ...options, oninput: () => { state[name] = +input.value; update(); } });
    input.value = state[name];
    return { element: html("label", { class: "mr-knob" }, label, input, out), show: () => { out.textContent = text(state[name]); } };
  };
  const knobs = [
    knob("lr", "step size", { min: 0.05, max: 2, step: 0.05 }, (v) => v.toFixed(2)),
    knob("growth", "PRGD's growth", { min: 1.02, max: 1.6, step: 0.02 }, (v) => `× ${v.toFixed(2)}`),
  ];
  const racers = METHODS.map((method) => html("label", { style: `--mr: var(--mr-${method})` },
    html("input", { type: "radio", name: "mr-method", value: method, autocomplete: "off", onchange: () => { state.chosen = method; show(); drawCurves(); } }), html("span", { class: "mr-swatch" }), LABELS[method], html("output", { "data-method": method })));
  const preset = html("select", { "aria-label": "Samples", autocomplete: "off", onchange: () => choose(preset.value) }, ...Object.keys(PRESETS).map((n) => html("option", {}, n)));

  const percent = (gap) => (gap <= FLOOR ? "none" : gap >= 1 ? "all" : gap >= 0.001 ? `${(100 * gap).toPrecision(2)} %` : gap.toExponential(0).replace("e-", "·10⁻").replace(/⁻(\d+)/, (_, d) => "⁻" + [...d].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]).join("")));

  function say() {
    if (!state.separable) return "No line through the cross separates these samples, so there is no margin to race for. Drag or flip one.";
    const steps = times[state.at].toLocaleString("en"), order = [...METHODS].sort((a, b) => state.runs[a].gap[state.at] - state.runs[b].gap[state.at]);
    const first = order[0], last = order.at(-1), of = (m) => percent(state.runs[m].gap[state.at]);
    return `After ${steps} steps ${LABELS[first]} is nearest to its widest margin (missing: ${of(first)}), ${LABELS[last]} is furthest (${of(last)}).`;
  }

  function show() {
    scrub.value = state.at;
    scrub.setAttribute("aria-valuetext", `step ${times[state.at].toLocaleString("en")}`);
    cursor.setAttribute("x1", T(times[state.at]));
    cursor.setAttribute("x2", T(times[state.at]));
    knobs.forEach((k) => k.show());
    for (const label of racers) {
      const out = label.querySelector("output");
      label.querySelector("input").checked = out.dataset.method === state.chosen;
      out.textContent = state.separable ? percent(state.runs[out.dataset.method].gap[state.at]) : "";
    }
    drawPlane();
    if (!state.playing) reading.textContent = say();
    root.marginRace = { times, ...state };
  }
  function update() {
    compute();
    drawSamples();
    drawCurves();
    show();
  }
  function start() {
    if (state.at >= times.length - 1) state.at = 0;
    state.playing = true;
    play.textContent = "Pause";
    reading.textContent = "";
    const tick = () => {
      if (!state.playing) return;
      state.at = Math.min(times.length - 1, state.at + 1);
      if (state.at === times.length - 1) pause();
      show();
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }
  function pause() {
    state.playing = false;
    play.textContent = "Play";
  }
  function choose(which) {
    state.points = PRESETS[which].map((p) => [...p]);
    state.picked = -1;
    update();
  }

  root.classList.add("mr-root");
  root.replaceChildren(html("div", { class: "mr-stage" },
    html("div", { class: "mr-where" }, plane),
    html("div", { class: "mr-when" }, chart),
    html("div", { class: "mr-controls" }, play, scrub, ...knobs.map((k) => k.element)),
    html("fieldset", { class: "mr-racers" }, html("legend", {}, "missing of its own widest margin"), ...racers)),
  html("div", { class: "mr-controls" }, preset,
    button("Add ●", () => add(0.5, 0.5, 1)), button("Add ■", () => add(-0.5, -0.5, -1)),
    button("Flip", () => flip(state.picked)), button("Remove", () => remove(state.picked)), reading));
  state.at = calm ? times.length - 1 : 0;
  choose("three norms");
  if (!calm) start();
})();
