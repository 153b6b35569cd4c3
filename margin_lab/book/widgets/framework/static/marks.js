// How a series looks: a line, points, numbered rings, arrows from the origin, or a filled polygon.

// Theme colours are CSS variables, so that a curve in ink turns light when the page turns dark.
const colorOf = (name) => ({ ink: "var(--ml-ink)", muted: "var(--ml-muted)" })[name] ?? name;

function pointsOf(series, { x, y }, xScale, yScale) {
  const usable = (v, scale) => Number.isFinite(v) && Number.isFinite(scale(v));
  return Array.from(x, (v, i) => (usable(v, xScale) && usable(y[i], yScale) ? [xScale(v), yScale(y[i])] : null));
}

const subscript = (number) => [...String(number)].map((c) => "₀₁₂₃₄₅₆₇₈₉"[c]).join("");

function drawLine(group, series, points) {
  const path = d3.line().defined((p) => p !== null)(points);
  group.append("path").attr("class", "ml-line").attr("d", path).attr("stroke-width", series.width)
    .attr("stroke-dasharray", series.dash.join(" ") || null);
  const present = points.filter((p) => p !== null);
  if (series.dots) {
    // One path for all dots: hundreds of circles would make dragging stutter.
    const circle = ([px, py]) => `M${px - 1.8} ${py}a1.8 1.8 0 1 0 3.6 0a1.8 1.8 0 1 0 -3.6 0`;
    group.append("path").attr("class", "ml-fill").attr("d", present.map(circle).join(""));
  }
}

function drawPoints(group, series, points) {
  for (const p of points) {
    if (p) group.append("circle").attr("class", "ml-fill").attr("cx", p[0]).attr("cy", p[1]).attr("r", series.width);
  }
}

/** Rings around samples, each named by its place in the series: z₁, z₂, ... NaN leaves a sample without. */
function drawRings(group, series, points) {
  const named = []; // samples in one place share a ring's name
  points.forEach((p, i) => {
    if (!p) return;
    const name = series.letter + subscript(i + 1), same = named.find(({ at }) => Math.hypot(at[0] - p[0], at[1] - p[1]) < 8);
    if (same) return void same.text.text(`${same.text.text()} ${name}`);
    group.append("circle").attr("class", "ml-line").attr("cx", p[0]).attr("cy", p[1]).attr("r", 8).attr("stroke-width", series.width);
    named.push({ at: p, text: group.append("text").attr("class", "ml-ring-name").attr("x", p[0] + 11).attr("y", p[1] + 4).text(name) });
  });
}

function drawArrows(group, series, points, origin) {
  for (const p of points) {
    if (!p) continue;
    const dx = p[0] - origin[0], dy = p[1] - origin[1], length = Math.hypot(dx, dy);
    if (length < 1) continue;
    const head = Math.min(9, length), ux = dx / length, uy = dy / length;
    const neck = [p[0] - head * ux, p[1] - head * uy];
    const wing = (side) => `${neck[0] - side * 0.42 * head * uy} ${neck[1] + side * 0.42 * head * ux}`;
    group.append("path").attr("class", "ml-line").attr("stroke-width", series.width)
      .attr("stroke-dasharray", series.dash.join(" ") || null).attr("d", `M${origin[0]} ${origin[1]}L${neck[0]} ${neck[1]}`);
    group.append("path").attr("class", "ml-fill").attr("d", `M${p[0]} ${p[1]}L${wing(1)}L${wing(-1)}Z`);
  }
}

function drawArea(group, series, points) {
  const path = d3.line().defined((p) => p !== null)(points);
  group.append("path").attr("class", "ml-area").attr("stroke-width", series.width).attr("d", path ? path + "Z" : null);
}

function drawSeries(group, series, data, xScale, yScale) {
  group.attr("data-series", series.name).style("--ml-color", colorOf(series.color));
  const points = pointsOf(series, data, xScale, yScale);
  if (series.mark === "points") drawPoints(group, series, points);
  else if (series.mark === "ring") drawRings(group, series, points);
  else if (series.mark === "arrow") drawArrows(group, series, points, [xScale(0), yScale(0)]);
  else if (series.mark === "area") drawArea(group, series, points);
  else drawLine(group, series, points);
  return points;
}

/** The series' colour and dash, as a small picture for the legend. */
function swatch(series) {
  const svg = d3.select(document.createElementNS("http://www.w3.org/2000/svg", "svg"))
    .attr("width", 22).attr("height", 12).attr("aria-hidden", "true").style("--ml-color", colorOf(series.color));
  if (series.mark === "points") svg.append("circle").attr("class", "ml-fill").attr("cx", 11).attr("cy", 6).attr("r", 3.5);
  else if (series.mark === "ring") svg.append("circle").attr("class", "ml-line").attr("stroke-width", 1.6).attr("cx", 11).attr("cy", 6).attr("r", 4.5);
  else if (series.mark === "area") svg.append("path").attr("class", "ml-area").attr("d", "M3 1h16v10h-16Z");
  else {
    svg.append("path").attr("class", "ml-line").attr("stroke-width", 2.5).attr("d", "M1 6H21")
      .attr("stroke-dasharray", series.dash.join(" ") || null);
    if (series.mark === "arrow") svg.append("path").attr("class", "ml-fill").attr("d", "M22 6L14 2V10Z");
  }
  return svg.node();
}
