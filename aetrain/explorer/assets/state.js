// What is being looked at: a code, and where it came from. Whoever shows it is told of every change.
const state = {
  base: null,         // of the code: model -> Float32Array of its dims, so that every model has its own of an image
  moves: new Map(),   // place in a model's order of dimensions -> share of that dimension's range
  z: null,            // the model's code: base, moved
  image: null,        // number of the page's image that it is the code of, or was before it was changed
  label: 0,           // the class that models which are given classes are given
  from: "",           // for people
};
const watchers = [];
const relabelled = [];  // who is told of another class, beside the watchers
const fits = [];  // who is told of another model

// A base that is computed once for each model.
function base(make) {
  const known = new Map();
  return m => known.get(m) ?? known.set(m, make(m)).get(m);
}

// The same place in every model: each dimension where the one of the same rank is in its range; else the mean.
const carried = (z, from = model) => base(m => {
  if (m === from) return z;
  const moved = Float32Array.from(m.mean);
  for (let rank = 0; rank < Math.min(from.order.length, m.order.length); rank++) {
    const [low, high] = range(from.order[rank], from), [least, most] = range(m.order[rank], m);
    moved[m.order[rank]] = least + (z[from.order[rank]] - low) / (high - low || 1) * (most - least);
  }
  return moved;
});

const ofImage = (x, label = state.label) => base(m => encode(x, label, m));

// The code that is being looked at, as a model has it.
function codeOf(m, base = state.base, moves = state.moves) {
  const z = Float32Array.from(base(m));
  for (const [rank, share] of moves) {
    if (rank >= m.order.length) continue;
    const [low, high] = range(m.order[rank], m);
    z[m.order[rank]] = low + share * (high - low);
  }
  return z;
}

function tell(settled) {
  state.z = codeOf(model);
  for (const watcher of watchers) watcher(settled);
}

// settled: false while a slider or a pointer is still moving; what takes long waits for the last one.
function show(base, from, image = null, settled = true) {
  Object.assign(state, { base, image, from });
  state.moves.clear();
  tell(settled);
}

function showImage(i) {
  const changed = state.label !== labelOf(i);
  state.label = labelOf(i);
  show(ofImage(image(i)), title(i), i);
  if (changed) for (const tellIt of relabelled) tellIt();
}

function giveLabel(label) {
  state.label = label;
  tell(true);
  for (const tellIt of relabelled) tellIt();
}

// A code with one number changed; it stays the changed code of its image.
function move(d, value, settled) {
  const [low, high] = range(d);
  state.moves.set(model.order.indexOf(d), (value - low) / (high - low));
  if (!state.from.startsWith("changed: ")) state.from = `changed: ${state.from}`;
  tell(settled);
}

// Standard normal numbers from a seed, the same every time (mulberry32, then Box and Muller 1958).
function uniform(seed) {
  return () => {
    seed = seed + 0x6D2B79F5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 4294967296;
  };
}

function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

// Runs pieces of work, a generator's, without keeping the page from answering; a new start under a name ends the last.
const running = new Map();

function bitByBit(name, pieces) {
  clearTimeout(running.get(name));
  const go = () => {
    const until = performance.now() + 12;
    while (performance.now() < until) {
      if (pieces.next().done) return void running.delete(name);
    }
    running.set(name, setTimeout(go, 0));
  };
  running.set(name, setTimeout(go, 0));
}

// Once, when calls have stopped coming for a moment.
function afterAMoment(name, action) {
  clearTimeout(running.get(name));
  running.set(name, setTimeout(action, 120));
}
