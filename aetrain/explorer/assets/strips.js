// What each dimension stands for: traversals of the current code, and what the units of a sparse model fire for.
const STEPS = 9;
const strips = [];

function buildStrips() {
  fits.push(fitStrips);
  watchers.push(settled => settled ? drawStrips() : afterAMoment("strips-later", drawStrips));
}

// A row for each dimension; below it, of the model beside, that of the same rank.
function fitStrips() {
  strips.length = 0;
  byId("strips").replaceChildren();
  const ranks = Math.min(16, Math.max(model.order.length, other?.order.length ?? 0));
  for (let rank = 0; rank < ranks; rank++) {
    for (const m of [model, other]) if (m && rank < m.order.length) addStrip(m, rank);
  }
}

function addStrip(m, rank) {
  const [, height, width] = m.shape, d = m.order[rank];
  // As large as it will be, so that nothing moves when it is drawn.
  const canvas = element("canvas", { className: "pixels strip", width: STEPS * (width + 1) - 1, height });
  canvas.setAttribute("role", "img");
  canvas.addEventListener("click", event => {
    const box = canvas.getBoundingClientRect(), [low, high] = range(model.order[rank] ?? 0);
    const step = Math.min(STEPS - 1, Math.floor((event.clientX - box.left) / box.width * STEPS));
    if (rank < model.order.length) move(model.order[rank], low + step / (STEPS - 1) * (high - low), true);
  });
  const whose = element("small", { textContent: other ? m.name : "" });
  byId("strips").append(element("div", { className: m === model ? "line" : "line beside" },
    element("span", {}, element("b", { textContent: `z${d}` }), ` ${worthOf(d, m)} `, whose), canvas));
  strips.push({ m, d, canvas });
}

function drawStrips() {
  const codes = new Map([model, other].filter(Boolean).map(m => [m, codeOf(m)]));
  bitByBit("strips", function* () {
    for (const { m, d, canvas } of strips) {
      const [low, high] = range(d, m), images = [];
      for (let i = 0; i < STEPS; i++) {
        const moved = Float32Array.from(codes.get(m));
        moved[d] = low + i / (STEPS - 1) * (high - low);
        images.push(decode(moved, state.label, m));
        yield;
      }
      putRow(canvas, images);
      canvas.setAttribute("aria-label", `${other ? `${m.name}: ` : ""}dimension ${d} from ${short(low)} to ${short(high)}, the others as they are`);
    }
  }());
}

function fitUnits() {
  byId("units").hidden = !model.units;
  byId("unit-rows").replaceChildren();
  if (!model.units) return bitByBit("units", [].values());
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
