// The table: rows by line, function or file, in any order.
"use strict";

const table = (function () {
  const FIRST = 15;
  const shownAll = { lineno: false, function: false, filename: false };
  let key = "lineno";
  let order = { column: raw.cumulative ? "below" : "own", down: true };
  let term = "";
  let chosen = null;

  const size = (amount) => (asked.measure === "size" ? amount.size : amount.count);
  const format = (number, sign) => (asked.measure === "size" ? formatSize(number, sign) : formatCount(number, sign));

  // Each column: its name, what it is sorted by, and its cell.
  const columns = [
    ...(compared ? [{ id: "change", name: "Change", by: (row) => changed(row.own), title: "NEW less OLD",
      cell: (row) => changeOf(changed(row.own), format) }] : []),
    { id: "own", name: "Allocated here", by: (row) => size(row.own), title: "by this line itself", cell: cellOfOwn },
    { id: "part", name: "%", by: (row) => size(row.own), cell: (row) => formatPart(size(row.own), size(wholeTree.amount)) },
    { id: "count", name: "Blocks", by: (row) => row.own.count, cell: (row) => formatCount(row.own.count) },
    { id: "below", name: "With callees", by: (row) => size(row.below), title: "by this line and by all that it called",
      cell: (row) => format(size(row.below)) },
    { id: "place", name: "Place", by: (row) => row.frame.place, cell: cellOfPlace },
  ];
  if (compared && !raw.cumulative) order = { column: "change", down: true };

  function cellOfOwn(row) {
    const span = make("span");
    const bar = make("i", "bar");
    const most = Math.max(1, ...places[key].rows.map((each) => size(each.own)).slice(0, 1));
    bar.style.width = Math.round((60 * size(row.own)) / Math.max(most, size(row.own))) + "px";
    span.append(bar, format(size(row.own)));
    return span;
  }

  function cellOfPlace(row) {
    const { frame } = row;
    const span = make("span");
    if (key !== "filename" && frame.name) {
      const name = withMarks(frame.name, term);
      name.className = "name";
      span.append(name, "  ");
    }
    // The end of a path says most: it comes first, and the folder after it.
    const base = withMarks(key === "lineno" ? frame.base + ":" + frame.line : frame.base, term);
    const folder = withMarks(frame.file.slice(0, -frame.base.length), term);
    base.className = "base";
    folder.className = "where";
    span.append(base, "  ", folder);
    span.title = frame.place;
    if (key === "lineno" && frame.source) span.append(make("code", "", frame.source));
    return span;
  }

  function sorted() {
    const column = columns.find((each) => each.id === order.column);
    const rows = places[key].rows.filter((row) => !term || row.frame.text.includes(term));
    const values = new Map(rows.map((row) => [row, column.by(row)]));
    const compare = (a, b) => (values.get(a) < values.get(b) ? -1 : values.get(a) > values.get(b) ? 1 : 0);
    return rows.sort((a, b) => (order.down ? -compare(a, b) : compare(a, b)));
  }

  function drawHead() {
    const line = make("tr");
    for (const column of columns) {
      const cell = make("th");
      const button = make("button", "", column.name + (order.column === column.id ? (order.down ? " ▾" : " ▴") : ""));
      cell.scope = "col";
      cell.setAttribute("aria-sort", order.column !== column.id ? "none" : order.down ? "descending" : "ascending");
      button.type = "button";
      if (column.title) button.title = column.title;
      button.addEventListener("click", () => {
        order = { column: column.id, down: order.column === column.id ? !order.down : column.id !== "place" };
        draw();
        byId("table").querySelectorAll("th button")[columns.indexOf(column)].focus();
      });
      cell.append(button);
      line.append(cell);
    }
    byId("table").tHead.replaceChildren(line);
  }

  function choose(row, line) {
    if (chosen) chosen.classList.remove("chosen");
    chosen = line;
    line.classList.add("chosen");
    panel.showRow(row, key);
  }

  function lineOf(row) {
    const line = make("tr");
    line.tabIndex = 0;
    for (const column of columns) {
      const cell = make("td");
      cell.append(column.cell(row));
      line.append(cell);
    }
    line.addEventListener("click", (event) => {
      choose(row, line);
      if (event.isTrusted) panel.reveal(); // not the first row, which the page chooses
    });
    line.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        choose(row, line);
        panel.reveal();
      }
      if (event.key === "ArrowDown" && line.nextElementSibling) line.nextElementSibling.focus();
      if (event.key === "ArrowUp" && line.previousElementSibling) line.previousElementSibling.focus();
      if (event.key.startsWith("Arrow")) event.preventDefault();
    });
    return line;
  }

  function drawNote(rows, shown) {
    const { others, other } = places[key];
    const nouns = { lineno: "lines", function: "functions", filename: "files" };
    let note = "";
    if (others > 0) note = others + " other " + nouns[key] + " have " + describe(other) + ". ";
    byId("table-note").textContent = note;
    byId("more").hidden = shown >= rows.length;
    byId("more").textContent = "Show all " + rows.length + " rows";
  }

  function draw() {
    const rows = sorted();
    const shown = shownAll[key] ? rows : rows.slice(0, FIRST);
    chosen = null;
    drawHead();
    byId("table").tBodies[0].replaceChildren(...shown.map(lineOf));
    drawNote(rows, shown.length);
  }

  for (const button of document.querySelectorAll(".tabs button"))
    button.addEventListener("click", () => {
      key = button.dataset.key;
      for (const each of document.querySelectorAll(".tabs button"))
        each.setAttribute("aria-pressed", String(each === button));
      draw();
    });
  byId("more").addEventListener("click", () => { shownAll[key] = true; draw(); });
  /** Show the traceback of the first row: mostly it is what the page is opened for. */
  function chooseFirst() {
    const line = byId("table").tBodies[0].rows[0];
    if (line) line.click();
  }
  return { draw, chooseFirst, search(text) { term = text; draw(); } };
})();
