// Codes of the page's images as points; the current code among them; the way from one code to another.
const CELLS = 24;  // decoded images each way behind a code of two numbers
const NAMED = 20;  // classes, at most, that get a colour and a name of their own
const COLORS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf",
  "#6b8fd6", "#c49a2a", "#5fae8b", "#b0587a", "#a98be0", "#9c8074", "#d9a5c9", "#a3a3a3", "#8f9a3a", "#4fa3b8"];
const map = { axes: [0, 1], view: null, points: null, plane: null, hidden: new Set(), line: null, aiming: false, playing: 0 };

const isPlane = () => model.dims === 2;
const at = (i, axis) => model.axes.places[i * model.axes.names.length + axis];
const shownOnMap = i => !map.hidden.has(model.labels[i]);

function classColors() {
  const found = [...new Set(model.labels)].sort((a, b) => a - b);
  const known = found.filter(label => label >= 0);
  return new Map(found.map(label => [label, label < 0 ? "#999999" : known.length <= NAMED ? COLORS[known.indexOf(label)]
    : `hsl(${300 * known.indexOf(label) / known.length} 65% 50%)`]));
}

function buildMap() {
  map.colors = classColors();
  for (const [which, id] of ["across", "up"].entries()) {
    byId(id).addEventListener("change", () => { map.axes[which] = Number(byId(id).value); layOut(); });
  }
  byId("plane").addEventListener("change", drawMap);
  if (map.colors.size <= NAMED + 1 && map.colors.size > 1) {
    for (const [label, shade] of map.colors) {
      const dot = element("span", { className: "dot" });
      dot.style.background = shade;
      const button = element("button", { type: "button" }, dot, label < 0 ? "no class" : className(label));
      button.setAttribute("aria-pressed", "true");
      button.addEventListener("click", () => {
        map.hidden.has(label) ? map.hidden.delete(label) : map.hidden.add(label);
        button.setAttribute("aria-pressed", String(!map.hidden.has(label)));
        drawPoints();
      });
      byId("legend").append(button);
    }
  }
  listenToMap();
  buildLine();
  watchers.push(drawMap);
  redraws.push(drawPoints);
  relabelled.push(() => { if (isPlane() && model.classesGiven) drawPlane(); });
  fits.push(fitMap);
}

function fitMap() {
  stop();
  Object.assign(map, { axes: [0, 1], plane: null });
  for (const [which, id] of ["across", "up"].entries()) {
    byId(id).replaceChildren(...model.axes.names.map((name, axis) => element("option", { value: axis, textContent: name })));
    byId(id).value = map.axes[which];
  }
  byId("axes").hidden = model.dims <= 2;
  byId("behind").hidden = !isPlane();
  byId("map").style.touchAction = isPlane() ? "none" : "";
  byId("map-hint").textContent = isPlane()
    ? "Behind the points lies what every place decodes to: drag to walk through it, and see where one kind of image turns into another."
    : "Images whose codes are alike lie close together. "
      + (model.classesGiven ? "The model was given their classes: are they mixed?" : "Are the classes apart, though the model was never told of them?");
  layOut();
}

// What the canvas covers: the same scale in both directions, with a margin.
function layOut() {
  const spans = map.axes.map(axis => {
    let low = Infinity, high = -Infinity;
    for (let i = 0; i < model.index.length; i++) {
      low = Math.min(low, at(i, axis));
      high = Math.max(high, at(i, axis));
    }
    return [low, high];
  });
  const half = 0.54 * Math.max(...spans.map(([low, high]) => high - low), 1e-6);
  map.view = spans.map(([low, high]) => [(low + high) / 2 - half, (low + high) / 2 + half]);
  drawPoints();
  isPlane() ? drawPlane() : bitByBit("plane", [].values());
}

function onScreen([x, y], { width, height }) {
  const [[left, right], [bottom, top]] = map.view;
  return [(x - left) / (right - left) * width, (top - y) / (top - bottom) * height];
}

