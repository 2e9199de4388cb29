// Slices in, pixels and outlines on a canvas out. Nothing here knows of requests or keys.

export const LIMIT_PERCENT = 30;
const STOPS = [
  [0, 0xb9, 0xe0, 0xff], [0.2, 0x3b, 0x8f, 0xe8], [0.36, 0x15, 0x3a, 0x66], [0.5, 5, 6, 8],
  [0.64, 0x6b, 0x2c, 0x0c], [0.8, 0xec, 0x7a, 0x1c], [1, 0xff, 0xf2, 0xa6],
];
const UNDERLAY = 0.45; // of the follow-up's brightness, where nothing was measured

const rgba = (red, green, blue) => (255 << 24) | (blue << 16) | (green << 8) | red;

function changeColour(share) {
  const next = STOPS.findIndex(([at]) => at >= share);
  if (next <= 0) return rgba(...STOPS[next < 0 ? STOPS.length - 1 : 0].slice(1));
  const [before, after] = [STOPS[next - 1], STOPS[next]];
  const part = (share - before[0]) / (after[0] - before[0]);
  return rgba(...[1, 2, 3].map((n) => Math.round(before[n] + part * (after[n] - before[n]))));
}

/** Percent change as stored in an int8 (index: value + 128) -> colour. */
export const CHANGE_COLOURS = Uint32Array.from({ length: 256 }, (_, n) =>
  changeColour(Math.min(1, Math.max(0, 0.5 + (n - 128) / (2 * LIMIT_PERCENT)))),
);

/** Stored value -> grey, for one window in the unit of the volume. */
export function greys(volume, [low, high], brightness = 1) {
  const colours = new Uint32Array(256);
  for (let n = 0; n < 256; n++) {
    const shade = Math.round(255 * brightness * Math.min(1, Math.max(0, (n * volume.step - low) / (high - low))));
    colours[n] = rgba(shade, shade, shade);
  }
  return colours;
}

function sheet(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  return { canvas, context, image, pixels: new Uint32Array(image.data.buffer) };
}

const sheets = new Map();
function sheetFor(key, width, height) {
  const name = `${key} ${width} ${height}`;
  if (!sheets.has(name)) sheets.set(name, sheet(width, height));
  return sheets.get(name);
}

/** A grey slice as a small canvas, one pixel for each voxel. */
export function grey(key, slice, colours) {
  const { canvas, context, image, pixels } = sheetFor(key, slice.width, slice.height);
  const { data, right, below } = slice;
  for (let row = 0, out = 0, line = slice.first; row < slice.height; row++, line += below) {
    for (let column = 0, at = line; column < slice.width; column++, at += right) pixels[out++] = colours[data[at]];
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The difference in its colours; where nothing was measured, the follow-up in faint grey. */
export function change(key, slice, missing, under, underColours) {
  const { canvas, context, image, pixels } = sheetFor(key, slice.width, slice.height);
  const { data, right, below } = slice;
  for (let row = 0, out = 0, line = slice.first; row < slice.height; row++, line += below) {
    for (let column = 0, at = line; column < slice.width; column++, at += right, out++) {
      const value = data[at];
      if (value !== missing) pixels[out] = CHANGE_COLOURS[value + 128];
      else pixels[out] = under === null ? rgba(0, 0, 0) : underColours[under.data[under.first + row * under.below + column * under.right]];
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

export const faint = (volume, window) => greys(volume, window, UNDERLAY);

/** Borders of labels as one path for each colour, in pixels of the slice. `colourOf`: label -> colour or undefined. */
export function outlines(slice, colourOf) {
  const { data, right, below, width, height } = slice;
  const paths = new Map();
  const path = (colour) => paths.get(colour) ?? paths.set(colour, new Path2D()).get(colour);
  for (let row = 0, line = slice.first; row < height; row++, line += below) {
    for (let column = 0, at = line; column < width; column++, at += right) {
      const here = data[at];
      const beside = column + 1 < width ? data[at + right] : 0;
      const under = row + 1 < height ? data[at + below] : 0;
      if (here !== beside) {
        const colour = colourOf[here] ?? colourOf[beside];
        if (colour !== undefined) {
          path(colour).moveTo(column + 1, row);
          path(colour).lineTo(column + 1, row + 1);
        }
      }
      if (here !== under) {
        const colour = colourOf[here] ?? colourOf[under];
        if (colour !== undefined) {
          path(colour).moveTo(column, row + 1);
          path(colour).lineTo(column + 1, row + 1);
        }
      }
    }
  }
  return paths;
}
