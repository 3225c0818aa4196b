async function start() {
  try {
    await unpack();
  } catch (error) {
    byId("status").textContent = typeof DecompressionStream === "undefined"
      ? "This browser is too old for this page: it needs Chrome 80, Firefox 113, Safari 16.4 or later."
      : `This page is damaged and cannot be read (${error.message}).`;
    return;
  }
  byId("status").hidden = true;
  byId("explorer").hidden = false;
  buildChoice();
  buildPicture();
  buildSliders();
  buildStrips();
  buildMap();
  buildDraw();
  fits.push(fitTables, fitUnits);
  Object.assign(state, { base: ofImage(image(0), labelOf(0)), image: 0, from: title(0), label: labelOf(0) });
  fit();
  const again = () => { for (const redraw of redraws) redraw(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;  // a phone's address bar comes and goes
    width = innerWidth;
    again();
  });
  document.documentElement.dataset.ready = "true";
}

start();