function onMap(px, py) {
  const { width, height } = byId("map").getBoundingClientRect(), [[left, right], [bottom, top]] = map.view;
  return [left + px / width * (right - left), top - py / height * (top - bottom)];
}

const spot = z => map.axes.map(axis => place(z, axis));

// Points lie on a canvas of their own, which a change of the code does not draw anew.
function drawPoints() {
  const canvas = byId("map-points"), drawn = fresh(canvas);
  if (!drawn) return;
  const { context } = drawn, size = model.index.length > 500 ? 2.4 : 3.6;
  context.globalAlpha = isPlane() && byId("plane").checked ? 0.9 : 0.75;
  for (let i = 0; i < model.index.length; i++) {
    if (!shownOnMap(i)) continue;
    const [x, y] = onScreen([at(i, map.axes[0]), at(i, map.axes[1])], drawn);
    context.fillStyle = map.colors.get(model.labels[i]);
    context.beginPath();
    context.arc(x, y, size, 0, 7);
    context.fill();
  }
  drawMap();
}

// What a code of two numbers decodes to, all over the map, cell by cell.
function drawPlane() {
  const [, height, width] = model.shape;
  map.plane = element("canvas", { width: CELLS * width, height: CELLS * height });
  const context = map.plane.getContext("2d"), [[left, right], [bottom, top]] = map.view;
  bitByBit("plane", function* () {
    for (let row = 0; row < CELLS; row++) {
      for (let column = 0; column < CELLS; column++) {
        const z = [left + (column + 0.5) / CELLS * (right - left), top - (row + 0.5) / CELLS * (top - bottom)];
        const data = context.createImageData(width, height);
        paint(data, decode(Float32Array.from(z)));
        context.putImageData(data, column * width, row * height);
        yield;
      }
      if (row % 6 === 5) drawMap();
    }
  }());
}

function drawMap() {
  const drawn = fresh(byId("map"));
  if (!drawn || !state.z) return;
  const { context, width, height } = drawn;
  if (map.plane && byId("plane").checked) {
    context.imageSmoothingEnabled = false;
    context.globalAlpha = 0.55;
    context.drawImage(map.plane, 0, 0, width, height);
    context.globalAlpha = 1;
  }
  const ink = color("--ink"), paper = color("--paper");
  if (map.line) {
    const ends = [map.line.from, map.line.to].map(end => onScreen(spot(end(model)), drawn));
    for (const [shade, wide] of [[paper, 5], [color("--accent"), 2.5]]) {
      Object.assign(context, { strokeStyle: shade, lineWidth: wide });
      context.beginPath();
      context.moveTo(...ends[0]);
      context.lineTo(...ends[1]);
      context.stroke();
    }
  }
  const [x, y] = onScreen(spot(state.z), drawn);
  for (const [shade, wide] of [[paper, 5], [ink, 2.5]]) {
    Object.assign(context, { strokeStyle: shade, lineWidth: wide });
    context.beginPath();
    context.arc(x, y, 8, 0, 7);
    context.stroke();
  }
}

// The image whose point is nearest to a place of the canvas, no farther than so many pixels; -1 if there is none.
function nearest(px, py, most, allowed = () => true) {
  const box = byId("map").getBoundingClientRect();
  let found = -1, least = most * most;
  for (let i = 0; i < model.index.length; i++) {
    if (!shownOnMap(i)) continue;
    const [x, y] = onScreen([at(i, map.axes[0]), at(i, map.axes[1])], box);
    const distance = (x - px) ** 2 + (y - py) ** 2;
    if (distance < least && allowed(x - px, y - py)) [found, least] = [i, distance];
  }
  return found;
}

