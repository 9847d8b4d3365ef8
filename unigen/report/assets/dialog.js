"use strict";
// One structure, large: its picture to turn, its facts, its files.

const OPEN = { item: null, viewer: undefined };

const TURNS = { ArrowLeft: [-15, "y"], ArrowRight: [15, "y"], ArrowUp: [-15, "x"], ArrowDown: [15, "x"] };

function openDialog(item) {
  if (!element("dialog").open) element("dialog").showModal();
  if (OPEN.viewer === undefined) {
    OPEN.viewer = viewerOn(element("stage"));
    if (!OPEN.viewer) element("stage").append("No picture: this browser has no WebGL.");
  }
  showItem(item);
  element("stage").focus();
}

function showItem(item) {
  OPEN.item = item;
  const place = SHOWN.items.indexOf(item);
  element("dialog-title").replaceChildren(...formulaNodes(item.title));
  element("elements").replaceChildren(...legendOf(item));
  element("previous").disabled = place <= 0;
  element("next").disabled = place === SHOWN.items.length - 1;
  offerSwitches(item);
  drawItem();
}

/** What depends on the switches: the picture, the cell among the facts, the file to download. */
function drawItem() {
  const { item } = OPEN;
  const conventional = isConventional(item);
  element("stage").setAttribute("aria-label", `${item.title}, ${item.scene.numbers.length} atoms`);
  element("files").replaceChildren(...filesOf(item, conventional));
  element("facts").replaceChildren(...factsOf(item, conventional).map(([name, value, about]) =>
    make("tr", {}, make("th", about ? { scope: "row", title: about } : { scope: "row" }, name), make("td", {}, value))));
  OPEN.viewer?.screen.resize();
  OPEN.viewer?.show(item.scene, true, { conventional, polyhedra: element("polyhedra").checked });
}

/** Switches say why they do nothing; what was switched on stays on for the next structure that has it. */
function offerSwitches(item) {
  element("switches").hidden = DATA.kind !== "crystals";
  if (DATA.kind !== "crystals") return;
  const names = polyhedraNames(item.scene);
  element("conventional").disabled = !item.scene.conventional;
  element("conventional-note").textContent = item.scene.conventional ? "" : "no other than the given";
  element("polyhedra").disabled = names.length === 0;
  element("polyhedra-note").replaceChildren(
    ...(names.length ? names.flatMap((name, n) => [n ? ", " : "", ...formulaNodes(name)]) : ["none of 4 to 8 nonmetals"]));
}

function isConventional(item) {
  return element("conventional").checked && !!item.scene.conventional;
}

function step(by) {
  const item = SHOWN.items[SHOWN.items.indexOf(OPEN.item) + by];
  if (item) showItem(item);
}

function legendOf(item) {
  return [...new Set(item.scene.numbers)].map((number) => {
    const [symbol, color] = DATA.elements[number];
    const dot = make("span", { class: "dot", "aria-hidden": "true" });
    dot.style.background = color;
    return make("span", {}, dot, symbol);
  });
}

function filesOf(item, conventional) {
  const download = make("button", { type: "button" }, `Download ${DATA.kind === "crystals" ? "CIF" : "SDF"}`);
  download.addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([fileText(item, conventional)], { type: "text/plain" }));
    make("a", { href: address, download: fileName(item, conventional) }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  });
  if (!item.file) return [download];
  const name = [decodeURIComponent(item.file), item.place].filter(Boolean).join(", ");
  return [download, make("a", { href: item.file }, name)];
}

function factsOf(item, conventional) {
  const facts = [["id", item.id]];
  if (item.scene.lattice) {
    const cell = cellOf(item.scene, conventional);
    const { lengths, angles } = cellParameters(cell);
    if (conventional) facts.push(["cell", `conventional, ${written(timesTheCell(cell))} times the one given`]);
    facts.push(["a, b, c (Å)", lengths.map((length) => length.toFixed(3)).join(", ")]);
    facts.push(["α, β, γ (°)", angles.map((angle) => angle.toFixed(2)).join(", ")]);
  }
  const known = COLUMNS.filter((column) => valueOf(item, column) !== null);
  return [...facts, ...known.map((column) => [labelOf(column), inFull(valueOf(item, column)), column.about])];
}

/** How much larger a cell is than the given one. */
function timesTheCell(cell) {
  return Math.abs(dot(cell.basis[0], cross(cell.basis[1], cell.basis[2])));
}

function onStageKey(event) {
  const viewer = OPEN.viewer;
  if (!viewer || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key in TURNS) viewer.turn(...TURNS[event.key]);
  else if (event.key === "+" || event.key === "=") viewer.screen.zoom(1.2);
  else if (event.key === "-") viewer.screen.zoom(1 / 1.2);
  else if (event.key === "0") viewer.reset();
  else return;
  event.preventDefault();
}

function onDialogKey(event) {
  const by = { PageUp: -1, PageDown: 1 }[event.key];
  if (!by) return;
  step(by);
  event.preventDefault();
}
