// One picture of the viewer: a canvas with its title, the marks of the sides, and the pointer's gestures.

import * as draw from "./draw.js";
import { PLANES, down, extent } from "./volumes.js";

const EMPTY = "#0b0d10", MARK = "#e8eaed", CROSS = "rgba(255, 212, 121, .55)";
const MOST_PIXELS = 1400;

/** figure: with data-volume, the name of the volume, data-title, the words above it, and a canvas. */
export class Panel {
  constructor(figure, viewer) {
    this.figure = figure;
    this.name = figure.dataset.volume;
    this.title = figure.dataset.title;
    this.canvas = figure.querySelector("canvas");
    this.viewer = viewer;
    this.context = this.canvas.getContext("2d");
    this.seen = true;
    listen(this, viewer);
  }

  get group() {
    return this.viewer.groupOf(this.name);
  }

  get volume() {
    return this.viewer.volumes.get(this.name);
  }

  /** How mm of the plane become pixels of the canvas. */
  place() {
    const { frame } = this.viewer.volumes, { zoom, pan } = this.viewer.state;
    const plane = PLANES[this.viewer.state.plane];
    const width = extent(frame, plane.across), height = extent(frame, plane.down);
    const scale = Math.min(this.canvas.width / width, this.canvas.height / height) * zoom;
    return {
      plane, scale,
      left: this.canvas.width / 2 - (width / 2 - pan[0] - frame.spacing_mm[plane.across] / 2) * scale,
      top: this.canvas.height / 2 - (height / 2 - pan[1] - frame.spacing_mm[plane.down] / 2) * scale,
    };
  }

  /** The canvas gets the shape of the plane and the resolution of the screen. */
  fit() {
    const { frame } = this.viewer.volumes, plane = PLANES[this.viewer.state.plane];
    const width = this.canvas.clientWidth, ratio = extent(frame, plane.down) / extent(frame, plane.across);
    this.canvas.style.aspectRatio = `1 / ${ratio}`;
    const pixels = Math.min(MOST_PIXELS, Math.round(width * devicePixelRatio));
    if (pixels < 1) return;
    this.canvas.width = pixels;
    this.canvas.height = Math.round(pixels * ratio);
  }

  /** In words always, in pixels when it is in sight. */
  show() {
    const { state } = this.viewer, plane = PLANES[state.plane], mm = state.at[plane.scroll];
    this.#describe(plane, mm, this.volume.slice(plane, mm) !== null);
    if (this.seen) this.draw();
  }

  draw() {
    const { context, canvas, viewer, volume } = this, { state, volumes } = viewer;
    const place = this.place(), { plane } = place, mm = state.at[plane.scroll];
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = EMPTY;
    context.fillRect(0, 0, canvas.width, canvas.height);
    const slice = volume.slice(plane, mm);
    if (slice !== null) {
      this.#into(place, volume.box(plane, volumes.frame));
      context.drawImage(this.#pixels(volume, slice, plane, mm), 0, 0);
    }
    for (const { name, colourOf } of viewer.outlined()) this.#outline(place, volumes.get(name), colourOf, mm);
    context.setTransform(1, 0, 0, 1, 0, 0);
    if (state.cross) this.#cross(place);
    this.#marks(plane.marks);
  }

  #into({ scale, left, top }, box) {
    this.context.setTransform(box.pixelWidth * scale, 0, 0, box.pixelHeight * scale, left + box.left * scale, top + box.top * scale);
  }

