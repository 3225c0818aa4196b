// The networks' forward pass over typed arrays. What the steps are: aetrain/explorer/networks.py.

// The error function, to 1.5e-7 (Abramowitz & Stegun 1964, 7.1.26).
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - series * Math.exp(-x * x));
}

const sigmoid = x => 1 / (1 + Math.exp(-x));

const ACTIVATIONS = {
  identity: x => x,
  relu: x => x > 0 ? x : 0,
  elu: x => x > 0 ? x : Math.expm1(x),
  gelu: x => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  silu: x => x * sigmoid(x),
  softplus: x => x > 20 ? x : Math.log1p(Math.exp(x)),
  tanh: Math.tanh,
  sigmoid,
  // E[x] of the continuous Bernoulli; around 0 its Taylor series.
  continuous_bernoulli_mean: a => Math.abs(a) < 0.1
    ? 0.5 + a * (1 / 12 - a * a * (1 / 720 - a * a / 30240)) : -1 / Math.expm1(-a) - 1 / a,
};

// y = W x + b, W of (out, in); transposed: y = Wᵀ x + b.
function linear(step, x) {
  const { weight, bias } = step, out = bias.length, within = x.length;
  if (step.transposed) {
    const y = Float32Array.from(bias);
    for (let i = 0; i < within; i++) {
      const value = x[i], row = i * out;
      if (value !== 0) for (let o = 0; o < out; o++) y[o] += weight[row + o] * value;
    }
    return y;
  }
  const y = new Float32Array(out);
  for (let o = 0; o < out; o++) {
    const row = o * within;
    let sum = bias[o];
    for (let i = 0; i < within; i++) sum += weight[row + i] * x[i];
    y[o] = sum;
  }
  return y;
}

// What of a product comes through its gate: of 2 n numbers, the first n times the sigmoid of the others.
function gate(step, x) {
  const n = x.length / 2;
  return x.subarray(0, n).map((value, i) => value * sigmoid(x[n + i]));
}

// x: (C, H, W) with a border of zeros, n pixels wide: (C, H + 2 n, W + 2 n).
function bordered([channels, height, width], x, n = 1) {
  const wide = width + 2 * n, area = (height + 2 * n) * wide, y = new Float32Array(channels * area);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < height; i++) {
      const from = (c * height + i) * width;
      y.set(x.subarray(from, from + width), c * area + (i + n) * wide + n);
    }
  }
  return y;
}

// weight: (out, in, k, k), k the kernel's side; x: (in, H, W) -> (out, H / stride, W / stride).
function conv(step, x) {
  const [channels, height, width] = step.from, { weight, bias, kernel, stride, padding } = step, out = bias.length;
  const wide = width + 2 * padding, area = (height + 2 * padding) * wide, padded = bordered(step.from, x, padding);
  const rows = height / stride, columns = width / stride, y = new Float32Array(out * rows * columns);
  let k = 0;
  for (let o = 0; o < out; o++) {
    const plane = y.subarray(o * rows * columns, (o + 1) * rows * columns).fill(bias[o]);
    for (let c = 0; c < channels; c++) {
      for (let u = 0; u < kernel; u++) {
        for (let v = 0; v < kernel; v++, k++) {
          const w = weight[k];
          for (let i = 0; i < rows; i++) {
            let a = c * area + (i * stride + u) * wide + v;
            for (let j = 0; j < columns; j++, a += stride) plane[i * columns + j] += w * padded[a];
          }
        }
      }
    }
  }
  return y;
}

