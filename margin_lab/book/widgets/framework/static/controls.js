// Sliders, number boxes and drop-down lists. Each control: {element, get(), set(value), onMove}.

let lastId = 0;

function create(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// JupyterLab takes the arrow keys unless this stands on the input itself (not on a parent).
// After Back, a browser would put the controls where they were and leave the picture: autocomplete off.
const KEEP_KEYS = { "data-lm-suppress-shortcuts": "true", autocomplete: "off" };

const tidy = (value) => Number(value.toPrecision(12)); // 1.2000000000000002 -> 1.2
const showNumber = (value) => String(tidy(value)).replace("e-", "e−");

/** Where a slider's values lie: on a grid in the book, anywhere between its ends when live. */
function sliderTrack(spec, live) {
  const { grid, offset } = spec;
  const place = spec.scale === "log" ? (v) => Math.log(v - offset) : (v) => v;
  const low = grid[0], high = grid[grid.length - 1];
  const clamp = (v) => Math.min(high, Math.max(low, v));
  if (!live) {
    const distance = (v, g) => Math.abs(place(clamp(v)) - place(g));
    const nearest = (v) => grid.reduce((best, g, i) => (distance(v, g) < distance(v, grid[best]) ? i : best), 0);
    return { max: grid.length - 1, toPosition: nearest, toValue: (p) => grid[p] };
  }
  if (spec.integer) return { max: high - low, toPosition: (v) => clamp(v) - low, toValue: (p) => low + p };
  const steps = 400;
  const toPosition = (v) => Math.round((steps * (place(clamp(v)) - place(low))) / (place(high) - place(low)));
  function toValue(position) {
    if (position === 0 || position === steps) return position ? high : low;
    const t = place(low) + (position / steps) * (place(high) - place(low));
    const value = spec.scale === "log" ? Math.exp(t) : t - offset;
    return tidy(Number(value.toPrecision(3)) + offset); // three digits: what a reader can remember
  }
  return { max: steps, toPosition, toValue };
}

function makeSlider(spec, live, onChange) {
  const id = `ml-${++lastId}`;
  const track = sliderTrack(spec, live);
  const range = create("input", { type: "range", id, min: 0, max: track.max, step: 1, ...KEEP_KEYS });
  const box = create("input", {
    type: "number", step: "any", inputmode: "decimal", class: "ml-number",
    "aria-label": `${spec.label}, exact value`, ...KEEP_KEYS,
  });
  const label = create("label", { for: id, class: "ml-label" }, spec.label);
  const element = create("div", { class: "ml-control", "data-control": spec.name }, label, box, range);
  let value;

  function set(next) {
    value = live ? next : track.toValue(track.toPosition(next));
    range.value = track.toPosition(value);
    range.style.setProperty("--ml-filled", `${(100 * range.value) / track.max}%`);
    range.setAttribute("aria-valuetext", showNumber(value));
    box.value = tidy(value);
  }
  range.addEventListener("input", () => {
    set(track.toValue(Number(range.value)));
    onChange("");
  });
  function commit() {
    const typed = box.valueAsNumber;
    if (typed === tidy(value)) return;
    if (!Number.isFinite(typed)) return set(value); // nothing typed: put the number back
    set(live ? typed : track.toValue(track.toPosition(typed)));
    const snapped = !live && value !== typed;
    onChange(snapped ? `precomputed: ${showNumber(value)}, the nearest ${spec.label.toLowerCase()} to ${showNumber(typed)}` : "");
  }
  function nudge(by) {
    set(track.toValue(Math.min(track.max, Math.max(0, Number(range.value) + by))));
    onChange("");
  }
  box.addEventListener("change", commit);
  // Enter: JupyterLab keeps the browser from calling it a change. Arrows: the browser would add 1, far too much on a
  // log scale; they take the slider's step.
  const keys = { Enter: commit, Escape: () => set(value), ArrowUp: () => nudge(1), ArrowDown: () => nudge(-1) };
  box.addEventListener("keydown", (event) => {
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  set(spec.default);
  return { name: spec.name, element, get: () => value, set };
}

function makeChoice(spec, live, onChange) {
  const id = `ml-${++lastId}`;
  const options = spec.options.map((o) => create("option", { value: o.value }, o.label));
  const select = create("select", { id, ...KEEP_KEYS }, ...options);
  const label = create("label", { for: id, class: "ml-label" }, spec.label);
  const element = create("div", { class: "ml-control ml-choice", "data-control": spec.name }, label, select);
  const set = (value) => {
    if (spec.options.some((o) => o.value === value)) select.value = value;
  };
  select.addEventListener("change", () => onChange(""));
  set(spec.default);
  return { name: spec.name, element, get: () => select.value, set };
}

const makeControl = (spec, live, onChange) =>
  (spec.kind === "slider" ? makeSlider : makeChoice)(spec, live, onChange);
