// What each dimension stands for: traversals of the current code, and what the units of a sparse model fire for.
const STEPS = 9;
const strips = [];

function buildStrips() {
  const [, height, width] = model.shape;
  for (const d of model.order.slice(0, 16)) {
    // As large as it will be, so that nothing moves when it is drawn.
    const canvas = element("canvas", { className: "pixels strip", width: STEPS * (width + 1) - 1, height });
    canvas.setAttribute("role", "img");
    canvas.addEventListener("click", event => {
      const box = canvas.getBoundingClientRect(), [low, high] = range(d);
      const step = Math.min(STEPS - 1, Math.floor((event.clientX - box.left) / box.width * STEPS));
      move(d, low + step / (STEPS - 1) * (high - low), true);
    });
    byId("strips").append(element("div", { className: "line" }, element("span", {}, element("b", { textContent: `z${d}` }), ` ${worthOf(d)}`), canvas));
    strips.push({ d, canvas });
  }
  watchers.push(settled => settled ? drawStrips() : afterAMoment("strips-later", drawStrips));
}

function drawStrips() {
  const z = state.z;
  bitByBit("strips", function* () {
    for (const { d, canvas } of strips) {
      const [low, high] = range(d), images = [];
      for (let i = 0; i < STEPS; i++) {
        const moved = Float32Array.from(z);
        moved[d] = low + i / (STEPS - 1) * (high - low);
        images.push(decode(moved));
        yield;
      }
      putRow(canvas, images);
      canvas.setAttribute("aria-label", `dimension ${d} from ${short(low)} to ${short(high)}, the others as they are`);
    }
  }());
}

function buildUnits() {
  if (!model.units) return;
  byId("units").hidden = false;
  const { units, images, largest, share } = model.units;
  bitByBit("units", function* () {
    const silent = decode(new Float32Array(model.dims));
    for (const [u, d] of units.entries()) {
      const alone = new Float32Array(model.dims);
      alone[d] = largest[u];
      const change = decode(alone).map((value, i) => value - silent[i]);
      const most = change.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-9);
      const pattern = element("canvas", { className: "pixels unit" }), row = element("canvas", { className: "pixels fired" });
      put(pattern, change.map(value => 0.5 + 0.5 * value / most));
      putRow(row, images[u].map(image));
      const words = `unit ${d}: up to ${short(largest[u])}, ${Math.round(100 * share[u])} % of the images`;
      pattern.setAttribute("role", "img");
      pattern.setAttribute("aria-label", `what unit ${d} adds to the picture`);
      row.setAttribute("role", "img");
      row.setAttribute("aria-label", `images that move unit ${d} most: ${images[u].map(title).join("; ")}`);
      byId("unit-rows").append(element("figure", { className: "fires" }, pattern, row, element("figcaption", { textContent: words })));
      yield;
    }
  }());
}
