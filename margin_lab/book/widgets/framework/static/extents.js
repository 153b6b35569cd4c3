// How far an axis must reach: over all settings of the sliders, so that what moves on the screen is the data and not the axis.

/** Smallest and largest usable value among arrays; [] where there is none. */
function extentOf(axis, arrays) {
  let low = Infinity, high = -Infinity;
  for (const values of arrays) {
    for (const v of values) {
      if (!Number.isFinite(v) || (axis.scale === "log" && v <= 0)) continue;
      if (v < low) low = v;
      if (v > high) high = v;
    }
  }
  return low > high ? [] : [low, high];
}

/** What one frame needs, per panel: {panel: {x: [low, high], y: [low, high], present: names of the series that it has}}. */
function extentsOf(spec, frame) {
  return Object.fromEntries(spec.panels.map((panel) => {
    const drawn = panel.series.filter((s) => s.mark !== "value");
    const along = (axis) => extentOf(panel[axis], drawn.map((s) => frame[panel.name][s.name][axis]));
    const present = panel.series.filter((s) => frame[panel.name][s.name].y.length).map((s) => s.name);
    return [panel.name, { x: along("x"), y: along("y"), present: new Set(present) }];
  }));
}

/** The union of two such tables. */
function unionOf(spec, a, b) {
  if (!a) return b;
  return Object.fromEntries(spec.panels.map(({ name, x, y }) => [name, {
    x: extentOf(x, [a[name].x, b[name].x]), y: extentOf(y, [a[name].y, b[name].y]),
    present: new Set([...a[name].present, ...b[name].present]),
  }]));
}

/** One memory for each combination of the lists: other data may need other axes, another slider position may not. */
function makeExtents(spec, source) {
  const known = new Map();
  const lists = spec.controls.filter((c) => c.kind !== "slider").map((c) => c.name);
  return function extents(setting, frame) {
    const key = lists.map((name) => setting[name]).join("\n");
    if (source.frames) {
      if (!known.has(key)) {
        let all = null;
        for (const f of source.frames(Object.fromEntries(lists.map((name) => [name, setting[name]])))) all = unionOf(spec, all, extentsOf(spec, f));
        known.set(key, all);
      }
    } else known.set(key, unionOf(spec, known.get(key), extentsOf(spec, frame))); // live: what has been seen
    return known.get(key);
  };
}
