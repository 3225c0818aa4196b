// The picture of the current code, beside the image that it came from.
const decodeTimes = [];  // milliseconds from a change to its picture, the latest last

function buildPicture() {
  const choose = i => showImage((i + model.index.length) % model.index.length);
  const number = byId("number");
  number.max = model.index.length - 1;
  number.addEventListener("change", () => choose(Math.min(Math.max(0, Math.round(Number(number.value) || 0)), number.max)));
  byId("previous").addEventListener("click", () => choose((state.image ?? 0) - 1));
  byId("next").addEventListener("click", () => choose((state.image ?? -1) + 1));
  byId("any").addEventListener("click", () => choose(Math.floor(Math.random() * model.index.length)));
  byId("center").addEventListener("click", () => show(
    base(m => m.hasPosterior ? new Float32Array(m.dims) : Float32Array.from(m.mean)), byId("center").textContent.toLowerCase()));
  byId("draw").addEventListener("click", () => show(randomCode(), "a random draw"));
  fits.push(() => {
    byId("center").textContent = model.hasPosterior ? "Mean of the prior" : "Mean of the codes";
    byId("draw").textContent = model.hasPosterior ? "Random draw from the prior" : "Random draw, as the codes are spread";
  });
  watchers.push(showPicture);
}

// The same draws for every model, those for its most active dimensions first.
function randomCode() {
  const drawn = Float32Array.from({ length: Math.max(...models.map(m => m.dims)) }, () => normal(Math.random));
  return base(m => {
    const z = Float32Array.from(m.mean), rest = [...m.mean.keys()].filter(d => !m.order.includes(d));
    [...m.order, ...rest].forEach((d, rank) => {
      const [low, high] = range(d, m);
      z[d] = m.hasPosterior ? drawn[rank] : Math.min(high, Math.max(low, m.mean[d] + m.std[d] * drawn[rank]));
    });
    return z;
  });
}

function showPicture() {
  const began = performance.now();
  put(byId("decoded"), decode(state.z));
  decodeTimes.push(performance.now() - began);
  if (decodeTimes.length > 200) decodeTimes.shift();
  const has = state.image !== null;
  byId("original").hidden = byId("original-caption").hidden = !has;
  if (has) {
    put(byId("original"), image(state.image));
    byId("number").value = state.image;
  }
  byId("original-caption").textContent = has ? title(state.image) : "";
  byId("decoded-caption").textContent = `${other ? `by ${model.name}` : "decoded"}, ${short(decodeTimes.at(-1))} ms`;
  byId("from").textContent = `The code: ${state.from}.`;
  byId("decoded").setAttribute("aria-label", `Picture decoded from the code: ${state.from}`);
  say(`Decoded: ${state.from}`);
}
