"use strict";
// Connects the controls.

for (const column of COLUMNS) element("sort").append(make("option", { value: column.name }, labelOf(column)));
element("sort").prepend(make("option", { value: "", selected: "" }, "order of the run"));
element("sort").addEventListener("change", () =>
  sortBy(COLUMNS.find((column) => column.name === element("sort").value) || null, WANTED.descending));
element("direction").addEventListener("click", () => sortBy(WANTED.sort, !WANTED.descending));
element("search").addEventListener("input", () => {
  WANTED.words = element("search").value;
  redraw();
});
makeFilters(element("filter-fields"), () => redraw());
element("clear").addEventListener("click", () => {
  WANTED.tests.clear();
  WANTED.words = element("search").value = "";
  for (const field of element("filter-fields").querySelectorAll("input, select")) field.value = "";
  redraw();
});
element("as-gallery").addEventListener("click", () => viewAs(false));
element("as-table").addEventListener("click", () => viewAs(true));
element("more").addEventListener("click", showMore);
element("stage").addEventListener("keydown", onStageKey);
element("dialog").addEventListener("keydown", onDialogKey);
element("previous").addEventListener("click", () => step(-1));
element("next").addEventListener("click", () => step(1));
for (const name of ["conventional", "polyhedra"]) element(name).addEventListener("change", drawItem);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => OPEN.item && drawItem());
element("close").addEventListener("click", () => element("dialog").close());
window.addEventListener("resize", () => OPEN.viewer?.screen.resize());
element("controls").hidden = DATA.items.length === 0;
redraw();
