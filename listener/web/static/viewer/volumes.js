// The index of a study's volumes in, single slices and whole volumes out. Positions are mm from the first voxel of the
// frame along [head, back, left].

const ARRAYS = { uint8: Uint8Array, int8: Int8Array };
export const HEAD = 0, BACK = 1, LEFT = 2;

/** The planes: which axis is scrolled, and which run down and across. `up`: the first row is the highest value. */
export const PLANES = {
  axial: { scroll: HEAD, down: BACK, across: LEFT, up: false, marks: { left: "R", right: "L", top: "A", bottom: "P" } },
  coronal: { scroll: BACK, down: HEAD, across: LEFT, up: true, marks: { left: "R", right: "L", top: "H", bottom: "F" } },
  sagittal: { scroll: LEFT, down: HEAD, across: BACK, up: true, marks: { left: "A", right: "P", top: "H", bottom: "F" } },
};

/** One volume: `voxels` is null until all of it is there; `slices` holds the axial slices that came first. */
export class Volume {
  constructor(row) {
    Object.assign(this, row);
    this.voxels = null;
    this.slices = new Map();
  }

  /** Position in mm -> index along an axis; -1 outside. */
  index(axis, mm) {
    const found = Math.round((mm - this.start_mm[axis]) / this.spacing_mm[axis]);
    return found >= 0 && found < this.shape[axis] ? found : -1;
  }

  /** A slice as {data, width, height, stride...}; null: not there (yet). Rows run downwards on the screen. */
  slice(plane, mm) {
    const at = this.index(plane.scroll, mm);
    if (at < 0) return null;
    const [, rows, columns] = this.shape;
    const width = this.shape[plane.across], height = this.shape[plane.down];
    if (this.voxels === null) {
      const data = plane.scroll === HEAD ? this.slices.get(at) : undefined;
      return data === undefined ? null : { data, first: 0, right: 1, below: columns, width, height };
    }
    const strides = [rows * columns, columns, 1];
    let first = at * strides[plane.scroll], below = strides[plane.down];
    if (plane.up) {
      first += (height - 1) * below;
      below = -below;
    }
    return { data: this.voxels, first, right: strides[plane.across], below, width, height };
  }

  /** Where the slice lies on the screen, mm of its first pixel's outer corner and of one pixel. */
  box(plane, frame) {
    const width = this.spacing_mm[plane.across], height = this.spacing_mm[plane.down];
    const left = this.start_mm[plane.across] - width / 2, rows = this.shape[plane.down];
    let top = this.start_mm[plane.down] - height / 2;
    if (plane.up) top = down(plane, frame, top + rows * height);
    return { left, top, pixelWidth: width, pixelHeight: height };
  }
}

/** Length of the frame along an axis, mm. */
export function extent(frame, axis) {
  return frame.shape[axis] * frame.spacing_mm[axis];
}

/** Position along the axis that runs down -> mm downwards from the middle of the frame's first row; its own inverse. */
export function down(plane, frame, mm) {
  return plane.up ? (frame.shape[plane.down] - 1) * frame.spacing_mm[plane.down] - mm : mm;
}

async function bytes(url, type) {
  const answer = await fetch(url, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return new ARRAYS[type](await answer.arrayBuffer());
}

/** All volumes of one decision. `address`: path of the viewer's API for the study. */
export class Volumes {
  constructor(index, address) {
    this.frame = index.frame;
    this.address = `${address}/${index.version}`;
    this.all = new Map(index.volumes.map((row) => [row.name, new Volume(row)]));
  }

  get(name) {
    return this.all.get(name) ?? null;
  }

  /** The axial slice at a position, of the named volumes at once. */
  async loadSlices(names, mm) {
    const wanted = names.map((name) => this.get(name)).filter((one) => one !== null && one.voxels === null);
    await Promise.all(
      wanted.map(async (one) => {
        const at = one.index(HEAD, mm);
        if (at < 0 || one.slices.has(at)) return;
        one.slices.set(at, await bytes(`${this.address}/${one.name}/axial/${at}`, one.type));
      }),
    );
  }

  /** All voxels of one volume. */
  async load(name) {
    const one = this.get(name);
    if (one === null || one.voxels !== null) return;
    const voxels = await bytes(`${this.address}/${name}`, one.type);
    if (voxels.length !== one.shape[0] * one.shape[1] * one.shape[2]) throw new Error("cut short");
    one.voxels = voxels;
    one.slices.clear();
  }
}
