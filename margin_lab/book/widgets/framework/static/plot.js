// One panel: title, legend, axes, reference lines and series, drawn at the pixel size that it has on the page
// (a scaled viewBox would scale the letters too, and at 360 px nobody could read them).

const MARGIN = { top: 22, right: 14, bottom: 38, left: 46 };

/** Lines of at most `most` letters. */
function wrapped(text, most) {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (lines.at(-1) && lines.at(-1).length + word.length >= most) lines.push("");
    lines[lines.length - 1] += (lines.at(-1) && " ") + word;
  }
  return lines;
}

/** `view` tells what surrounds a frame: {far: what the sliders can bring (extents.js), free: whether the axes fit this frame
 *  alone, ghost: a pinned frame or null, hidden: whether its lines are to be guessed, guess: the height of a guess or null}. */
function makePanel(spec) {
  const legend = create("div", { class: "ml-legend" });
  const canvas = create("div", { class: "ml-canvas" });
  const element = create("div", { class: "ml-panel", "data-panel": spec.name },
    create("div", { class: "ml-panel-title" }, spec.title), legend, canvas);
  let frame = null;
  let places = {}; // series -> where its points are drawn, for the probe
  let view = null, yNow = null;

  function draw(next, around) {
    frame = next;
    view = around;
    drawLegend();
    resize();
  }

  function drawLegend() {
    legend.replaceChildren();
    for (const series of spec.series) {
      const { y } = frame[series.name];
      if (!series.label || !view.far.present.has(series.name)) continue;
      const isValue = series.mark === "value";
      const entry = create("span", { class: "ml-legend-entry" }, ...(isValue ? [] : [swatch(series)]), series.label);
      // an entry that another position of the sliders has keeps its place, so that nothing below it jumps
      if (!y.length) entry.style.visibility = "hidden";
      if (series.last || isValue) entry.append(create("span", { class: "ml-last" }, view.hidden ? "?" : readable(y.length ? y.at(-1) : NaN)));
      legend.append(entry);
    }
  }

  function resize() {
    const width = canvas.clientWidth;
    if (!frame || width < 60) return; // hidden: the observer calls again when the panel gets a size
    const height = Math.round(Math.min(420, Math.max(190, width * spec.aspect)));
    const svg = d3.select(document.createElementNS("http://www.w3.org/2000/svg", "svg"))
      .attr("width", width).attr("height", height).attr("role", "img")
      .attr("aria-label", `${spec.title}: ${spec.y.label} against ${spec.x.label}`);
    const [xScale, yScale] = scales(width, height);
    yNow = yScale;
    drawAxes(svg, xScale, yScale, width, height);
    drawMarks(svg, xScale, yScale, width, height);
    canvas.replaceChildren(svg.node());
    svg.append("g").attr("class", "ml-probe");
  }

  function scales(width, height) {
    const drawn = spec.series.filter((s) => s.mark !== "value");
    const shown = [frame, ...(view.ghost ? [view.ghost] : [])];
    const values = (axis) => (view.free ? null : view.far[axis]) ?? extentOf(spec[axis], shown.flatMap((f) => drawn.map((s) => f[s.name][axis])));
    const arrows = drawn.some((s) => s.mark === "arrow") ? [0] : []; // they start at the origin: show it
    let x = domainOf(spec.x, [...values("x"), ...arrows]), y = domainOf(spec.y, [...values("y"), ...arrows]);
    const inner = [width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom];
    if (spec.equal) [x, y] = equalise(x, y, ...inner);
    return [
      makeScale(spec.x, x, [MARGIN.left, width - MARGIN.right]),
      makeScale(spec.y, y, [height - MARGIN.bottom, MARGIN.top]),
    ];
  }

  function drawAxes(svg, xScale, yScale, width, height) {
    const xTicks = ticksOf(spec.x, xScale, Math.floor(width / 60), 34);
    const yTicks = ticksOf(spec.y, yScale, Math.floor(height / 34), 15);
    const inner = [width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom];
    const axis = (make, scale, ticks, length) =>
      make(scale).tickValues(ticks.values).tickFormat(ticks.text).tickSizeInner(-length).tickSizeOuter(0).tickPadding(6);
    svg.append("g").attr("class", "ml-axis").attr("transform", `translate(0,${height - MARGIN.bottom})`)
      .call(axis(d3.axisBottom, xScale, xTicks, inner[1]));
    svg.append("g").attr("class", "ml-axis").attr("transform", `translate(${MARGIN.left},0)`)
      .call(axis(d3.axisLeft, yScale, yTicks, inner[0]));
    svg.append("text").attr("class", "ml-axis-label").attr("text-anchor", "end")
      .attr("x", width - MARGIN.right).attr("y", height - 4).text(spec.x.label);
    svg.append("text").attr("class", "ml-axis-label").attr("x", 2).attr("y", 12).text(spec.y.label);
  }

  function drawMarks(svg, xScale, yScale, width, height) {
    const id = `ml-${++lastId}`;
    svg.append("clipPath").attr("id", id).append("rect")
      .attr("x", MARGIN.left - 3).attr("y", MARGIN.top - 3)
      .attr("width", width - MARGIN.left - MARGIN.right + 6).attr("height", height - MARGIN.top - MARGIN.bottom + 6);
    const marks = svg.append("g").attr("class", "ml-marks").attr("clip-path", `url(#${id})`);
    for (const rule of spec.rules) drawRule(marks, rule, xScale, yScale, width, height);
    places = {};
    let any = false;
    for (const series of spec.series) {
      if (series.mark === "value") continue;
      if (view.ghost) drawSeries(marks.append("g").attr("class", "ml-ghost"), series, view.ghost[series.name], xScale, yScale);
      if (view.hidden && series.mark === "line") continue;
      const points = drawSeries(marks.append("g"), series, frame[series.name], xScale, yScale);
      any ||= points.some((p) => p !== null);
      if (series.mark === "line") places[series.name] = points;
    }
    if (view.guess !== null && Number.isFinite(yScale(view.guess))) {
      const level = yScale(view.guess), end = width - MARGIN.right;
      marks.append("path").attr("class", "ml-guess-mark").attr("d", `M${end - 26} ${level}H${end}M${end - 9} ${level - 6}L${end} ${level}L${end - 9} ${level + 6}`);
    }
    if (!any && !view.hidden) {
      const middle = (MARGIN.left + width - MARGIN.right) / 2;
      wrapped(spec.empty, (width - MARGIN.left - MARGIN.right) / 7).forEach((line, i) => {
        svg.append("text").attr("class", "ml-empty").attr("text-anchor", "middle").attr("x", middle).attr("y", height / 2 + 18 * i).text(line);
      });
    }
  }

  function drawRule(marks, rule, xScale, yScale, width, height) {
    const level = rule.axis === "y" ? yScale(rule.value) : xScale(rule.value);
    if (!Number.isFinite(level)) return;
    const path = rule.axis === "y" ? `M${MARGIN.left} ${level}H${width - MARGIN.right}` : `M${level} ${MARGIN.top}V${height - MARGIN.bottom}`;
    marks.append("path").attr("class", "ml-rule").attr("d", path);
    const [x, y] = rule.axis === "y" ? [MARGIN.left + 5, level - 5] : [level + 5, MARGIN.top + 10];
    if (rule.label) marks.append("text").attr("class", "ml-rule-label").attr("x", x).attr("y", y).text(rule.label);
  }

  // Two frames may pass between a change of size and the drawing: drawing inside the observer would loop.
  new ResizeObserver(() => requestAnimationFrame(resize)).observe(canvas);
  /** Heights on the panel as shares, 0 at its foot and 1 at its top: {invert(share)}. */
  const heights = () => ({ invert: (share) => yNow.invert(yNow.range()[0] + share * (yNow.range()[1] - yNow.range()[0])) });
  return { spec, element, canvas, draw, heights, places: () => places, frame: () => frame };
}
