// Which of the page's models is looked at, which beside it, and the class that they are given.
function buildChoice() {
  byId("choice").hidden = models.length < 2;
  const names = models.map((m, i) => [i, m.name]);
  for (const [id, options] of [["model", names], ["beside", [["", "none"], ...names]]]) {
    byId(id).append(...options.map(([value, textContent]) => element("option", { value, textContent })));
    byId(id).addEventListener("change", () => chosen(byId("model").value, byId("beside").value));
  }
  byId("swap").addEventListener("click", () => chosen(byId("beside").value, byId("model").value));
  byId("class").addEventListener("change", () => giveLabel(Number(byId("class").value)));
  fits.push(fitChoice);
  watchers.push(showBeside, () => { byId("class").value = state.label; });
}

function chosen(first, second) {
  model = models[first];
  other = second === "" ? null : models[second];
  fit();
}

// Everything anew, for the models as they are chosen; the code stays what it was.
function fit() {
  state.z = codeOf(model);
  for (const fitIt of fits) fitIt();
  tell(true);
}

function fitChoice() {
  byId("model").value = models.indexOf(model);
  byId("beside").value = other ? models.indexOf(other) : "";
  byId("swap").disabled = !other;
  for (const id of ["other-figure", "again-other-figure"]) byId(id).hidden = !other;
  for (const pair of document.querySelectorAll(".pair")) pair.classList.toggle("three", Boolean(other));
  const classes = Math.max(...[model, other].map(m => m?.classesGiven ?? 0));
  byId("class-box").hidden = !classes;
  byId("class").replaceChildren(...Array.from({ length: classes }, (_, label) =>
    element("option", { value: label, textContent: className(label) })));
  if (!other) return;
  byId("again-other-caption").textContent = `by ${other.name}`;
  byId("again-other").setAttribute("aria-label", `Your image, encoded and decoded by ${other.name}`);
}

// The same image, the same positions of the sliders: what the model beside decodes.
function showBeside() {
  if (!other) return;
  put(byId("other-decoded"), decode(codeOf(other), state.label, other));
  byId("other-caption").textContent = `by ${other.name}`;
  byId("other-decoded").setAttribute("aria-label", `Picture decoded by ${other.name}, from ${state.from}`);
}
