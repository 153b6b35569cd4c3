// Where frames come from. A source is {live, start(show), ask(setting)}; it calls
// show({setting, frame or error, milliseconds, mine}), where `mine` says that this view's controls asked for it.

/** The book: every setting of the grid lies in the page. */
function pageSource(state) {
  const values = decodeBytes(state.data, "f4");
  let show;
  function ask(setting) {
    // The settings are the product of the controls' values, the last control fastest (base.py).
    const index = state.controls.reduce((i, c) => i * c.grid.length + c.grid.indexOf(setting[c.name]), 0);
    show({ setting, frame: unpackFrame(state.columns, values, index), mine: true });
  }
  /** All frames whose controls have the given values. */
  function* frames(fixed) {
    const count = state.controls.reduce((n, c) => n * c.grid.length, 1);
    for (let i = 0; i < count; i++) {
      let rest = i;
      const at = {};
      for (const c of [...state.controls].reverse()) {
        at[c.name] = c.grid[rest % c.grid.length];
        rest = Math.floor(rest / c.grid.length);
      }
      if (Object.entries(fixed).every(([name, value]) => at[name] === value)) yield unpackFrame(state.columns, values, i);
    }
  }
  function start(callback, setting) {
    show = callback;
    ask(setting ?? Object.fromEntries(state.controls.map((c) => [c.name, c.default])));
  }
  return { live: false, start, ask, frames };
}

const PATIENCE = 20000; // milliseconds without an answer until the reader is told

/** A notebook: the kernel computes. While it does, only the newest wish is kept; older ones are dropped. */
function kernelSource(model) {
  const view = Math.random().toString(36).slice(2); // the same widget may be shown twice
  let show, count = 0, waitingFor = null, next = null, timer = null;

  function send(setting) {
    waitingFor = `${view}-${++count}`;
    model.set("request", { id: waitingFor, setting });
    model.save_changes();
    clearTimeout(timer);
    timer = setTimeout(giveUp, PATIENCE);
  }
  function giveUp() {
    waitingFor = next = null;
    show({ error: "The kernel does not answer. It may be busy or restarted: run the cell again.", mine: true });
  }
  function ask(setting) {
    if (waitingFor === null) send(setting);
    else next = setting;
  }
  function receive() {
    const answer = model.get("answer");
    const mine = answer.id === waitingFor; // if not: the first frame, or one that another view asked for
    if (mine) {
      clearTimeout(timer);
      waitingFor = null;
    }
    const frame = answer.error ? null : unpackFrame(answer.columns, decodeBytes(model.get("data"), "f8"), 0);
    // What this view still waits for is newer than another view's answer.
    if (mine || waitingFor === null) show({ ...answer, frame, mine });
    if (mine && next !== null) {
      const setting = next;
      next = null;
      send(setting);
    }
  }
  function start(callback) {
    show = callback;
    model.on("change:answer", receive);
    receive();
  }
  function stop() {
    clearTimeout(timer);
    model.off("change:answer", receive);
  }
  return { live: true, start, ask, stop };
}
