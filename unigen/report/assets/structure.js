"use strict";
// Where the atoms, bonds and polyhedra of a scene are, in its own cell or in the conventional one; and the CIF or SD
// file that it makes.

const BOUNDARY = 0.02; // of a cell edge: atoms this near a face are drawn on the opposite face too
const SAME = 0.2; // Angstrom, twice the tolerance of the symmetry: atoms this near, whole cells apart, are one
const LIGANDS = [4, 8]; // corners of a polyhedron that is drawn: fewer have no inside, more hide all others
const FLAT = 0.01; // Angstrom from a plane in which corners of a face lie

function rowsOf(flat, width) {
  return Array.from({ length: flat.length / width }, (_, row) => flat.slice(row * width, (row + 1) * width));
}

const plus = (u, v) => u.map((part, axis) => part + v[axis]);
const minus = (u, v) => u.map((part, axis) => part - v[axis]);
const dot = (u, v) => u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
const cross = (u, v) => [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
const scaled = (u, factor) => u.map((part) => part * factor);

/** A row vector times a matrix of rows. */
const times = (vector, rows) => rows.map((row, n) => scaled(row, vector[n])).reduce(plus);

function inverseOf(rows) {
  const [a, b, c] = rows;
  const volume = dot(a, cross(b, c));
  const columns = [cross(b, c), cross(c, a), cross(a, b)].map((column) => scaled(column, 1 / volume));
  return [0, 1, 2].map((row) => columns.map((column) => column[row]));
}

/**
 * The cell to draw: `basis` (rows) and `origin` in the vectors of the given cell, the same as `edges` and `corner` in
 * Angstrom, and the `view` of it.
 */
function cellOf(scene, conventional = false) {
  const lattice = rowsOf(scene.lattice, 3);
  const other = conventional ? scene.conventional : null;
  const basis = other ? rowsOf(other.basis, 3) : [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
  const origin = other ? other.origin : [0, 0, 0];
  const edges = basis.map((row) => times(row, lattice));
  return { basis, origin, edges, corner: times(origin, lattice), view: (other || scene).view, conventional: !!other };
}

/** All atoms in a cell and on its faces: number, place in Angstrom, fractions of the cell, and which of which cell. */
function atomsIn(scene, cell) {
  const lattice = rowsOf(scene.lattice, 3);
  const inverse = inverseOf(cell.basis);
  const ends = [-BOUNDARY, 1 + BOUNDARY];
  const corners = [0, 1, 2, 3, 4, 5, 6, 7].map((n) =>
    plus(times([ends[n & 1], ends[(n >> 1) & 1], ends[n >> 2]], cell.basis), cell.origin));
  const reach = [0, 1, 2].map((axis) => {
    const along = corners.map((corner) => corner[axis]);
    // the atoms that are told stand from -BOUNDARY to 1
    const [low, high] = [Math.ceil(Math.min(...along) - 1), Math.floor(Math.max(...along) + BOUNDARY)];
    return Array.from({ length: high - low + 1 }, (_, n) => low + n);
  });
  const atoms = [];
  rowsOf(scene.coords, 3).forEach((own, atom) => {
    for (const i of reach[0]) for (const j of reach[1]) for (const k of reach[2]) {
      const place = plus(own, [i, j, k]);
      const fractions = times(minus(place, cell.origin), inverse);
      if (!fractions.every((part) => part >= -BOUNDARY && part <= 1 + BOUNDARY)) continue;
      atoms.push({ number: scene.numbers[atom], at: times(place, lattice), fractions, atom, shift: [i, j, k] });
    }
  });
  return atoms;
}

/** Of atoms in a cell those that make it up: none that is another one repeated. */
function withoutImages(atoms, cell) {
  const kept = [];
  for (const atom of atoms) {
    const repeats = kept.some((other) => {
      const apart = minus(atom.fractions, other.fractions);
      return Math.hypot(...times(apart.map((part) => part - Math.round(part)), cell.edges)) < SAME;
    });
    if (!repeats) kept.push(atom);
  }
  return kept;
}

/**
 * What a crystal's picture shows: `atoms`, `bonds` (two atoms each), `cut` bonds (the atom they start from and the
 * point outside that they go to), and `polyhedra`, `{ number, corners }`, whose corners are among the atoms.
 */
function drawingOf(scene, cell, withPolyhedra = false) {
  const lattice = rowsOf(scene.lattice, 3);
  const own = rowsOf(scene.coords, 3);
  const neighbours = neighboursOf(scene);
  const atoms = atomsIn(scene, cell);
  const key = (atom, shift) => [atom, ...shift].join();
  const drawn = new Map(atoms.map(({ atom, shift }, place) => [key(atom, shift), place]));
  const within = atoms.length;
  const polyhedra = [];
  for (const centre of withPolyhedra ? atoms.slice() : []) {
    const { number, atom, shift } = centre;
    const ligands = ligandsOf(scene, atom, neighbours);
    if (!drawsPolyhedron(ligands)) continue;
    centre.inside = true;
    polyhedra.push({ number, corners: ligands.map(([other, step]) => {
      const to = plus(shift, step);
      const at = times(plus(own[other], to), lattice);
      if (!drawn.has(key(other, to))) {
        drawn.set(key(other, to), atoms.length);
        atoms.push({ number: scene.numbers[other], at, atom: other, shift: to });
      }
      return at;
    }) });
  }
  const bonds = [], cut = [];
  atoms.forEach(({ atom, shift }, from) => {
    for (const [other, step] of neighbours[atom]) {
      const to = plus(shift, step);
      const end = drawn.get(key(other, to));
      if (end > from) bonds.push([from, end]);
      // corners of polyhedra beyond the cell have no bonds that lead farther out
      else if (end === undefined && from < within) cut.push({ from, to: times(plus(own[other], to), lattice) });
    }
  });
  return { atoms, bonds, cut, polyhedra };
}

/** Of every atom those that it is joined to, each with the whole cells to it. */
function neighboursOf(scene) {
  const neighbours = scene.numbers.map(() => []);
  for (const [first, second, ...step] of rowsOf(scene.bonds, 5)) {
    neighbours[first].push([second, step]);
    neighbours[second].push([first, scaled(step, -1)]);
  }
  return neighbours;
}

/** The neighbours that are anions beside this atom: nonmetals of higher electronegativity. */
function ligandsOf(scene, atom, neighbours) {
  const place = (number) => DATA.elements[number][3];
  return neighbours[atom].filter(([other]) => place(scene.numbers[other]) > place(scene.numbers[atom]));
}

function drawsPolyhedron(ligands) {
  return ligands.length >= LIGANDS[0] && ligands.length <= LIGANDS[1];
}

/** What polyhedra there are, such as "TiO6": by the ligands of each atom, in the order of the atoms. */
function polyhedraNames(scene) {
  const neighbours = neighboursOf(scene);
  const symbol = (number) => DATA.elements[number][0];
  const named = scene.numbers.map((number, atom) => {
    const ligands = ligandsOf(scene, atom, neighbours);
    if (!drawsPolyhedron(ligands)) return "";
    const counts = new Map();
    for (const [other] of ligands) {
      const name = symbol(scene.numbers[other]);
      counts.set(name, (counts.get(name) || 0) + 1);
    }
    return symbol(number) + [...counts].sort().map(([name, count]) => name + (count > 1 ? count : "")).join("");
  });
  return [...new Set(named)].filter(Boolean);
}

/** The faces of the convex polyhedron of points, `{ normal, corners }`; of points in one plane its two sides. */
function facesOf(points) {
  const faces = new Map();
  for (let i = 0; i < points.length; i++) for (let j = i + 1; j < points.length; j++) {
    for (let k = j + 1; k < points.length; k++) {
      const across = cross(minus(points[j], points[i]), minus(points[k], points[i]));
      const area = Math.hypot(...across);
      if (area < 1e-6) continue;
      const normal = scaled(across, 1 / area);
      const heights = points.map((point) => dot(minus(point, points[i]), normal));
      const members = points.filter((_, n) => Math.abs(heights[n]) <= FLAT);
      for (const outwards of [normal, scaled(normal, -1)]) {
        if (heights.some((height) => dot(outwards, normal) * height > FLAT)) continue;
        // of points in one plane each three give both sides, whichever their order
        const side = Math.sign(dot(outwards, [1, 1e-3, 1e-6]));
        const name = [side, ...members.map((each) => points.indexOf(each))].join();
        if (!faces.has(name)) faces.set(name, { normal: outwards, corners: around(members, outwards) });
      }
    }
  }
  return [...faces.values()];
}

/** Points of a plane in their order around their middle, counterclockwise to whom the normal points at. */
function around(points, normal) {
  const middle = scaled(points.reduce(plus), 1 / points.length);
  const right = minus(points[0], middle);
  const up = cross(normal, right);
  const angle = (point) => Math.atan2(dot(minus(point, middle), up), dot(minus(point, middle), right));
  return points.slice().sort((one, other) => angle(one) - angle(other));
}

function cellParameters(cell) {
  const lengths = cell.edges.map((edge) => Math.hypot(...edge));
  const angle = (i, j) => (Math.acos(dot(cell.edges[i], cell.edges[j]) / (lengths[i] * lengths[j])) * 180) / Math.PI;
  return { lengths, angles: [angle(1, 2), angle(0, 2), angle(0, 1)] };
}

function fileText(item, conventional = false) {
  return DATA.kind === "crystals" ? cifText(item, conventional) : sdfText(item);
}

function fileName(item, conventional = false) {
  const stem = item.id.replace(/[^A-Za-z0-9.()+-]/g, "_").slice(0, 120) + (conventional ? "-conventional" : "");
  return stem + (DATA.kind === "crystals" ? ".cif" : ".sdf");
}

/** All atoms of the cell that is shown, in P1. */
function cifText(item, conventional) {
  const cell = cellOf(item.scene, conventional);
  const { lengths, angles } = cellParameters(cell);
  const atoms = atomsIn(item.scene, cell);
  const own = conventional ? withoutImages(atoms, cell) : atoms.filter(({ shift }) => !shift.some(Boolean));
  const sites = own.map(({ number, fractions }, atom) => {
    const symbol = DATA.elements[number][0];
    return `  ${symbol} ${symbol}${atom} 1 ${fractions.map((part) => part.toFixed(6)).join(" ")} 1`;
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
