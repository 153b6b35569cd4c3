// What leaves a widget: its setting in the page's address, its numbers as CSV, its picture as SVG.

/** "#prgd?growth=1.2&data=five" belongs to the widget called "prgd"; a second one of that name is "prgd-2". */
function addressKey(root, name) {
  const twins = [...document.querySelectorAll(`[data-widget="${CSS.escape(name)}"]`)];
  const place = twins.indexOf(root);
  return place > 0 ? `${name}-${place + 1}` : name;
}

function settingFromAddress(key) {
  const [name, query] = decodeURIComponent(location.hash.slice(1)).split("?");
  return name === key && query ? Object.fromEntries(new URLSearchParams(query)) : null;
}

function settingToAddress(key, setting) {
  const query = new URLSearchParams(Object.entries(setting).map(([name, value]) => [name, String(value)]));
  try {
    history.replaceState(null, "", `#${key}?${query}`);
  } catch {
    // an address that may not change (a sandboxed frame): the widget works without
  }
}

const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;

/** One row a point: panel, series, x, y, with the setting in the first lines. */
function csvOf(spec, setting, frame, reading) {
  const rows = [`# ${spec.title}`, `# ${Object.entries(setting).map(([k, v]) => `${k}=${v}`).join(", ")}`, "panel,series,x,y"];
  for (const panel of spec.panels) {
    for (const series of panel.series) {
      const { x, y } = frame[panel.name][series.name];
      for (let i = 0; i < x.length; i++) rows.push([quoted(panel.title), quoted(series.label || series.name), x[i], y[i]].join(","));
    }
  }
  return rows.join("\n") + "\n" + (reading ? `# ${reading}\n` : "");
}

const STYLED = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "font", "opacity", "text-anchor"];

/** The panels below each other in one self-contained SVG, in the colours of the page's theme. */
function svgOf(root, spec) {
  const space = "http://www.w3.org/2000/svg", whole = document.createElementNS(space, "svg");
  let height = 8, width = 0;
  const styles = getComputedStyle(root.querySelector(".ml-frame"));
  for (const [i, picture] of [...root.querySelectorAll(".ml-canvas > svg")].entries()) {
    const copy = picture.cloneNode(true);
    const pairs = [...picture.querySelectorAll("*")].map((e, k) => [e, copy.querySelectorAll("*")[k]]);
    for (const [from, to] of pairs) {
      const now = getComputedStyle(from);
      for (const name of STYLED) to.style.setProperty(name, now.getPropertyValue(name));
    }
    const title = document.createElementNS(space, "text");
    title.textContent = root.querySelectorAll(".ml-panel-title")[i]?.textContent ?? "";
    title.setAttribute("x", 8);
    title.setAttribute("y", height + 14);
    title.setAttribute("style", `font: 600 14px sans-serif; fill: ${styles.color}`);
    copy.setAttribute("y", height + 20);
    whole.append(title, copy);
    height += Number(picture.getAttribute("height")) + 32;
    width = Math.max(width, Number(picture.getAttribute("width")));
  }
  whole.setAttribute("xmlns", space);
  whole.setAttribute("viewBox", `0 0 ${width} ${height}`);
  whole.setAttribute("style", `background: ${styles.backgroundColor}`);
  return new XMLSerializer().serializeToString(whole);
}

function download(name, type, text) {
  const link = create("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