// conv, with the loops over the default's 4x4 pixels, stride 2 and padding 1 written out.
function conv4(step, x) {
  const [channels, height, width] = step.from, { weight, bias } = step, out = bias.length;
  const wide = width + 2, area = (height + 2) * wide, padded = bordered(step.from, x);
  const rows = height / 2, columns = width / 2, y = new Float32Array(out * rows * columns);
  for (let o = 0; o < out; o++) {
    const plane = y.subarray(o * rows * columns, (o + 1) * rows * columns).fill(bias[o]);
    for (let c = 0; c < channels; c++) {
      const w = weight.subarray((o * channels + c) * 16, (o * channels + c) * 16 + 16);
      for (let i = 0; i < rows; i++) {
        let a = c * area + 2 * i * wide;
        for (let j = 0; j < columns; j++, a += 2) {
          const b = a + wide, d = b + wide, e = d + wide;
          plane[i * columns + j] +=
            w[0] * padded[a] + w[1] * padded[a + 1] + w[2] * padded[a + 2] + w[3] * padded[a + 3] +
            w[4] * padded[b] + w[5] * padded[b + 1] + w[6] * padded[b + 2] + w[7] * padded[b + 3] +
            w[8] * padded[d] + w[9] * padded[d + 1] + w[10] * padded[d + 2] + w[11] * padded[d + 3] +
            w[12] * padded[e] + w[13] * padded[e + 1] + w[14] * padded[e + 2] + w[15] * padded[e + 3];
        }
      }
    }
  }
  return y;
}

// 3x3, padding 1. weight: (out, in, 3, 3); x: (in, H, W) -> (out, H / stride, W / stride), of even sides.
function conv3(step, x) {
  const [channels, height, width] = step.from, { weight, bias, stride } = step, out = bias.length;
  const wide = width + 2, area = (height + 2) * wide, padded = bordered(step.from, x);
  const rows = height / stride, columns = width / stride, y = new Float32Array(out * rows * columns);
  for (let o = 0; o < out; o++) {
    const plane = y.subarray(o * rows * columns, (o + 1) * rows * columns).fill(bias[o]);
    for (let c = 0; c < channels; c++) {
      const w = weight.subarray((o * channels + c) * 9, (o * channels + c) * 9 + 9);
      for (let i = 0; i < rows; i++) {
        let a = c * area + stride * i * wide;
        for (let j = 0; j < columns; j++, a += stride) {
          const b = a + wide, d = b + wide;
          plane[i * columns + j] +=
            w[0] * padded[a] + w[1] * padded[a + 1] + w[2] * padded[a + 2] +
            w[3] * padded[b] + w[4] * padded[b + 1] + w[5] * padded[b + 2] +
            w[6] * padded[d] + w[7] * padded[d + 1] + w[8] * padded[d + 2];
        }
      }
    }
  }
  return y;
}

// Each of some groups of channels brought to mean 0 and variance 1, then scaled and moved channel by channel.
function groupNorm({ from: [channels, height, width], weight, bias, groups, eps }, x) {
  const area = height * width, size = channels / groups * area, y = new Float32Array(x.length);
  for (let g = 0; g < groups; g++) {
    let sum = 0, squares = 0;
    for (let i = g * size; i < (g + 1) * size; i++) sum += x[i];
    const mean = sum / size;
    for (let i = g * size; i < (g + 1) * size; i++) squares += (x[i] - mean) ** 2;
    const scale = 1 / Math.sqrt(squares / size + eps);
    for (let i = g * size; i < (g + 1) * size; i++) {
      const c = Math.floor(i / area);
      y[i] = (x[i] - mean) * scale * weight[c] + bias[c];
    }
  }
  return y;
}

// Every pixel as a square of four: (C, H, W) -> (C, 2 H, 2 W).
function doubled({ from: [channels, height, width] }, x) {
  const y = new Float32Array(4 * x.length);
  for (let row = 0; row < channels * height; row++) {
    const to = 4 * row * width;
    for (let j = 0; j < width; j++) y[to + 2 * j] = y[to + 2 * j + 1] = x[row * width + j];
    y.copyWithin(to + 2 * width, to, to + 2 * width);
  }
  return y;
}

// conv transposed. weight: (in, out, k, k); x: (in, H, W) -> (out, stride · H, stride · W).
function deconv(step, x) {
  const [channels, height, width] = step.from, { weight, bias, kernel, stride, padding } = step, out = bias.length;
  const rows = stride * height, columns = stride * width, wide = columns + 2 * padding + kernel;
  const sum = new Float32Array((rows + 2 * padding + kernel) * wide), y = new Float32Array(out * rows * columns);
  for (let o = 0; o < out; o++) {
    sum.fill(bias[o]);
    for (let c = 0; c < channels; c++) {
      for (let u = 0; u < kernel; u++) {
        for (let v = 0; v < kernel; v++) {
          const w = weight[((c * out + o) * kernel + u) * kernel + v];
          for (let i = 0; i < height; i++) {
            let a = (i * stride + u) * wide + v;
            for (let j = 0; j < width; j++, a += stride) sum[a] += w * x[(c * height + i) * width + j];
          }
        }
      }
    }
    for (let i = 0; i < rows; i++) {
      const from = (i + padding) * wide + padding;
      y.set(sum.subarray(from, from + columns), (o * rows + i) * columns);
    }
  }
  return y;
}

