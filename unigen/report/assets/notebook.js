"use strict";
// One viewer for all structures of a cell of a notebook: browsers allow few WebGL contexts, and a list may be long.

const NOTEBOOK = { viewer: null, place: 0 };

function showItem(place) {
  const item = DATA.items[place];
  NOTEBOOK.place = place;
  for (const [other, row] of [...document.querySelectorAll("#rows tr")].entries()) {
    row.setAttribute("aria-selected", String(other === place));
  }
  document.getElementById("caption").replaceChildren(...formulaNodes(item.title), ` ${item.subtitle}`);
  NOTEBOOK.viewer?.show(item.scene, true);
}

function listItems() {
  const rows = DATA.items.map((item, place) => {
    const cells = COLUMNS.map((column) => make("td", {}, inColumn(valueOf(item, column), column)));
    const button = make("button", { type: "button" }, ...formulaNodes(item.title));
    button.addEventListener("click", () => showItem(place));
    return make("tr", {}, make("th", { scope: "row" }, button), make("td", {}, item.subtitle), ...cells);
  });
  document.getElementById("rows").append(...rows);
  const headings = ["", "", ...COLUMNS.map(labelOf)].map((text) => make("th", { scope: "col" }, text));
  document.getElementById("headings").append(...headings);
}

/** 3Dmol is packed: a notebook holds it once a picture. */
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

unpack(document.getElementById("packed").textContent).then((code) => {
  document.head.append(make("script", {}, code));
  NOTEBOOK.viewer = viewerOn(document.getElementById("stage"));
  if (!NOTEBOOK.viewer) document.getElementById("stage").append("no picture: this browser has no WebGL");
  if (DATA.items.length > 1) listItems();
  showItem(0);
});
