// What is done to an image that a denoising model is to mend: aetrain/corruption.py.
function corrupted(x, kind, level, seed) {
  const random = uniform(seed), [channels, height, width] = model.shape, y = Float32Array.from(x);
  if (kind === "gaussian") return y.map(value => value + level * normal(random));
  if (kind === "salt_and_pepper" || kind === "independent_masking") {
    return y.map(value => {
      const u = random();
      return kind === "independent_masking" ? (u < level ? 0 : value) : u < level / 2 ? 0 : u < level ? 1 : value;
    });
  }
  if (kind === "masking") {
    const order = [...y.keys()];
    for (let i = order.length - 1; i > 0; i--) {  // Fisher and Yates
      const j = Math.floor(random() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    for (const i of order.slice(0, Math.round(level * y.length))) y[i] = 0;
    return y;
  }
  const rows = Math.round(height * Math.sqrt(level)), columns = Math.round(width * Math.sqrt(level));
  const top = Math.floor(random() * (height - rows + 1)), left = Math.floor(random() * (width - columns + 1));
  for (let c = 0; c < channels; c++) {
    for (let i = top; i < top + rows; i++) y.fill(0, (c * height + i) * width + left, (c * height + i) * width + left + columns);
  }
  return y;
}
