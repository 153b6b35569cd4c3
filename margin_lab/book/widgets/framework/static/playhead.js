// A clock: curves are drawn up to a step of the run. Nothing is computed for it; what is there is shown in part.

/** {elements, cut(frame), update(setting, frame), reset()}; `onChange` is called when another step is to be shown. */
function makePlayhead(clock, onChange) {
  if (!clock) return { elements: [], cut: (frame) => frame, update() {}, reset() {} };
  const id = `ml-${++lastId}`;
  const slider = create("input", { type: "range", id, min: 0, max: 1, step: 1, value: 1, ...KEEP_KEYS });
  const time = create("output", { for: id, class: "ml-number ml-time" });
  const row = create("div", { class: "ml-control ml-clock" }, create("label", { for: id, class: "ml-label" }, clock.label), time, slider);
  let times = [0], index = 0, now = {};

  const isAtEnd = () => index >= times.length - 1;
  function place(next) {
    index = Math.max(0, Math.min(times.length - 1, next));
    slider.max = times.length - 1;
    slider.value = index;
    slider.style.setProperty("--ml-filled", `${(100 * index) / Math.max(1, times.length - 1)}%`);
    slider.setAttribute("aria-valuetext", showNumber(times[index]));
    time.textContent = showNumber(times[index]);
  }
  slider.addEventListener("input", () => {
    place(Number(slider.value));
    onChange();
  });
  const buttons = clock.stops.map(({ label, every, phase, others }) => makeTool(label, () => {
    const from = isAtEnd() ? 0 : index; // from the end it starts again
    const stops = (t) => (t % now[every] === phase % now[every]) !== others;
    const found = times.findIndex((t, i) => i > from && stops(t));
    place(found < 0 ? times.length - 1 : found);
    onChange();
  }));
  return {
    elements: buttons.length ? [row, create("div", { class: "ml-actions", role: "group", "aria-label": clock.label }, ...buttons)] : [row],
    /** The frame up to the step: every line that has a point at each of the clock's ticks. */
    cut(frame) {
      if (isAtEnd()) return frame;
      const part = (values) => (values.length === times.length ? values.subarray(0, index + 1) : values);
      return Object.fromEntries(Object.entries(frame).map(([panel, all]) => [panel,
        Object.fromEntries(Object.entries(all).map(([name, { x, y }]) => [name, { x: part(x), y: part(y) }]))]));
    },
    /** Another run: the end stays the end, another step stays the same tick. */
    update(setting, frame) {
      const end = isAtEnd();
      now = setting;
      times = Array.from(frame[clock.panel][clock.series].x);
      place(end ? times.length - 1 : index);
    },
    reset: () => place(times.length - 1),
  };
}
