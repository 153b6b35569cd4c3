// Scales, their domains, and ticks that stay legible: powers of ten as 10⁻⁶, never more than fit.

const SUPERSCRIPT = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

function powerOfTen(exponent) {
  if (exponent >= -2 && exponent <= 3) return showNumber(10 ** exponent);
  return "10" + [...String(exponent)].map((c) => SUPERSCRIPT[c]).join("");
}

/** 3.1·10⁻⁷ for small and large numbers, 0.031 between; ∞. */
function readable(value, digits = 3) {
  if (value === Infinity) return "∞";
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  if (exponent >= -3 && exponent <= 4) return showNumber(Number(value.toPrecision(digits))).replace("-", "−");
  return `${(value / 10 ** exponent).toFixed(Math.max(1, digits - 2)).replace("-", "−")}·${powerOfTen(exponent)}`;
}

/** Both ends of an axis, from the values that must be in view. */
function domainOf(axis, values) {
  if (axis.domain) return axis.domain;
  const [low, high] = extentOf(axis, [values, axis.include]);
  if (low === undefined) return axis.scale === "log" ? [0.1, 10] : [-1, 1]; // nothing to draw
  if (axis.scale === "log") {
    const pad = Math.max((high / low) ** 0.04, 1.05);
    return [low / pad, high * pad];
  }
  // Pad where the axis is even: a share of a symlog axis' plain range would be most of its inner decades.
  const c = axis.constant, symlog = axis.scale === "symlog";
  const place = symlog ? (v) => Math.sign(v) * Math.log1p(Math.abs(v) / c) : (v) => v;
  const value = symlog ? (t) => Math.sign(t) * c * Math.expm1(Math.abs(t)) : (t) => t;
  const pad = 0.06 * (place(high) - place(low)) || Math.abs(place(high)) || 1;
  return [value(place(low) - pad), value(place(high) + pad)];
}

function makeScale(axis, domain, range) {
  if (axis.scale === "log") return d3.scaleLog(domain, range);
  if (axis.scale === "symlog") return d3.scaleSymlog(domain, range).constant(axis.constant);
  return d3.scaleLinear(domain, range);
}

const everyNth = (values, most) => values.filter((_, i) => i % Math.ceil(values.length / most) === 0);

function decades(low, high) {
  const exponents = [];
  for (let k = Math.ceil(Math.log10(low) - 1e-9); k <= Math.floor(Math.log10(high) + 1e-9); k++) exponents.push(k);
  return exponents;
}

/** Labels with as many digits as it takes to tell the values apart. */
function distinct(values) {
  for (let digits = 3; digits < 12; digits++) {
    const text = (v) => readable(v, digits);
    if (new Set(values.map(text)).size === values.length) return text;
  }
  return readable;
}

/** Without the values that would lie within `room` pixels of an earlier one. */
function apart(values, scale, room) {
  const kept = [];
  for (const v of values) if (kept.every((u) => Math.abs(scale(u) - scale(v)) >= room)) kept.push(v);
  return kept;
}

/** {values, text}: tick positions and their labels, about `most` of them, `room` pixels apart at least. */
function ticksOf(axis, scale, most, room) {
  const { values, text } = candidates(axis, scale, most);
  const kept = apart(values, scale, room);
  return { values: kept, text: text ?? distinct(kept) };
}

function candidates(axis, scale, most) {
  const [low, high] = scale.domain();
  if (axis.scale === "log") {
    const exponents = everyNth(decades(low, high), most);
    if (exponents.length >= 2) return { values: exponents.map((k) => 10 ** k), text: (v) => powerOfTen(Math.round(Math.log10(v))) };
    return { values: everyNth(scale.ticks(most), most) };
  }
  if (axis.scale === "symlog" && Math.max(-low, high) > 4 * axis.constant) {
    const side = (end) => (end > axis.constant ? decades(axis.constant, end).map((k) => 10 ** k) : []);
    const ups = side(high), downs = side(-low);
    const share = Math.max(1, Math.floor((most - 1) / (ups.length && downs.length ? 2 : 1)));
    // Counted from the far end, so that labels do not crowd around zero.
    const thin = (values) => everyNth([...values].reverse(), share);
    const zero = low <= 0 && high >= 0 ? [0] : [];
    // Zero first: a tick that would touch an earlier one's label is left out.
    return { values: [...zero, ...thin(ups), ...thin(downs).map((d) => -d)], text: (v) => (v === 0 ? "0" : (v < 0 ? "−" : "") + powerOfTen(Math.round(Math.log10(Math.abs(v))))) };
  }
  return { values: d3.scaleLinear(scale.domain(), [0, 1]).ticks(most).map(tidy) };
}

/** Widen one of two linear domains until a unit is as long on x as on y. */
function equalise(xDomain, yDomain, width, height) {
  const unit = Math.max((xDomain[1] - xDomain[0]) / width, (yDomain[1] - yDomain[0]) / height);
  const around = ([low, high], length) => [(low + high - unit * length) / 2, (low + high + unit * length) / 2];
  return [around(xDomain, width), around(yDomain, height)];
}
