"use strict";
// Pictures in space. Browsers allow few WebGL contexts, so there are two in all: one out of sight that paints the
// small pictures, one in the dialog.

const SPHERE = 0.45; // drawn radius in covalent radii: small enough to see through the cell
const STICK = 0.1; // Angstrom
const EDGE = { radius: 0.03, color: "#8b929b" };
const GLASS = 0.75; // opacity of polyhedra
const INSIDE = 0.5; // of its radius is left to an atom in a polyhedron, which else would fill it
const BEYOND = 1; // Angstrom from the end of an axis to its letter
const FILL = 0.92; // part of the window that a structure takes
const AXES = ["#c0392b", "#2e8b57", "#2f6fb3"]; // a, b, c

class Viewer {
  constructor(element) {
    // Twice the pixels smooth edges as well as 3Dmol's antialiasing does, at a quarter of the cost without a GPU.
    const clear = { backgroundAlpha: 0, backgroundColor: "black" };
    const settings = { ...clear, orthographic: true, disableFog: true, antialias: false, upscale: true };
    this.element = element;
    this.screen = $3Dmol.createViewer(element, settings);
  }

  /**
   * Draw a scene; large: with the bonds that leave the cell, the letters of its axes, and room to turn. Of a crystal
   * the conventional cell in place of its own, if there is one, and polyhedra around the cations, if that is wanted.
   */
  show(scene, large = false, { conventional = false, polyhedra = false } = {}) {
    this.screen.removeAllModels();
    this.screen.removeAllShapes();
    this.screen.removeAllLabels();
    const cell = scene.lattice ? cellOf(scene, conventional) : null;
    const drawing = cell ? drawingOf(scene, cell, polyhedra) : moleculeDrawing(scene);
    this.clear(drawing.polyhedra.length > 0);
    const atoms = ballsAndSticks(drawing, large);
    if (cell) atoms.push(...cellEdges(cell, large, atoms.length));
    this.screen.addModel().addAtoms(atoms);
    drawing.polyhedra.forEach((polyhedron) => this.addPolyhedron(polyhedron));
    if (cell && large) this.nameAxes(cell);
    Object.assign(this, { view: cell ? cell.view : scene.view, atoms, large });
    this.reset();
  }

  /** Without a background of its own; behind glass with that of the page, or the glass is darkened by nothing. */
  clear(behindGlass) {
    if (behindGlass) this.screen.setBackgroundColor(getComputedStyle(this.element).backgroundColor, 1);
    else this.screen.setBackgroundColor("black", 0); // a change of size makes it opaque
  }

  /** In the colour of its middle; 3Dmol shades a face by the normals of its corners, so each face has its own. */
  addPolyhedron({ number, corners }) {
    const [vertexArr, normalArr, faceArr] = [[], [], []];
    for (const face of facesOf(corners)) {
      const first = vertexArr.length;
      vertexArr.push(...face.corners.map(vector));
      normalArr.push(...face.corners.map(() => vector(face.normal)));
      for (let n = 2; n < face.corners.length; n++) faceArr.push(first, first + n - 1, first + n);
    }
    this.screen.addCustom({ vertexArr, normalArr, faceArr, color: DATA.elements[number][1], opacity: GLASS });
  }

  nameAxes(cell) {
    AXES.forEach((fontColor, axis) => {
      const stretch = 1 + BEYOND / Math.hypot(...cell.edges[axis]);
      const position = vector(plus(cell.corner, scaled(cell.edges[axis], stretch)));
      const letter = { fontColor, font: "sans-serif", fontSize: 17, bold: true, showBackground: false };
      this.screen.addLabel("abc"[axis], { position, alignment: "center", ...letter });
    });
  }

  reset() {
    this.screen.setView([0, 0, 0, 0, ...this.view]);
    this.screen.zoomTo();
    this.screen.render();
    this.screen.zoom(this.room());
    this.screen.render();
  }

  /** How many times larger the picture may be: as it stands, or (large) however it is turned. */
  room() {
    const half = [this.element.clientWidth / 2, this.element.clientHeight / 2];
    const [zero, ...units] = this.screen.modelToScreen([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]].map(vector));
    const moved = units.flatMap(({ x, y }) => [x - zero.x, y - zero.y]);
    const scale = Math.hypot(...moved) / Math.SQRT2; // pixels an Angstrom: two rows of a rotation matrix times it
    const middle = vector(this.screen.getView().slice(0, 3).map((part) => -part));
    const [centre] = this.screen.modelToScreen([middle]);
    const places = this.screen.modelToScreen(this.atoms);
    const taken = this.atoms.map((atom, place) => {
      const reach = (atom.style.sphere?.radius || 0) * scale;
      const turned = Math.hypot(atom.x - middle.x, atom.y - middle.y, atom.z - middle.z) * scale + reach;
      if (this.large) return turned / Math.min(...half);
      const { x, y } = places[place];
      return Math.max((Math.abs(x - centre.x) + reach) / half[0], (Math.abs(y - centre.y) + reach) / half[1]);
    });
    return FILL / Math.max(...taken, 0.05);
  }

  turn(degrees, axis) {
    this.screen.rotate(degrees, `v${axis}`);
  }
}

