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
  element("stage").setAttribute("aria-label", `${item.title}, ${item.scene.numbers.length} atoms`);
  element("legend").replaceChildren(...legendOf(item));
  element("files").replaceChildren(...filesOf(item));
  element("facts").replaceChildren(...factsOf(item).map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value))));
  element("previous").disabled = place <= 0;
  element("next").disabled = place === SHOWN.items.length - 1;
  OPEN.viewer?.screen.resize();
  OPEN.viewer?.show(item.scene, true);
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

function filesOf(item) {
  const download = make("button", { type: "button" }, `Download ${DATA.kind === "crystals" ? "CIF" : "SDF"}`);
  download.addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([fileText(item)], { type: "text/plain" }));
    make("a", { href: address, download: fileName(item) }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  });
  if (!item.file) return [download];
  const name = [decodeURIComponent(item.file), item.place].filter(Boolean).join(", ");
  return [download, make("a", { href: item.file }, name)];
}

function factsOf(item) {
  const facts = [["id", item.id]];
  if (item.scene.lattice) {
    const { lengths, angles } = cellParameters(item.scene);
    facts.push(["a, b, c (Å)", lengths.map((length) => length.toFixed(3)).join(", ")]);
    facts.push(["α, β, γ (°)", angles.map((angle) => angle.toFixed(2)).join(", ")]);
  }
  const known = COLUMNS.filter((column) => valueOf(item, column) !== null);
  return [...facts, ...known.map((column) => [labelOf(column), written(valueOf(item, column))])];
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
