// The models of this page: what each was told, unpacked, once, by `unpack`. All look at the same images.
let models = [];
let model = null;  // the one that is looked at
let other = null;  // the one beside it, if any

// Half-precision floats, (sign, 5 bits of exponent, 10 of fraction), to single ones.
function fromHalf(bits) {
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const exponent = bits[i] >> 10 & 31, fraction = bits[i] & 1023, sign = bits[i] >> 15 ? -1 : 1;
    values[i] = sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
  }
  return values;
}

async function unpack() {
  const told = JSON.parse(document.getElementById("values").textContent);
  const packed = Uint8Array.from(atob(document.getElementById("packed").textContent), c => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = await new Response(stream).arrayBuffer();
  const array = number => {
    const { kind, length, at } = told.arrays[number];
    if (kind === "f2") return fromHalf(new Uint16Array(bytes, at, length));
    return kind === "u1" ? new Uint8Array(bytes, at, length) : new Float32Array(bytes, at, length);
  };
  const unpacked = new Map();
  const once = number => {
    if (!unpacked.has(number)) unpacked.set(number, array(number));
    return unpacked.get(number);
  };
  models = told.models.map(own => {
    for (const step of [...own.encoder, ...own.decoder]) {
      for (const name of ["weight", "bias"]) if (name in step) step[name] = once(step[name]);
    }
    if (own.prior?.components) {
      for (const [name, number] of Object.entries(own.prior.components)) own.prior.components[name] = once(number);
    }
    own.dims = own.mean.length;
    own.scores = own.scores.filter(value => value !== null);
    own.axes.directions = once(own.axes.directions);
    own.axes.places = once(own.axes.places);
    const [channels, height, width] = told.shared.shape;
    return { ...told.shared, ...own, images: once(told.shared.images), pixels: channels * height * width };
  });
  model = models[0];
  other = models[1] ?? null;
}

// The i-th image of the page, in [0, 1].
function image(i) {
  const part = model.images.subarray(i * model.pixels, (i + 1) * model.pixels);
  return part instanceof Uint8Array ? Float32Array.from(part, value => value / 255) : part;
}

// {mu, logvar} of an image; logvar is null where the code is a function of the image. label: for models that are given
// classes, as everywhere below.
function posterior(x, label = state.label, m = model) {
  const out = forward(m.encoder, x, label);
  return { mu: out.slice(0, m.dims), logvar: m.hasPosterior ? out.slice(m.dims) : null };
}

const encode = (x, label = state.label, m = model) => posterior(x, label, m).mu;

// Before the link that makes it an image: logits, say.
const decoded = (z, label = state.label, m = model) => forward(m.decoder, z, label);

const linked = (out, m = model) => m.link === "identity" ? out : out.map(ACTIVATIONS[m.link]);

const decode = (z, label = state.label, m = model) => linked(decoded(z, label, m), m);

// A code's place on the axis of a number.
function place(z, axis) {
  let sum = -model.axes.offsets[axis];
  for (let d = 0; d < model.dims; d++) sum += z[d] * model.axes.directions[axis * model.dims + d];
  return sum;
}

// The values that dimension d is moved over: of the prior, or of the codes as far as their activation lets them.
function range(d, m = model) {
  if (m.prior) return [-3, 3].map(width => m.prior.mean[d] + width * m.prior.std[d]);
  const [least, most] = { sigmoid: [0, 1], tanh: [-1, 1], relu: [0, Infinity], softplus: [0, Infinity] }[m.codeActivation]
    ?? [-Infinity, Infinity];
  const width = 3 * (m.std[d] || 1e-3);
  return [Math.max(least, m.mean[d] - width), Math.min(most, m.mean[d] + width)];
}

const className = label => label < 0 ? "" : model.classes[label] ?? String(label);

// The class that image i is given to models that are given classes.
const labelOf = i => Math.max(0, model.labels[i]);

// What image i is called, for people.
function title(i) {
  const number = String(model.index[i]), name = model.names[i], label = className(model.labels[i]);
  return `image ${number}` + (name === number ? "" : `, ${name}`) + (label === "" ? "" : `, class ${label}`);
}
