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
  for (const line of [item.subtitle, sortedBy(item)].filter(Boolean)) {
    lines.push(make("span", { class: "more", title: line }, line));
  }
  const card = make("button", { class: "card", type: "button" }, picture, make("span", { class: "words" }, ...lines));
  card.addEventListener("click", () => openDialog(item));
  paintLater(picture, item);
  return make("li", {}, card);
}

function sortedBy(item) {
  return WANTED.sort && `${labelOf(WANTED.sort)}: ${written(valueOf(item, WANTED.sort))}`;
}

function tableOf(items) {
  const body = make("tbody", {}, ...items.map(rowOf));
  const heads = [null, ...COLUMNS].map(headOf);
  return make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body);
}

function headOf(column) {
  const button = make("button", { type: "button" }, column ? labelOf(column) : "structure");
  button.addEventListener("click", () => {
    sortBy(column, WANTED.sort === column && !WANTED.descending);
    element("table").querySelectorAll("thead button")[column ? column.place + 1 : 0].focus();
  });
  const kind = column?.type === "number" ? "number" : "";
  const order = WANTED.sort !== column ? "none" : WANTED.descending ? "descending" : "ascending";
  return make("th", { scope: "col", class: kind, "aria-sort": order }, button);
}

function rowOf(item) {
  const button = make("button", { type: "button" }, ...formulaNodes(item.title));
  button.addEventListener("click", () => openDialog(item));
  const cells = COLUMNS.map((column) =>
    make("td", { class: column.type === "number" ? "number" : "" }, written(valueOf(item, column))));
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
