"use strict";
// Where the atoms of a scene are, and the CIF or SD file that it makes.

function rowsOf(flat, width) {
  return Array.from({ length: flat.length / width }, (_, row) => flat.slice(row * width, (row + 1) * width));
}

/** A point of the cell in Angstrom; rows of the lattice are its vectors. */
function inCell(scene, fractions) {
  return [0, 1, 2].map((axis) => fractions.reduce((sum, part, row) => sum + part * scene.lattice[3 * row + axis], 0));
}

/** Atoms to draw, {number, at}, of a crystal with its images. */
function drawnAtoms(scene) {
  const own = rowsOf(scene.coords, 3);
  if (!scene.lattice) return own.map((at, atom) => ({ number: scene.numbers[atom], at }));
  const moved = ([atom, ...shift]) => [atom, own[atom].map((part, axis) => part + shift[axis])];
  const images = rowsOf(scene.images, 4).map(moved);
  return [...own.entries(), ...images].map(([atom, fractions]) => ({
    number: scene.numbers[atom],
    at: inCell(scene, fractions),
  }));
}

/** Bonds that leave the cell: the drawn atom they start from and the point they go to. */
function cutBonds(scene) {
  const own = rowsOf(scene.coords, 3);
  return rowsOf(scene.cut || [], 5).map(([from, atom, ...shift]) => ({
    from,
    to: inCell(scene, own[atom].map((part, axis) => part + shift[axis])),
  }));
}

function cellParameters(scene) {
  const vectors = rowsOf(scene.lattice, 3);
  const dot = (u, v) => u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
  const lengths = vectors.map((vector) => Math.hypot(...vector));
  const angle = (i, j) => (Math.acos(dot(vectors[i], vectors[j]) / (lengths[i] * lengths[j])) * 180) / Math.PI;
  return { lengths, angles: [angle(1, 2), angle(0, 2), angle(0, 1)] };
}

function fileText(item) {
  return DATA.kind === "crystals" ? cifText(item) : sdfText(item);
}

function fileName(item) {
  return item.id.replace(/[^A-Za-z0-9.()+-]/g, "_").slice(0, 120) + (DATA.kind === "crystals" ? ".cif" : ".sdf");
}

function cifText(item) {
  const scene = item.scene;
  const { lengths, angles } = cellParameters(scene);
  const sites = rowsOf(scene.coords, 3).map((place, atom) => {
    const symbol = DATA.elements[scene.numbers[atom]][0];
    return `  ${symbol} ${symbol}${atom} 1 ${place.map((part) => part.toFixed(6)).join(" ")} 1`;
  });
  return [
    `data_${item.title.replace(/[^A-Za-z0-9]/g, "_")}`,
    "_symmetry_space_group_name_H-M 'P 1'",
    "_symmetry_Int_Tables_number 1",
    ...["a", "b", "c"].map((name, axis) => `_cell_length_${name} ${lengths[axis].toFixed(6)}`),
    ...["alpha", "beta", "gamma"].map((name, axis) => `_cell_angle_${name} ${angles[axis].toFixed(6)}`),
    "loop_", " _symmetry_equiv_pos_site_id", " _symmetry_equiv_pos_as_xyz", "  1 'x, y, z'",
    "loop_", " _atom_site_type_symbol", " _atom_site_label", " _atom_site_symmetry_multiplicity",
    " _atom_site_fract_x", " _atom_site_fract_y", " _atom_site_fract_z", " _atom_site_occupancy",
    ...sites, "",
  ].join("\n");
}

/** V2000, which has room for 999 atoms. */
function sdfText(item) {
  const { numbers, coords, bonds, charges = [] } = item.scene;
  const right = (value, width) => String(value).padStart(width);
  const orders = rowsOf(bonds, 3);
  const atoms = rowsOf(coords, 3).map((at, atom) => {
    const place = at.map((part) => right(part.toFixed(4), 10)).join("");
    return `${place} ${DATA.elements[numbers[atom]][0].padEnd(3)} 0${"  0".repeat(11)}`;
  });
  const charged = [...charges.entries()].filter(([, charge]) => charge);
  return [
    item.id.replace(/\s+/g, " "), "     UniGen          3D", "",
    `${right(numbers.length, 3)}${right(orders.length, 3)}  0  0  0  0  0  0  0  0999 V2000`,
    ...atoms,
    ...orders.map(([first, second, order]) =>
      [first + 1, second + 1, order, 0].map((value) => right(value, 3)).join("")),
    ...charged.map(([atom, charge]) => `M  CHG  1${right(atom + 1, 4)}${right(charge, 4)}`),
    "M  END", "$$$$", "",
  ].join("\n");
}
