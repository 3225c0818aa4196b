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
    base(m => Float32Array.from((m.prior ?? m).mean)), byId("center").textContent.toLowerCase()));
  byId("draw").addEventListener("click", () => show(randomCode(), "a random draw"));
  fits.push(() => {
    byId("center").textContent = model.prior ? "Mean of the prior" : "Mean of the codes";
    byId("draw").textContent = model.prior ? "Random draw from the prior" : "Random draw, as the codes are spread";
  });
  watchers.push(showPicture);
}

// Of a learned prior, the component in which a share of its weight, between 0 and 1, ends.
function component({ dims, prior }, share) {
  const { logWeights, mu, logvar } = prior.components;
  let k = 0;
  for (let sum = Math.exp(logWeights[0]); sum < share && k < logWeights.length - 1; k++) sum += Math.exp(logWeights[k + 1]);
  const own = part => part.subarray(k * dims, (k + 1) * dims);
  return { mu: own(mu), std: own(logvar).map(value => Math.exp(0.5 * value)) };
}

// The same draws for every model, those for its most active dimensions first.
function randomCode() {
  const drawn = Float32Array.from({ length: Math.max(...models.map(m => m.dims)) }, () => normal(Math.random));
  const share = Math.random();
  return base(m => {
    const { mu, std } = m.prior?.components ? component(m, share) : { mu: m.prior?.mean, std: m.prior?.std };
    const z = Float32Array.from(m.mean), rest = [...m.mean.keys()].filter(d => !m.order.includes(d));
    [...m.order, ...rest].forEach((d, rank) => {
      const [low, high] = range(d, m);
      z[d] = m.prior ? mu[d] + std[d] * drawn[rank] : Math.min(high, Math.max(low, m.mean[d] + m.std[d] * drawn[rank]));
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
