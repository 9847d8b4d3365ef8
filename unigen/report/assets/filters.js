"use strict";
// Which items are wanted, and in which order.

const CHOICES = 12; // a text column with no more different values gets a list to choose from

const WANTED = { words: "", tests: new Map(), sort: null, descending: false };

function textOf(item) {
  item.text ??= [item.id, item.title, item.subtitle, ...item.values.filter((value) => typeof value === "string")]
    .join("\n").toLowerCase();
  return item.text;
}

/** The items that pass all filters, sorted; what has no value comes last whichever way. */
function wantedItems() {
  const words = WANTED.words.toLowerCase().split(/\s+/).filter(Boolean);
  const tests = [...WANTED.tests.values()];
  const says = (item) => words.every((word) => textOf(item).includes(word));
  const kept = DATA.items.filter((item) => says(item) && tests.every((test) => test(item)));
  const column = WANTED.sort;
  if (!column) return WANTED.descending ? kept.reverse() : kept;
  const sign = WANTED.descending ? -1 : 1;
  return kept.sort((one, other) => {
    const [a, b] = [valueOf(one, column), valueOf(other, column)];
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (typeof a === "string" ? a.localeCompare(b) : a - b);
  });
}

/** A field for every column that tells items apart; `changed` is called after each change. */
function makeFilters(place, changed) {
  for (const column of COLUMNS) {
    const values = DATA.items.map((item) => valueOf(item, column));
    if (new Set(values).size < 2) continue;
    const known = [...new Set(values)].filter((value) => value !== null);
    const set = (test) => {
      if (test) WANTED.tests.set(column.name, test);
      else WANTED.tests.delete(column.name);
      changed();
    };
    if (column.type === "number") place.append(rangeField(column, known, set));
    else if (column.type === "boolean" || known.length <= CHOICES) place.append(choiceField(column, known, set));
  }
}

function rangeField(column, values, set) {
  const ends = [["from", Math.min(...values)], ["to", Math.max(...values)]]
  const [from, to] = ends.map(([word, end]) => {
    const name = `${labelOf(column)} ${word}`;
    return make("input", { type: "number", step: "any", placeholder: written(end), "aria-label": name });
  });
  const changed = () => {
    const least = from.value === "" ? -Infinity : Number(from.value);
    const most = to.value === "" ? Infinity : Number(to.value);
    const open = from.value === "" && to.value === "";
    set(open ? null : (item) => {
      const value = valueOf(item, column);
      return value !== null && least <= value && value <= most;
    });
  };
  for (const field of [from, to]) field.addEventListener("input", changed);
  return make("fieldset", {}, make("legend", {}, labelOf(column)), from, " – ", to);
}

function choiceField(column, values, set) {
  const choices = column.type === "boolean" ? [true, false] : values.sort();
  const options = choices.map((value, place) => make("option", { value: place }, written(value)));
  const field = make("select", { "aria-label": labelOf(column) }, make("option", { value: "" }, "any"), ...options);
  field.addEventListener("change", () => {
    const choice = choices[Number(field.value)];
    set(field.value === "" ? null : (item) => valueOf(item, column) === choice);
  });
  return make("fieldset", {}, make("legend", {}, labelOf(column)), field);
}
