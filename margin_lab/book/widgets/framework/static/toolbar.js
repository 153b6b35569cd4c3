// The buttons under the controls. Each is a <button class="ml-tool">; those that stay pressed say so.

function makeTool(text, act, extra = {}) {
  const button = create("button", { type: "button", class: "ml-tool", ...KEEP_KEYS, ...extra }, text);
  button.addEventListener("click", () => act(button));
  return button;
}

/** A button that is on or off; `act(on)`. */
function makeSwitch(text, title, act) {
  let on = false;
  return makeTool(text, (button) => {
    on = !on;
    button.setAttribute("aria-pressed", String(on));
    act(on);
  }, { title, "aria-pressed": "false" });
}

/** "growth 1.2, data five": what of a pinned setting differs from the present one, in the controls' own words. */
function differenceOf(spec, pinned, now) {
  const words = spec.controls.filter((c) => pinned[c.name] !== now[c.name]).map((c) => {
    const value = c.kind === "slider" ? showNumber(pinned[c.name]) : c.options.find((o) => o.value === pinned[c.name]).label;
    return `${c.label} ${value}`;
  });
  return words.length ? words.join(", ") : "the same setting";
}