function listenToMap() {
  const canvas = byId("map"), tip = byId("tip");
  const inside = event => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  let walking = false;
  const walk = (event, settled) => {
    const z = Float32Array.from(onMap(...inside(event)));
    show(carried(z), `the place (${short(z[0])}, ${short(z[1])})`, null, settled);
  };
  canvas.addEventListener("pointerdown", event => {
    const i = nearest(...inside(event), event.pointerType === "touch" ? 22 : 8);
    if (map.aiming) return void (i >= 0 && aimAt(i));
    if (i >= 0) stop(), showImage(i);
    else if (isPlane()) stop(), walk(event, false);
    if (isPlane()) {
      walking = true;
      canvas.setPointerCapture(event.pointerId);
    }
  });
  canvas.addEventListener("pointermove", event => {
    if (walking && event.buttons) return void (tip.hidden = true, walk(event, false));
    const [x, y] = inside(event), i = event.pointerType === "touch" ? -1 : nearest(x, y, 12);
    tip.hidden = i < 0;
    if (i < 0) return;
    put(byId("tip-image"), image(i));
    byId("tip-text").textContent = title(i);
    const width = canvas.getBoundingClientRect().width;
    tip.style.left = `${Math.min(x + 14, width - 150)}px`;
    tip.style.top = `${y + 14}px`;
  });
  canvas.addEventListener("pointerup", event => {
    if (walking) walking = false;
    if (isPlane() && state.image === null) walk(event, true);
  });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("keydown", event => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    stop();
    if (isPlane()) {
      const step = (map.view[0][1] - map.view[0][0]) / 50, [x, y] = state.z;
      const z = Float32Array.of(x + way[0] * step, y - way[1] * step);
      return void show(carried(z), `the place (${short(z[0])}, ${short(z[1])})`);
    }
    const [x, y] = onScreen(spot(state.z), canvas.getBoundingClientRect());
    const i = nearest(x, y, Infinity, (right, below) => {
      const along = right * way[0] + below * way[1];
      return along > 1 && along > Math.abs(right * way[1]) + Math.abs(below * way[0]);
    });
    if (i >= 0) map.aiming ? aimAt(i) : showImage(i);
  });
}

// --- from one code to another

function buildLine() {
  byId("aim").addEventListener("click", () => aim(!map.aiming));
  byId("along").addEventListener("input", () => { stop(); walkLine(Number(byId("along").value)); });
  byId("play").addEventListener("click", () => map.playing ? stop() : play());
}

function aim(on) {
  map.aiming = on;
  byId("aim").setAttribute("aria-pressed", String(on));
  byId("line-hint").textContent = on ? "Now choose the point where the line is to end." : "";
}

// From the current code to that of image i, in every model's own codes.
function aimAt(i) {
  const { base: start, moves } = { ...state, moves: new Map(state.moves) };
  map.line = { from: base(m => codeOf(m, start, moves)), to: ofImage(image(i), labelOf(i)) };
  aim(false);
  byId("along").disabled = byId("play").disabled = false;
  matchMedia("(prefers-reduced-motion: reduce)").matches ? walkLine(0.5) : play();
}

function walkLine(t) {
  if (!map.line) return;
  const { from, to } = map.line;
  byId("along").value = t;
  show(base(m => from(m).map((value, d) => value + t * (to(m)[d] - value))), `${Math.round(100 * t)} % of the way`, null, !map.playing);
}

// There and back, four seconds each way.
function play() {
  if (!map.line) return;
  const began = performance.now() - 4000 * Number(byId("along").value);
  byId("play").textContent = "Pause";
  const frame = now => {
    const t = Math.max(0, now - began) / 4000 % 2;
    walkLine(t > 1 ? 2 - t : t);
    map.playing = requestAnimationFrame(frame);
  };
  map.playing = requestAnimationFrame(frame);
}

function stop() {
  if (!map.playing) return;
  cancelAnimationFrame(map.playing);
  map.playing = 0;
  byId("play").textContent = "Play";
  for (const watcher of watchers) watcher(true);
}
