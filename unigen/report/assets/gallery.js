"use strict";
// The wanted items as cards or as a table, so many at a time.

const STEP = 48;

const SHOWN = { items: [], count: STEP, asTable: false };

function redraw(count = STEP) {
  SHOWN.items = wantedItems();
  SHOWN.count = count;
  const items = SHOWN.items.slice(0, count);
  const left = SHOWN.items.length - items.length;
  element("gallery").hidden = SHOWN.asTable;
  element("table").hidden = !SHOWN.asTable;
  element("gallery").replaceChildren(...(SHOWN.asTable ? [] : items.map(cardOf)));
  element("table").replaceChildren(...(SHOWN.asTable ? [tableOf(items)] : []));
  element("more").hidden = left === 0;
  element("more").textContent = `Show more (${left} left)`;
  const all = DATA.items.length;
  element("status").textContent = `${SHOWN.items.length} of ${all} match` + (left ? `, ${items.length} shown` : "");
}

function showMore() {
  const before = SHOWN.count;
  redraw(before + STEP);
  const selector = SHOWN.asTable ? "tbody tr button" : ".card";
  document.querySelectorAll(`#structures ${selector}`)[before]?.focus();
}

function element(id) {
  return document.getElementById(id);
}

function cardOf(item) {
  const picture = make("span", { class: "picture" });
  const lines = [make("span", { class: "name" }, ...formulaNodes(item.title))];
  if (item.subtitle) lines.push(make("span", { class: "more" }, item.subtitle));
  const told = [WANTED.sort, ...COLUMNS.filter((column) => column.card && column !== WANTED.sort)];
  for (const column of told) {
    if (!column || (valueOf(item, column) === null && column !== WANTED.sort)) continue;
    const value = make("b", {}, inFull(valueOf(item, column)));
    lines.push(make("span", { class: column === WANTED.sort ? "fact sorted" : "fact" }, `${labelOf(column)}: `, value));
  }
  const card = make("button", { class: "card", type: "button" }, picture, make("span", { class: "words" }, ...lines));
  card.addEventListener("click", () => openDialog(item));
  paintLater(picture, item);
  return make("li", {}, card);
}

/** Columns of the table: what it is sorted by comes first. */
function tableColumns() {
  return WANTED.sort ? [WANTED.sort, ...COLUMNS.filter((column) => column !== WANTED.sort)] : COLUMNS;
}

function tableOf(items) {
  const body = make("tbody", {}, ...items.map(rowOf));
  const heads = [null, ...tableColumns()].map(headOf);
  return make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body);
}

function headOf(column) {
  const button = make("button", { type: "button" }, column ? labelOf(column) : "structure");
  button.addEventListener("click", () => {
    sortBy(column, WANTED.sort === column && !WANTED.descending);
    element("table").querySelectorAll("thead button")[column ? 1 : 0].focus(); // it has moved to the front
  });
  const kind = column?.type === "number" ? "number" : "";
  const order = WANTED.sort !== column ? "none" : WANTED.descending ? "descending" : "ascending";
  const attributes = { scope: "col", class: kind, "aria-sort": order };
  return make("th", column?.about ? { ...attributes, title: column.about } : attributes, button);
}

function rowOf(item) {
  const button = make("button", { type: "button" }, ...formulaNodes(item.title));
  button.addEventListener("click", () => openDialog(item));
  const cells = tableColumns().map((column) => {
    const value = valueOf(item, column);
    const text = column === WANTED.sort ? inFull(value) : inColumn(value, column);
    return make("td", { class: column.type === "number" ? "number" : "" }, text);
  });
  return make("tr", {}, make("th", { scope: "row" }, button), ...cells);
}

function sortBy(column, descending) {
  WANTED.sort = column;
  WANTED.descending = descending;
  element("sort").value = column ? column.name : "";
  element("direction").textContent = descending ? "Descending" : "Ascending";
  redraw();
}

function viewAs(asTable) {
  SHOWN.asTable = asTable;
  element("as-gallery").setAttribute("aria-pressed", String(!asTable));
  element("as-table").setAttribute("aria-pressed", String(asTable));
  redraw(SHOWN.count);
}
