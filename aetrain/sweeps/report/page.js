"use strict";
// Click a header: ascending, again: descending. Numbers sort as numbers, before text; what is missing stays last.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const keyed = [...body.rows].map(row => {
      const cell = row.cells[column], key = cell.dataset.v ?? cell.textContent;
      return { row, key, number: key === "" ? NaN : Number(key) };
    });
    const rank = k => k.key === "" ? 2 : Number.isNaN(k.number) ? 1 : 0;
    keyed.sort((a, b) => {
      if (rank(a) === 2 || rank(b) === 2) return rank(a) - rank(b);
      if (rank(a) !== rank(b)) return direction * (rank(a) - rank(b));
      return direction * (rank(a) === 0 ? a.number - b.number : a.key.localeCompare(b.key));
    });
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
    body.append(...keyed.map(k => k.row));
  }));
}
