// A slider for each of the most active dimensions of the code.
const sliders = [];

// By which dimensions are ordered.
const worthOf = (d, m = model) => m.kl ? `KL ${short(m.kl[d], 3)}` : `std ${short(m.std[d], 3)}`;

function buildSliders() {
  fits.push(fitSliders);
  watchers.push(() => {
    for (const { d, input, value } of sliders) {
      input.value = state.z[d];
      value.textContent = state.z[d].toFixed(2);
      input.setAttribute("aria-valuetext", state.z[d].toFixed(2));
    }
  });
}

function fitSliders() {
  sliders.length = 0;
  byId("sliders").replaceChildren();
  const most = model.kl ? Math.max(...model.kl, 1e-9) : Math.max(...model.std, 1e-9);
  for (const d of model.order) {
    const [low, high] = range(d), worth = model.kl ? model.kl[d] : model.std[d];
    const about = worthOf(d);
    const input = element("input", { type: "range", min: low, max: high, step: "any", id: `z${d}` });
    input.setAttribute("aria-label", `dimension ${d}, ${about}`);
    const value = element("output", { className: "value" });
    const bar = element("span", { className: "bar" });
    bar.style.width = `${100 * worth / most}%`;
    const name = element("label", { htmlFor: input.id }, element("b", { textContent: `z${d}` }), ` ${about}`);
    input.addEventListener("input", () => move(d, Number(input.value), false));
    input.addEventListener("change", () => move(d, Number(input.value), true));
    // One arrow key is a fiftieth of the range, whatever that is.
    input.addEventListener("keydown", event => {
      const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!way) return;
      event.preventDefault();
      input.value = Number(input.value) + way * (high - low) / 50;
      move(d, Number(input.value), true);
    });
    byId("sliders").append(element("div", { className: "slider" }, name, input, value,
      element("span", { className: "track" }, bar)));
    sliders.push({ d, input, value });
  }
  const hidden = model.dims - model.order.length;
  byId("sliders-note").textContent = (model.kl ? "Ordered by KL, in nats: how much a dimension tells of the image." :
    "Ordered by standard deviation: how much a dimension varies from image to image.")
    + (hidden > 0 ? ` The other ${hidden} dimensions keep the values that the image gave them.` : "");
}