  #pixels(volume, slice, plane, mm) {
    const { state, volumes } = this.viewer;
    if (volume.missing === null) return draw.grey(this.name, slice, draw.greys(volume, this.viewer.windowOf(volume)));
    const below = volumes.get("followup");
    const under = below.slice(plane, mm);
    const faint = draw.faint(below, this.viewer.windowOf(below));
    return draw.change(this.name, slice, volume.missing, state.underlay ? under : null, faint);
  }

  #outline(place, labels, colourOf, mm) {
    const slice = labels === null ? null : labels.slice(place.plane, mm);
    if (slice === null) return;
    const { context } = this, box = labels.box(place.plane, this.viewer.volumes.frame);
    const paths = this.viewer.outlinePaths(labels.name, place.plane, mm, slice, colourOf);
    for (const [colour, path] of paths) {
      this.#into(place, box);
      const scaled = new Path2D();
      scaled.addPath(path, context.getTransform());
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.lineWidth = Math.max(1, this.canvas.width / 330);
      context.strokeStyle = colour;
      context.stroke(scaled);
    }
  }

  #cross({ plane, scale, left, top }) {
    const { frame } = this.viewer.volumes, { at } = this.viewer.state, { context, canvas } = this;
    const x = left + at[plane.across] * scale, y = top + down(plane, frame, at[plane.down]) * scale;
    const gap = canvas.width / 30;
    context.strokeStyle = CROSS;
    context.lineWidth = Math.max(1, canvas.width / 500);
    context.beginPath();
    for (const [x0, y0, x1, y1] of [[0, y, x - gap, y], [x + gap, y, canvas.width, y], [x, 0, x, y - gap], [x, y + gap, x, canvas.height]]) {
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
    }
    context.stroke();
  }

  #marks(marks) {
    const { context, canvas } = this, size = Math.max(12, canvas.width / 24), edge = size * 0.35;
    context.font = `600 ${size}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    context.fillStyle = MARK;
    context.strokeStyle = EMPTY;
    context.lineWidth = size / 5;
    const put = (text, x, y, align) => {
      context.textAlign = align;
      context.strokeText(text, x, y);
      context.fillText(text, x, y);
    };
    put(marks.left, edge, canvas.height / 2, "left");
    put(marks.right, canvas.width - edge, canvas.height / 2, "right");
    put(marks.top, canvas.width / 2, edge + size / 2, "center");
    put(marks.bottom, canvas.width / 2, canvas.height - edge - size / 2, "center");
  }

  #describe(plane, mm, there) {
    const { volumes, state } = this.viewer, side = { R: "the patient's right", A: "the front" }[plane.marks.left];
    const number = volumes.get("followup").index(plane.scroll, mm) + 1, of = volumes.frame.shape[plane.scroll];
    const words = there ? "" : ", not loaded yet or outside";
    this.canvas.setAttribute("aria-label", `${this.title}, ${state.plane} slice ${number} of ${of}, ${side} on the left${words}`);
  }

  /** Pixel of the canvas' box on the screen -> mm along [head, back, left]. */
  mmAt(event) {
    const box = this.canvas.getBoundingClientRect(), { plane, scale, left, top } = this.place();
    const { frame } = this.viewer.volumes, at = [...this.viewer.state.at];
    const x = ((event.clientX - box.left) * this.canvas.width) / box.width, y = ((event.clientY - box.top) * this.canvas.height) / box.height;
    at[plane.across] = (x - left) / scale;
    at[plane.down] = down(plane, frame, (y - top) / scale);
    return at;
  }
}

/** Drag: window and level; with Shift or the middle button: pan; wheel: slices; with Ctrl: zoom; click: this point.
 *  Touch: two fingers zoom and move; one moves what is enlarged, otherwise it scrolls the page; a tap is a click. */
function listen(panel, viewer) {
  const { canvas } = panel, fingers = new Map();
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button === 2) return;
    viewer.chooseGroup(panel.group);
    if (event.pointerType === "touch") fingers.set(event.pointerId, event);
    if (fingers.size > 1) drag = null;
    else drag = { x: event.clientX, y: event.clientY, moved: false, pan: event.shiftKey || event.button === 1 || fingers.size > 0 };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (fingers.size === 2 && fingers.has(event.pointerId)) pinch(panel, viewer, fingers, event);
    if (drag === null) return;
    const right = event.clientX - drag.x, below = event.clientY - drag.y;
    if (!drag.moved && Math.hypot(right, below) < 4) return;
    Object.assign(drag, { moved: true, x: event.clientX, y: event.clientY });
    if (drag.pan) viewer.panBy(right, below, panel);
    else viewer.windowBy(right / 250, -below / 250, panel.volume);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (drag !== null && !drag.moved) viewer.goTo(panel.mmAt(event));
    drag = null;
    fingers.delete(event.pointerId);
  });
  canvas.addEventListener("pointercancel", (event) => {
    drag = null;
    fingers.delete(event.pointerId);
  });
  canvas.addEventListener("dblclick", () => viewer.reset());
  canvas.addEventListener("wheel", (event) => viewer.wheel(event), { passive: false });
}

/** One of two fingers has moved: what lay between them stays between them. */
function pinch(panel, viewer, fingers, event) {
  const apart = ([one, other]) => Math.max(1, Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY));
  const middle = ([one, other]) => [(one.clientX + other.clientX) / 2, (one.clientY + other.clientY) / 2];
  const before = [...fingers.values()];
  fingers.set(event.pointerId, event);
  const after = [...fingers.values()];
  const box = panel.canvas.getBoundingClientRect(), [x, y] = middle(before), [newX, newY] = middle(after);
  const pixels = panel.canvas.width / box.width;
  const at = [(x - box.left - box.width / 2) * pixels, (y - box.top - box.height / 2) * pixels];
  viewer.zoomBy(apart(after) / apart(before), at, panel);
  viewer.panBy(newX - x, newY - y, panel);
}
