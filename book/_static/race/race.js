// The five methods of the front page in float64 and in the plane, and their exact max-margin directions. It is the project's
// only second implementation: browser tests compare its trajectories with margin_lab's. No page, no drawing: numbers only.
//
// A sample is z = y x; a run minimises the mean exponential loss of the margins q_i = <w, z_i>, all from one start.
"use strict";

const MarginRace = (() => {
  const METHODS = ["gd", "ngd", "prgd", "sign", "coordinate"];
  const NORM = { gd: "l2", ngd: "l2", prgd: "l2", sign: "linf", coordinate: "l1" };
  const ROUNDING = 1e-12; // entries of a gradient this much smaller than it count as 0, or as equal

  const dot = (a, b) => a[0] * b[0] + a[1] * b[1];
  const length = (w) => Math.hypot(w[0], w[1]);
  const norms = {
    l2: length,
    l1: (w) => Math.abs(w[0]) + Math.abs(w[1]),
    linf: (w) => Math.max(Math.abs(w[0]), Math.abs(w[1])),
  };
  const scaled = (w, c) => [w[0] * c, w[1] * c];
  const smallest = (Z, w) => Z.reduce((least, z) => Math.min(least, dot(w, z)), Infinity);

  /** grad log L and log L of the mean exponential loss: no loss is formed, so that none underflows. */
  function gradient(Z, w) {
    const least = smallest(Z, w);
    let total = 0, g0 = 0, g1 = 0;
    for (const z of Z) {
      const p = Math.exp(least - dot(w, z));
      total += p;
      g0 -= p * z[0];
      g1 -= p * z[1];
    }
    return { grad: [g0 / total, g1 / total], logLoss: Math.log(total / Z.length) - least };
  }

  const move = (w, step, g) => [w[0] - step * g[0], w[1] - step * g[1]];

  const updates = {
    gd: (w, at, lr) => move(w, lr * Math.exp(at.logLoss), at.grad),
    ngd: (w, at, lr) => move(w, lr, at.grad),
    sign(w, at, lr) {
      const small = ROUNDING * length(at.grad);
      return move(w, lr, at.grad.map((g) => (Math.abs(g) <= small ? 0 : Math.sign(g))));
    },
    coordinate(w, at, lr) {
      const [a, b] = at.grad.map(Math.abs);
      const second = b - a > ROUNDING * length(at.grad); // a tie goes to the first
      return move(w, lr, second ? [0, Math.sign(at.grad[1])] : [Math.sign(at.grad[0]), 0]);
    },
    /** Algorithm 1 of PRGD: a rescaling to R_0 growth^k opens each cycle and counts as one iteration of it. */
    prgd(w, at, lr, state, { growth, period }) {
      if (state.left === undefined) Object.assign(state, { left: 0, cycle: 0, first: length(w) });
      if (state.left-- === 0) {
        state.radius = state.first * Math.pow(growth, state.cycle++);
        state.left = period - 1;
        return scaled(scaled(w, 1 / length(w)), state.radius);
      }
      const pulled = move(w, lr, at.grad);
      return scaled(pulled, Math.min(1, state.radius / length(pulled)));
    },
  };

  /** The weights at the recorded steps. A run that would leave the finite numbers stays where it is. */
  function run(Z, method, steps, options = {}) {
    const { lr = 1, w0 = [0, 0], growth = 1.2, period = 5, record = null } = options;
    const wanted = record ?? Array.from({ length: steps + 1 }, (_, t) => t);
    const out = [], state = {};
    let w = w0, next = 0, stopped = false;
    for (let t = 0; t <= steps; t++) {
      if (t > 0 && !stopped) {
        const moved = updates[method](w, gradient(Z, w), lr, state, { growth, period });
        stopped = !moved.every(Number.isFinite);
        if (!stopped) w = moved;
      }
      if (wanted[next] === t) out.push(w), next++;
    }
    return out;
  }

  /** min_i <w, z_i> / ||w||, in the norm. */
  function margin(Z, w, norm) {
    const size = norms[norm](w);
    return size > 0 ? smallest(Z, scaled(w, 1 / size)) : 0;
  }

  /** The widest margin in a norm, exactly: in the plane the maximiser is a corner of the ball or ties two samples. */
  function widest(Z, norm) {
    const candidates = norm === "l2" ? Z.filter((z) => length(z) > 0) : [];
    if (norm === "l1") candidates.push([1, 0], [-1, 0], [0, 1], [0, -1]);
    if (norm === "linf") candidates.push([1, 1], [1, -1], [-1, 1], [-1, -1]);
    for (let i = 0; i < Z.length; i++) {
      for (let j = 0; j < i; j++) {
        const tie = [Z[j][1] - Z[i][1], Z[i][0] - Z[j][0]]; // <tie, z_i> = <tie, z_j>
        if (length(tie) > 0) candidates.push(tie, scaled(tie, -1));
      }
    }
    let best = { w: [0, 0], margin: -Infinity };
    for (const w of candidates) {
      const unit = scaled(w, 1 / norms[norm](w)), value = smallest(Z, unit);
      // among equal margins the first found: where the widest margin is not unique, any of its maximisers is as good
      if (value > best.margin * (1 + 1e-15)) best = { w: unit, margin: value };
    }
    return best;
  }

  return { METHODS, NORM, run, margin, widest, gradient, norms };
})();

if (typeof window !== "undefined") window.MarginRace = MarginRace;
