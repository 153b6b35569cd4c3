// What leaves a widget: its setting in the page's address, its numbers as CSV, its picture as SVG.

/** "#prgd?growth=1.2&data=five" belongs to the widget called "prgd"; a second one of that name is "prgd-2". */
function addressKey(root, name) {
  const twins = [...document.querySelectorAll(`[data-widget="${CSS.escape(name)}"]`)];
  const place = twins.indexOf(root);
  return place > 0 ? `${name}-${place + 1}` : name;
}

// Several widgets of a page share its address: "#prgd?growth=1.2;radius?c=3".
const addressParts = () => location.hash.slice(1).split(";").filter((part) => part.includes("?"));

/** What the address says about a widget's controls, or null; what no control can have is left out. */
function settingFromAddress(key, controls) {
  const mine = addressParts().find((part) => part.startsWith(`${key}?`));
  if (!mine) return null;
  const query = new URLSearchParams(mine.slice(key.length + 1));
  const setting = {};
  for (const { name, kind, grid } of controls) {
    const text = query.get(name);
    const value = kind === "slider" ? Number.parseFloat(text) : text;
    if (kind === "slider" ? Number.isFinite(value) : grid.includes(value)) setting[name] = value;
  }
  return setting;
}

function settingToAddress(key, setting) {
  const query = new URLSearchParams(Object.entries(setting).map(([name, value]) => [name, String(value)]));
  const others = addressParts().filter((part) => !part.startsWith(`${key}?`));
  try {
    history.replaceState(null, "", `#${[...others, `${key}?${query}`].join(";")}`);
  } catch {
    // an address that may not change (a sandboxed frame): the widget works without
  }
}

const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;

/** One row a point: panel, series, x, y; the title and the setting stand above in lines that begin with #. */
function csvOf(spec, setting, frame, digits) {
  const number = (value) => Number(value.toPrecision(digits));
  const rows = [`# ${spec.title}`, `# ${Object.entries(setting).map(([k, v]) => `${k}=${v}`).join(", ")}`, "panel,series,x,y"];
  for (const panel of spec.panels) {
    for (const series of panel.series) {
      const { x, y } = frame[panel.name][series.name];
      for (let i = 0; i < x.length; i++) {
        rows.push([quoted(panel.title), quoted(series.label || series.name), number(x[i]), number(y[i])].join(","));
      }
    }
  }
  return rows.join("\n") + "\n";
}

const STYLED = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "font", "opacity",
  "text-anchor", "paint-order",
];

function pinStyles(from, to) {
  const now = getComputedStyle(from);
  for (const name of STYLED) to.style.setProperty(name, now.getPropertyValue(name));
}

/** All panels below each other, each with its title and legend, in one file that needs no style sheet. */
function svgOf(root) {
  const space = "http://www.w3.org/2000/svg", whole = document.createElementNS(space, "svg");
  const { color, backgroundColor } = getComputedStyle(root.querySelector(".ml-frame"));
  let height = 8, width = 0;
  const write = (text, x, y, style) => {
    const element = document.createElementNS(space, "text");
    element.textContent = text;
    for (const [name, value] of Object.entries({ x, y, style })) element.setAttribute(name, value);
    whole.append(element);
  };
  for (const panel of root.querySelectorAll(".ml-panel")) {
    const picture = panel.querySelector(".ml-canvas > svg");
    if (!picture) continue;
    write(panel.querySelector(".ml-panel-title").textContent, 8, height + 14, `font: 600 14px sans-serif; fill: ${color}`);
    height += 20;
    for (const entry of panel.querySelectorAll(".ml-legend-entry")) {
      if (getComputedStyle(entry).visibility === "hidden") continue;
      const swatchColor = entry.querySelector("svg")?.style.getPropertyValue("--ml-color");
      const probe = entry.querySelector("svg > *");
      const shade = probe ? getComputedStyle(probe).stroke : color;
      write(entry.textContent, 24, height + 12, `font: 12px sans-serif; fill: ${color}`);
      if (swatchColor) write("■", 8, height + 12, `font: 12px sans-serif; fill: ${shade === "none" ? getComputedStyle(probe).fill : shade}`);
      height += 16;
    }
    const copy = picture.cloneNode(true);
    const copies = copy.querySelectorAll("*");
    picture.querySelectorAll("*").forEach((element, i) => pinStyles(element, copies[i]));
    copies.forEach((element) => element.style.removeProperty("--ml-color")); // used up
    copy.setAttribute("y", height);
    whole.append(copy);
    height += Number(picture.getAttribute("height")) + 12;
    width = Math.max(width, Number(picture.getAttribute("width")));
  }
  for (const [name, value] of Object.entries({ xmlns: space, width, height, viewBox: `0 0 ${width} ${height}` })) {
    whole.setAttribute(name, value);
  }
  whole.setAttribute("style", `background: ${backgroundColor}`);
  return new XMLSerializer().serializeToString(whole);
}

function download(name, type, text) {
  const link = create("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
