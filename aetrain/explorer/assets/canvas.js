// Images on canvases, and what else is made of elements.
const byId = id => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// (C, H, W) in [0, 1] into an ImageData at (left, top). Neither grey nor colour: the mean of the channels.
function paint(data, x, left = 0, top = 0) {
  const [channels, height, width] = model.shape, area = height * width, bytes = data.data;
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const at = 4 * ((top + i) * data.width + left + j), from = i * width + j;
      if (channels === 3) {
        for (let c = 0; c < 3; c++) bytes[at + c] = 255 * x[c * area + from];  // rounded and clamped by the array
      } else {
        let sum = 0;
        for (let c = 0; c < channels; c++) sum += x[c * area + from];
        bytes[at] = bytes[at + 1] = bytes[at + 2] = 255 * sum / channels;
      }
      bytes[at + 3] = 255;
    }
  }
}

// One image fills a canvas, pixel by pixel; the style makes it larger.
function put(canvas, x) {
  const [, height, width] = model.shape;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d"), data = context.createImageData(width, height);
  paint(data, x);
  context.putImageData(data, 0, 0);
}

// Images side by side, a pixel apart.
function putRow(canvas, images) {
  const [, height, width] = model.shape;
  Object.assign(canvas, { width: images.length * (width + 1) - 1, height });
  const context = canvas.getContext("2d"), data = context.createImageData(canvas.width, height);
  images.forEach((x, i) => paint(data, x, i * (width + 1)));
  context.putImageData(data, 0, 0);
}

// A canvas as sharp as the screen is: its context, in CSS pixels, cleared; null while it is not on the page.
function fresh(canvas) {
  const { width, height } = canvas.getBoundingClientRect(), scale = devicePixelRatio || 1;
  if (!width) return null;
  const wanted = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== wanted[0] || canvas.height !== wanted[1]) [canvas.width, canvas.height] = wanted;
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  return { context, width, height };
}

const short = (value, digits = 4) => Number.isFinite(value) ? String(Number(value.toPrecision(digits))) : "–";

// For screen readers: said once calls have stopped coming.
const say = text => afterAMoment("say", () => { byId("said").textContent = text; });

// What has to be drawn anew when the colours or the width change.
const redraws = [];
