// What is being looked at: a code, and where it came from. Whoever shows it is told of every change.
const state = {
  z: null,       // Float32Array of model.dims
  image: null,   // number of the page's image that it is the code of, or was before it was changed
  from: "",      // for people
};
const watchers = [];

// settled: false while a slider or a pointer is still moving; what takes long waits for the last one.
function show(z, from, image = null, settled = true) {
  state.z = z;
  state.image = image;
  state.from = from;
  for (const watcher of watchers) watcher(settled);
}

const showImage = i => show(encode(image(i)), title(i), i);

// A code with one number changed; it stays the changed code of its image.
function move(d, value, settled) {
  const z = Float32Array.from(state.z);
  z[d] = value;
  const from = state.from.startsWith("changed: ") ? state.from : `changed: ${state.from}`;
  show(z, from, state.image, settled);
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
