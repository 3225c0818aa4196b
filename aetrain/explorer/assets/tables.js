// The terms of the objective, and the configuration; of two models, side by side.
function fitTables() {
  const shown = [model, other].filter(Boolean);
  byId("terms-of").textContent = model.termsOf;
  rows(byId("terms"), shown, m => m.terms, value => value === undefined || value === null ? "–" : short(value));
  rows(byId("config"), shown, m => m.config, value => value ?? "–");
}

function rows(table, shown, values, words) {
  const names = [...new Set(shown.flatMap(m => Object.keys(values(m))))];
  const head = shown.length < 2 ? [] : [element("tr", {}, element("td"),
    ...shown.map(m => element("th", { scope: "col", className: "n", textContent: m.name })))];
  table.replaceChildren(...head, ...names.map(name => {
    const cells = shown.map(m => words(values(m)[name]));
    const row = element("tr", {}, element("th", { scope: "row", textContent: name }),
      ...cells.map(cell => element("td", { className: "n", textContent: cell })));
    row.className = new Set(cells).size > 1 ? "differs" : "";
    return row;
  }));
}
