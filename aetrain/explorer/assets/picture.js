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
  const center = model.hasPosterior ? "the mean of the prior" : "the mean of the codes";
  byId("center").textContent = model.hasPosterior ? "Mean of the prior" : "Mean of the codes";
  byId("center").addEventListener("click", () => show(
    model.hasPosterior ? new Float32Array(model.dims) : Float32Array.from(model.mean), center));
  byId("draw").textContent = model.hasPosterior ? "Random draw from the prior" : "Random draw, as the codes are spread";
  byId("draw").addEventListener("click", () => show(Float32Array.from(model.mean, (mean, d) => {
    if (model.hasPosterior) return normal(Math.random);
    const [low, high] = range(d);
    return Math.min(high, Math.max(low, mean + model.std[d] * normal(Math.random)));
  }), "a random draw"));
  watchers.push(showPicture);
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
  byId("decoded-caption").textContent = `decoded, ${short(decodeTimes.at(-1))} ms`;
  byId("from").textContent = `The code: ${state.from}.`;
  byId("decoded").setAttribute("aria-label", `Picture decoded from the code: ${state.from}`);
  say(`Decoded: ${state.from}`);
}
