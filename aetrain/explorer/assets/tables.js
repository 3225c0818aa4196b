// The terms of the objective, and the configuration.
function rows(table, entries) {
  for (const [name, value] of entries) {
    table.append(element("tr", {}, element("th", { scope: "row", textContent: name }), element("td", { className: "n", textContent: value })));
  }
}

function buildTables() {
  rows(byId("terms"), Object.entries(model.terms).map(([name, value]) => [name, value === null ? "–" : short(value)]));
  rows(byId("config"), Object.entries(model.config));
}
