"use strict";
// The data of the page: its items, their columns, and how a value is written. All of it may come from strangers'
// files, so it enters the page as text only, never as markup.

const DATA = JSON.parse(document.getElementById("data").textContent);
const COLUMNS = DATA.columns.map((column, place) => ({ ...column, place }));

function valueOf(item, column) {
  return item.values[column.place];
}

function labelOf(column) {
  return column.unit ? `${column.label} (${column.unit})` : column.label;
}

/** Short: numbers to four digits. */
function written(value) {
  if (typeof value !== "number" || Number.isInteger(value)) return inFull(value);
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/** As many digits as the page has: energies of two structures differ in the last ones. */
function inFull(value) {
  if (value === null) return "–";
  if (value === true) return "yes";
  if (value === false) return "no";
  return String(value);
}

/** As in a table: energies to a tenth of a meV, in a column of as many decimals. */
function inColumn(value, column) {
  return typeof value === "number" && column.unit.startsWith("eV") ? value.toFixed(4) : written(value);
}

/** An element with attributes and children; strings become text. */
function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** The nodes of a formula, its counts set below the line; any other text stays as it is. */
function formulaNodes(text) {
  if (!/^([A-Z][a-z]?\d*)+$/.test(text)) return [text];
  return text.split(/(\d+)/).filter(Boolean).map((part) => (/^\d/.test(part) ? make("sub", {}, part) : part));
}
