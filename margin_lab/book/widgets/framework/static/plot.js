// One panel: title, legend, axes, reference lines and series, drawn at the pixel size that it has on the page
// (a scaled viewBox would scale the letters too, and at 360 px nobody could read them).

const MARGIN = { top: 22, right: 14, bottom: 38, left: 46 };

function makePanel(spec) {
  const legend = create("div", { class: "ml-legend" });
  const canvas = create("div", { class: "ml-canvas" });
  const element = create("div", { class: "ml-panel", "data-panel": spec.name },
    create("div", { class: "ml-panel-title" }, spec.title), legend, canvas);
  let frame = null;
  let places = {}; // series -> where its points are drawn, for the probe

  function draw(next) {
    frame = next;
    drawLegend();
    resize();
  }

  function drawLegend() {
    legend.replaceChildren();
    for (const series of spec.series) {
      const { y } = frame[series.name];
      if (!series.label || !y.length) continue;
      const isValue = series.mark === "value";
      const entry = create("span", { class: "ml-legend-entry" }, ...(isValue ? [] : [swatch(series)]), series.label);
      if (series.last || isValue) entry.append(create("span", { class: "ml-last" }, readable(y[y.length - 1])));
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
    drawAxes(svg, xScale, yScale, width, height);
    drawMarks(svg, xScale, yScale, width, height);
    canvas.replaceChildren(svg.node());
    svg.append("g").attr("class", "ml-probe");
  }

  function scales(width, height) {
    const drawn = spec.series.filter((s) => s.mark !== "value");
    const values = (axis) => drawn.flatMap((s) => Array.from(frame[s.name][axis]));
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
    const xTicks = ticksOf(spec.x, xScale, Math.floor(width / 60));
    const yTicks = ticksOf(spec.y, yScale, Math.floor(height / 34));
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
    for (const series of spec.series) {
      if (series.mark === "value") continue;
      const points = drawSeries(marks.append("g"), series, frame[series.name], xScale, yScale);
      if (series.mark === "line") places[series.name] = points;
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
  return { spec, element, canvas, draw, places: () => places, frame: () => frame };
}
