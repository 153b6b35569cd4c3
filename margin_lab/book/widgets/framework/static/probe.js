// Reading values: the pointer finds the nearest point of a curve, and the same point (the same iteration) is marked in
// every panel that shows the series at equal length.

const REACH = 30; // pixels

function nearestPoint(places, x, y) {
  let best = null;
  for (const [name, points] of Object.entries(places)) {
    points.forEach((p, index) => {
      const distance = p ? Math.hypot(p[0] - x, p[1] - y) : Infinity;
      if (distance < (best?.distance ?? REACH)) best = { name, index, length: points.length, distance };
    });
  }
  return best;
}

function markPoint(panel, found) {
  const group = d3.select(panel.canvas).select(".ml-probe");
  group.selectAll("*").remove();
  const points = found && panel.places()[found.name];
  const at = points && points.length === found.length && points[found.index];
  if (!at) return;
  const series = panel.spec.series.find((s) => s.name === found.name);
  group.append("circle").attr("class", "ml-probe-ring").style("--ml-color", colorOf(series.color))
    .attr("cx", at[0]).attr("cy", at[1]).attr("r", 5);
  const { x, y } = panel.frame()[found.name];
  const text = `${readable(x[found.index])}, ${readable(y[found.index])}`;
  const width = panel.canvas.clientWidth, right = at[0] > width / 2;
  group.append("text").attr("class", "ml-probe-text").attr("text-anchor", right ? "end" : "start")
    .attr("x", at[0] + (right ? -10 : 10)).attr("y", Math.max(at[1] - 8, 24)).text(text);
}

function linkPanels(panels) {
  const show = (found) => panels.forEach((panel) => markPoint(panel, found));
  for (const panel of panels) {
    const look = (event) => {
      const box = panel.canvas.getBoundingClientRect();
      show(nearestPoint(panel.places(), event.clientX - box.left, event.clientY - box.top));
    };
    panel.canvas.addEventListener("pointermove", look);
    panel.canvas.addEventListener("pointerdown", look); // a finger does not hover
    panel.canvas.addEventListener("pointerleave", () => show(null));
  }
}