function vector([x, y, z]) {
  return { x, y, z };
}

/** An atom of 3Dmol's model; without a radius only the end of a stick. */
function modelAtom(at, elem, stick, radius = 0) {
  const style = radius ? { stick, sphere: { radius, color: stick.color } } : { stick };
  return { elem, ...vector(at), style, bonds: [], bondOrder: [] };
}

/** A molecule as `drawingOf` gives a crystal; its bonds have orders. */
function moleculeDrawing(scene) {
  const atoms = rowsOf(scene.coords, 3).map((at, atom) => ({ number: scene.numbers[atom], at }));
  return { atoms, bonds: [...rowsOf(scene.bonds, 3), ...rowsOf(scene.near || [], 2)], cut: [], polyhedra: [] };
}

function ballsAndSticks(drawing, large) {
  const atoms = drawing.atoms.map(({ number, at, inside }) => {
    const [symbol, color, radius] = DATA.elements[number];
    return modelAtom(at, symbol, { radius: STICK, color }, SPHERE * radius * (inside ? INSIDE : 1));
  });
  const join = (first, second, order = 1) => {
    for (const [one, other] of [[first, second], [second, first]]) {
      atoms[one].bonds.push(other);
      atoms[one].bondOrder.push(order);
    }
  };
  drawing.bonds.forEach((bond) => join(...bond));
  for (const { from, to } of large ? drawing.cut : []) {
    const start = atoms[from];
    const middle = ["x", "y", "z"].map((axis, place) => (start[axis] + to[place]) / 2);
    atoms.push(modelAtom(middle, start.elem, start.style.stick, STICK)); // a round end
    join(from, atoms.length - 1);
  }
  return atoms;
}

/** The twelve edges of the cell as sticks; those of the axes may be in colour. `next` is the first free place. */
function cellEdges(cell, coloured, next) {
  const ends = [];
  for (const bits of [0, 1, 2, 3, 4, 5, 6, 7]) {
    const start = [bits & 1, (bits >> 1) & 1, bits >> 2];
    for (const axis of [0, 1, 2].filter((each) => !start[each])) {
      const stop = start.map((part, each) => (each === axis ? 1 : part));
      const look = coloured && bits === 0 ? { ...EDGE, color: AXES[axis] } : EDGE;
      const pair = [start, stop].map((at) => modelAtom(plus(cell.corner, times(at, cell.edges)), "X", look));
      pair.forEach((end, place) => {
        end.bonds.push(next + ends.length + 1 - place);
        end.bondOrder.push(1);
      });
      ends.push(...pair);
    }
  }
  return ends;
}

/** The first viewer that is made tells whether this browser can draw. */
function viewerOn(element) {
  try {
    const viewer = new Viewer(element);
    return viewer.screen ? viewer : null;
  } catch {
    return null;
  }
}

// Small pictures: drawn one at a time, when a card comes near the window.

const THUMBNAILS = { waiting: [], busy: false, viewer: undefined };

const nearWindow = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    nearWindow.unobserve(target);
    THUMBNAILS.waiting.push(target);
  }
  if (!THUMBNAILS.busy) paintNext();
}, { rootMargin: "200px" });

function paintLater(picture, item) {
  picture.item = item;
  nearWindow.observe(picture);
}

function paintNext() {
  const picture = THUMBNAILS.waiting.shift();
  THUMBNAILS.busy = picture !== undefined;
  if (!THUMBNAILS.busy) return;
  if (picture.isConnected) picture.replaceChildren(thumbnailOf(picture.item));
  setTimeout(paintNext); // the page answers between two pictures
}

function thumbnailOf(item) {
  if (THUMBNAILS.viewer === undefined) {
    const hidden = make("div", { id: "thumbnails", "aria-hidden": "true" });
    document.body.append(hidden);
    THUMBNAILS.viewer = viewerOn(hidden);
  }
  if (!THUMBNAILS.viewer) return "no picture: this browser has no WebGL";
  if (!item.picture) {
    THUMBNAILS.viewer.show(item.scene);
    item.picture = THUMBNAILS.viewer.screen.pngURI();
  }
  return make("img", { src: item.picture, alt: "" });
}
