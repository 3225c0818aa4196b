// An image that one draws, drops or opens, and what the model makes of it.
const SIDE = 280;  // pixels of the pad's longer side, about
const pad = { scale: 1, erasing: false, seed: 1, x: null };

function buildDraw() {
  const [channels, height, width] = model.shape, canvas = byId("pad");
  pad.scale = Math.max(1, Math.round(SIDE / Math.max(height, width)));
  Object.assign(canvas, { width: width * pad.scale, height: height * pad.scale });
  pad.context = canvas.getContext("2d", { willReadFrequently: true });
  byId("color-box").hidden = channels !== 3;
  byId("brush").max = Math.ceil(Math.max(height, width) / 4);
  byId("brush").value = Math.max(1, Math.max(height, width) / 12);
  listenToPad(canvas);
  byId("clear").addEventListener("click", clearPad);
  byId("take").addEventListener("click", () => fillPad(state.image === null ? decode(state.z) : image(state.image)));
  byId("invert").addEventListener("click", () => fillPad(pad.x.map(value => 1 - value)));
  byId("erase").addEventListener("click", () => {
    pad.erasing = !pad.erasing;
    byId("erase").setAttribute("aria-pressed", String(pad.erasing));
  });
  byId("use").addEventListener("click", () => show(ofImage(pad.x), "your drawing"));
  byId("file").addEventListener("change", () => openFile(byId("file").files[0]));
  for (const name of ["dragover", "drop"]) {
    byId("drawing").addEventListener(name, event => {
      event.preventDefault();
      if (name === "drop") openFile(event.dataTransfer.files[0]);
    });
  }
  byId("level").addEventListener("input", showRemoval);
  byId("again-noise").addEventListener("click", () => { pad.seed++; showRemoval(); });
  relabelled.push(judge);
  redraws.push(judge);
  fits.push(fitDraw);
  paintPad(image(0));
}

function fitDraw() {
  byId("score-title").textContent = `Its ${scoreName()} beside those of ${model.scores.length.toLocaleString("en")} images of the ${model.split} split`;
  byId("code-title").textContent = model.hasPosterior ? "Its posterior, beside the prior" : "Its code, beside those of the images";
  byId("code-hint").textContent = model.hasPosterior
    ? "Mean ± one standard deviation of each dimension; the band is the prior, its mean ± one standard deviation. A thin mark away from its middle says much of the image, one that fills the band says nothing."
    : "The value of each dimension; the band is the mean ± one standard deviation over the images.";
  byId("removal").hidden = !model.corruption;
  if (model.corruption) fitNoise();
  judge();
}

function listenToPad(canvas) {
  const spotOf = event => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * canvas.width, (event.clientY - box.top) / box.height * canvas.height];
  };
  let last = null;
  const stroke = event => {
    const spot = spotOf(event), { context } = pad, shade = model.shape[0] === 3 ? byId("color").value : "#fff";
    Object.assign(context, { lineCap: "round", lineJoin: "round", lineWidth: Number(byId("brush").value) * pad.scale,
      strokeStyle: pad.erasing ? "#000" : shade });
    context.beginPath();
    context.moveTo(...(last ?? spot));
    context.lineTo(...spot);
    context.stroke();
    last = spot;
    readPad();
  };
  canvas.addEventListener("pointerdown", event => {
    canvas.setPointerCapture(event.pointerId);
    last = null;
    stroke(event);
  });
  canvas.addEventListener("pointermove", event => { if (event.buttons && last) stroke(event); });
  canvas.addEventListener("pointerup", () => { last = null; });
}

function clearPad() {
  pad.context.fillStyle = "#000";
  pad.context.fillRect(0, 0, byId("pad").width, byId("pad").height);
  readPad();
}

// An image onto the pad, each pixel a square; the model is given the image itself.
function fillPad(x) {
  paintPad(x);
  judge();
}

function paintPad(x) {
  const small = element("canvas");
  put(small, x);
  pad.context.imageSmoothingEnabled = false;
  pad.context.drawImage(small, 0, 0, byId("pad").width, byId("pad").height);
  pad.x = Float32Array.from(x);
}

// A file, cut to the model's proportions around its middle.
async function openFile(file) {
  if (!file) return;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    byId("pad-note").textContent = "That file is no image that this browser can read.";
    return;
  }
  byId("pad-note").textContent = "";
  const { width, height } = byId("pad"), scale = Math.max(width / bitmap.width, height / bitmap.height);
  const [wide, high] = [bitmap.width * scale, bitmap.height * scale];
  pad.context.fillStyle = "#000";
  pad.context.fillRect(0, 0, width, height);
  Object.assign(pad.context, { imageSmoothingEnabled: true, imageSmoothingQuality: "high" });
  pad.context.drawImage(bitmap, (width - wide) / 2, (height - high) / 2, wide, high);
  bitmap.close();
  readPad();
}

// The pad as the model sees it: each pixel the mean of its square.
function readPad() {
  const [channels, height, width] = model.shape, { scale } = pad, area = height * width;
  const bytes = pad.context.getImageData(0, 0, width * scale, height * scale).data, x = new Float32Array(channels * area);
  for (let i = 0; i < height * scale; i++) {
    for (let j = 0; j < width * scale; j++) {
      const from = 4 * (i * width * scale + j), to = Math.floor(i / scale) * width + Math.floor(j / scale);
      if (channels === 3) {
        for (let c = 0; c < 3; c++) x[c * area + to] += bytes[from + c];
      } else {
        const grey = 0.299 * bytes[from] + 0.587 * bytes[from + 1] + 0.114 * bytes[from + 2];  // ITU-R BT.601, as Pillow's
        for (let c = 0; c < channels; c++) x[c * area + to] += grey;
      }
    }
  }
  pad.x = x.map(sum => model.binary ? Number(sum / (255 * scale * scale) >= 0.5) : sum / (255 * scale * scale));
  judge();
}