// deconv, written out as conv4.
function deconv4(step, x) {
  const [channels, height, width] = step.from, { weight, bias } = step, out = bias.length;
  const wide = 2 * width + 2, sum = new Float32Array((2 * height + 2) * wide);
  const y = new Float32Array(out * 4 * height * width);
  for (let o = 0; o < out; o++) {
    sum.fill(bias[o]);
    for (let c = 0; c < channels; c++) {
      const w = weight.subarray((c * out + o) * 16, (c * out + o) * 16 + 16);
      for (let i = 0; i < height; i++) {
        let a = 2 * i * wide;
        for (let j = 0; j < width; j++, a += 2) {
          const value = x[(c * height + i) * width + j];
          if (value === 0) continue;
          const b = a + wide, d = b + wide, e = d + wide;
          sum[a] += w[0] * value; sum[a + 1] += w[1] * value; sum[a + 2] += w[2] * value; sum[a + 3] += w[3] * value;
          sum[b] += w[4] * value; sum[b + 1] += w[5] * value; sum[b + 2] += w[6] * value; sum[b + 3] += w[7] * value;
          sum[d] += w[8] * value; sum[d + 1] += w[9] * value; sum[d + 2] += w[10] * value; sum[d + 3] += w[11] * value;
          sum[e] += w[12] * value; sum[e + 1] += w[13] * value; sum[e + 2] += w[14] * value; sum[e + 3] += w[15] * value;
        }
      }
    }
    for (let i = 0; i < 2 * height; i++) {
      const from = (i + 1) * wide + 1;
      y.set(sum.subarray(from, from + 2 * width), (o * 2 * height + i) * 2 * width);
    }
  }
  return y;
}

// The part of an image that two shapes of (C, H, W) have in common: to pad with zeros, or to crop.
function resized(step, x) {
  const [channels, height, width] = step.from, [, rows, columns] = step.to, y = new Float32Array(channels * rows * columns);
  const most = Math.min(width, columns);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < Math.min(height, rows); i++) {
      const from = (c * height + i) * width;
      y.set(x.subarray(from, from + most), (c * rows + i) * columns);
    }
  }
  return y;
}

// All but the k largest set to 0.
function topK(step, x) {
  const kept = [...x.keys()].sort((a, b) => x[b] - x[a]).slice(0, step.k), y = new Float32Array(x.length);
  for (const i of kept) y[i] = x[i];
  return y;
}

// What a model that is given classes learned of a class, added to the image. weight: (classes − 1, pixels); the first
// class has none.
function addLabel({ weight }, x, label) {
  if (label === 0) return x;
  const y = Float32Array.from(x), row = (label - 1) * x.length;
  for (let i = 0; i < x.length; i++) y[i] += weight[row + i];
  return y;
}

// A code, then n numbers: 1 for the class, but for the first.
function joinLabel({ n }, z, label) {
  const y = new Float32Array(z.length + n);
  y.set(z);
  if (label > 0) y[z.length + label - 1] = 1;
  return y;
}

const KINDS = {
  linear, gate, conv, conv3, conv4, deconv, deconv4, group_norm: groupNorm, double: doubled, pad: resized, crop: resized,
  top_k: topK, add_label: addLabel, join_label: joinLabel,
};

function forward(steps, x, label) {
  let held = x;  // at the last fork
  for (const step of steps) {
    if (step.kind === "fork") held = x;
    else if (step.kind === "join") x = x.map((value, i) => value + held[i]);
    else x = KINDS[step.kind] ? KINDS[step.kind](step, x, label) : x.map(ACTIVATIONS[step.kind]);
  }
  return x;
}
