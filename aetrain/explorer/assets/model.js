// The model of this page: what it was told, unpacked. Set once, by `unpack`.
let model = null;

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
  for (const step of [...told.encoder, ...told.decoder]) {
    for (const name of ["weight", "bias"]) if (name in step) step[name] = once(step[name]);
  }
  told.pixels = told.shape[0] * told.shape[1] * told.shape[2];
  told.dims = told.mean.length;
  told.scores = told.scores.filter(value => value !== null);
  told.images = once(told.images);
  told.axes.directions = once(told.axes.directions);
  told.axes.places = once(told.axes.places);
  model = told;
}

// The i-th image of the page, in [0, 1].
function image(i) {
  const part = model.images.subarray(i * model.pixels, (i + 1) * model.pixels);
  return part instanceof Uint8Array ? Float32Array.from(part, value => value / 255) : part;
}

// {mu, logvar} of an image; logvar is null where the code is a function of the image.
function posterior(x) {
  const out = forward(model.encoder, x);
  return { mu: out.slice(0, model.dims), logvar: model.hasPosterior ? out.slice(model.dims) : null };
}

const encode = x => posterior(x).mu;

// Before the link that makes it an image: logits, say.
const decoded = z => forward(model.decoder, z);

const linked = out => model.link === "identity" ? out : out.map(ACTIVATIONS[model.link]);

const decode = z => linked(decoded(z));

// A code's place on the axis of a number.
function place(z, axis) {
  let sum = -model.axes.offsets[axis];
  for (let d = 0; d < model.dims; d++) sum += z[d] * model.axes.directions[axis * model.dims + d];
  return sum;
}

// The values that dimension d is moved over: of the prior, or of the codes as far as their activation lets them.
function range(d) {
  if (model.hasPosterior) return [-3, 3];
  const [least, most] = { sigmoid: [0, 1], tanh: [-1, 1], relu: [0, Infinity], softplus: [0, Infinity] }[model.codeActivation]
    ?? [-Infinity, Infinity];
  const width = 3 * (model.std[d] || 1e-3);
  return [Math.max(least, model.mean[d] - width), Math.min(most, model.mean[d] + width)];
}

const className = label => label < 0 ? "" : model.classes[label] ?? String(label);

// What image i is called, for people.
function title(i) {
  const number = String(model.index[i]), name = model.names[i], label = className(model.labels[i]);
  return `image ${number}` + (name === number ? "" : `, ${name}`) + (label === "" ? "" : `, class ${label}`);
}