// Everything that is said of the pad's image.
function judge() {
  if (!pad.x) return;
  const { mu, logvar } = posterior(pad.x);
  put(byId("seen"), pad.x);
  put(byId("again"), decode(mu));
  drawCode(mu, logvar);
  if (other) put(byId("again-other"), decode(encode(pad.x, state.label, other), state.label, other));
  afterAMoment("score", () => { drawScore(score(pad.x)); sayOther(); });
  if (model.corruption) showRemoval();
}

function drawScore(value) {
  const drawn = fresh(byId("histogram"));
  if (!drawn) return;
  const { context, width, height } = drawn, all = [...model.scores, value].filter(Number.isFinite);
  const sorted = [...model.scores].sort((a, b) => a - b), bins = 40;
  const low = Math.min(...all), high = Math.max(sorted[Math.floor(0.995 * (sorted.length - 1))], value) || 1;
  const counts = new Array(bins).fill(0), bin = v => Math.min(bins - 1, Math.floor((v - low) / (high - low || 1) * bins));
  for (const v of model.scores) counts[bin(v)]++;
  const most = Math.max(...counts), bottom = height - 18;
  context.fillStyle = color("--soft");
  counts.forEach((n, i) => context.fillRect(i * width / bins, bottom - n / most * (bottom - 6), width / bins - 1, n / most * (bottom - 6)));
  const x = Math.min(width - 1, (value - low) / (high - low || 1) * width);
  context.fillStyle = color("--bad");
  context.fillRect(x - 1.5, 0, 3, bottom);
  context.fillStyle = color("--soft");
  context.fillText(short(low), 0, height - 4);
  context.textAlign = "right";
  context.fillText(short(high), width, height - 4);
  const above = model.scores.filter(v => v < value).length / model.scores.length;
  const words = `${scoreName()} ${short(value)}${scoreUnit()}: higher than that of ${Math.round(100 * above)} % of the images.`
    + (above > 0.99 ? " The model has hardly seen anything like it." : above > 0.9 ? " An unusual one." : "");
  byId("score").textContent = words;
  byId("histogram").setAttribute("aria-label", words);
}

// The same of the model beside.
function sayOther() {
  if (!other) return void (byId("score-other").textContent = "");
  const value = score(pad.x, other), above = other.scores.filter(v => v < value).length / other.scores.length;
  byId("score-other").textContent = `${other.name}: ${scoreName(other)} ${short(value)}${scoreUnit(other)}, higher than that of ${Math.round(100 * above)} % of the images.`;
}

function drawCode(mu, logvar) {
  const drawn = fresh(byId("code"));
  if (!drawn) return;
  const { context, width, height } = drawn, dims = model.order, step = width / dims.length, bottom = height - 16;
  const spread = d => logvar ? Math.exp(0.5 * logvar[d]) : 0;
  const { mean, std } = logvar ? model.prior : model, center = d => mean[d], around = d => std[d];
  let low = Infinity, high = -Infinity;
  for (const d of dims) {
    low = Math.min(low, mu[d] - spread(d), center(d) - 1.2 * around(d));
    high = Math.max(high, mu[d] + spread(d), center(d) + 1.2 * around(d));
  }
  const y = value => 6 + (high - value) / (high - low || 1) * (bottom - 12);
  dims.forEach((d, i) => {
    const x = (i + 0.5) * step, wide = Math.min(14, 0.8 * step);
    context.fillStyle = color("--line");
    context.fillRect(i * step, y(center(d) + around(d)), step, y(center(d) - around(d)) - y(center(d) + around(d)));
    context.fillStyle = color("--accent");
    if (logvar) {
      const [top, end] = [y(mu[d] + spread(d)), y(mu[d] - spread(d))];
      context.globalAlpha = 0.45;
      context.fillRect(x - wide / 2, top, wide, end - top);
      context.globalAlpha = 1;
    }
    context.fillRect(x - wide / 2, y(mu[d]) - 1.5, wide, 3);
    if (step > 20) {
      context.fillStyle = color("--soft");
      context.textAlign = "center";
      context.fillText(`z${d}`, x, height - 3);
    }
  });
  const said = dims.slice(0, 5).map(d => `z${d} ${mu[d].toFixed(2)}${logvar ? ` ± ${spread(d).toFixed(2)}` : ""}`).join(", ");
  byId("code").setAttribute("aria-label", `The code, the most active dimensions first: ${said}`);
}

// --- noise, and its removal step by step

function fitNoise() {
  const { kind, level } = model.corruption, input = byId("level");
  input.max = kind === "gaussian" ? Math.max(1, 2 * level) : 1;
  input.value = level;
  byId("noise-kind").textContent = `${kind.replaceAll("_", " ")}, trained at ${short(level)}`;
}

function showRemoval() {
  const level = Number(byId("level").value), steps = [corrupted(pad.x, model.corruption.kind, level, pad.seed)];
  byId("level-value").textContent = level.toFixed(2);
  for (let i = 0; i < 5; i++) steps.push(decode(encode(steps.at(-1))));
  putRow(byId("steps"), [pad.x, ...steps]);
  const error = x => x.reduce((sum, value, i) => sum + (value - pad.x[i]) ** 2, 0);
  const words = `Squared error: with noise ${short(error(steps[0]))}`
    + steps.slice(1).map((x, i) => `, after step ${i + 1} ${short(error(x))}`).join("") + ".";
  byId("steps-note").textContent = words;
  byId("steps").setAttribute("aria-label", `The image, with noise, then five steps of its removal. ${words}`);
}
