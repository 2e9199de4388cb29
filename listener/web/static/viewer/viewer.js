// The viewer of a study page: its state, its keys and controls, and the links from the numbers to their slices.

import { onKey, say } from "/static/page.js";
import * as draw from "./draw.js";
import { Panel } from "./panel.js";
import { HEAD, PLANES, Volumes, extent } from "./volumes.js";

const REGIONS = "regions";
const MOST_ZOOM = 8;
const GROUPS = { // volumes with one window
  followup: "scan", baseline: "scan", baseline_dwi: "dwi", baseline_adc: "adc",
  t1: "contrast", t1_gd: "contrast", baseline_t1: "contrast", baseline_t1_gd: "contrast",
};
const GROUP_WORDS = { scan: "FLAIR", dwi: "diffusion-weighted images", adc: "ADC", contrast: "T1" };
const MOVE = 0.1; // of what is seen, with one key

class Viewer {
  constructor(root, index) {
    this.root = root;
    this.index = index;
    this.volumes = new Volumes(index, root.dataset.address);
    this.state = {
      plane: "axial", at: [...index.start_mm], zoom: 1, pan: [0, 0], windows: new Map(),
      shown: { regions: true, masks: true, all: false }, underlay: true, cross: false,
    };
    this.paths = new Map();
    this.waiting = false;
    this.panels = [...root.querySelectorAll("figure[data-volume]")]
      .filter((figure) => this.volumes.get(figure.dataset.volume) !== null)
      .map((figure) => new Panel(figure, this));
    this.labels = this.#labels();
    this.places = this.#places();
    this.stop = -1;
    this.groups = [...new Set(this.panels.filter(({ volume }) => volume.window !== null).map(({ name }) => groupOf(name)))];
    this.group = this.groups[0];
    new ResizeObserver(() => this.refit()).observe(root.querySelector(".panels"));
    this.#watch();
  }

  /** Colours by label: those regions with a colour of their own, all regions, and each mask. */
  #labels() {
    const named = {}, all = {};
    for (const { label, colour } of this.index.regions ?? []) {
      if (colour) named[label] = colour;
      all[label] = colour ?? "#8b95a1";
    }
    const masks = Object.entries(this.index.masks ?? {}).filter(([, mask]) => mask.colour);
    return { named, all, masks: masks.map(([name, { colour }]) => ({ name, colourOf: colourOfAny(colour) })) };
  }

  /** A picture that is scrolled out of sight is drawn when it comes back. */
  #watch() {
    const seen = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.panels.find(({ canvas }) => canvas === target).seen = isIntersecting;
      this.redraw();
    });
    for (const { canvas } of this.panels) seen.observe(canvas);
  }

  /** Every button of the page that leads to a slice, in the order of the page. */
  #places() {
    return [...document.querySelectorAll("button[data-place]")];
  }

  outlined() {
    const { shown } = this.state;
    const regions = shown.all ? this.labels.all : this.labels.named;
    return [
      ...(shown.regions || shown.all ? [{ name: REGIONS, colourOf: regions }] : []),
      ...(shown.masks ? this.labels.masks : []),
    ];
  }

  /** Outlines of one slice, computed once for all panels. */
  outlinePaths(name, plane, mm, slice, colourOf) {
    const key = `${name} ${this.state.plane} ${mm} ${this.state.shown.all} ${slice.data.length}`;
    if (!this.paths.has(key)) {
      if (this.paths.size > 12) this.paths.clear();
      this.paths.set(key, draw.outlines(slice, colourOf));
    }
    return this.paths.get(key);
  }

  windowOf(volume) {
    return this.state.windows.get(groupOf(volume.name)) ?? volume.window;
  }

  /** Wider and brighter by shares of the present width. */
  windowBy(wider, brighter, volume) {
    if (volume.window === null) return;
    const [low, high] = this.windowOf(volume), width = high - low;
    const middle = (low + high) / 2 - brighter * width, half = Math.max(volume.step * 2, (width * (1 + wider)) / 2);
    this.state.windows.set(groupOf(volume.name), [middle - half, middle + half]);
    this.redraw();
  }

  /** Pictures whose window the keys change: those that were pointed at last, or the next ones. */
  chooseGroup(group) {
    if (!this.groups.includes(group)) return;
    this.group = group;
    this.redraw();
  }

  groupOf(name) {
    return groupOf(name);
  }

  nextGroup(step) {
    const { groups } = this;
    this.chooseGroup(groups[(groups.indexOf(this.group) + step + groups.length) % groups.length]);
    this.#chosen()[0].canvas.scrollIntoView({ block: "nearest" });
    say(`Window keys change: ${GROUP_WORDS[this.group]}`);
  }

  #chosen() {
    return this.panels.filter(({ name }) => groupOf(name) === this.group);
  }

  /** The window of the chosen pictures. */
  windowOfChosen(wider, brighter) {
    this.windowBy(wider, brighter, this.#chosen()[0].volume);
  }

  panBy(right, below, panel) {
    const scale = panel.place().scale * (panel.canvas.clientWidth / panel.canvas.width);
    this.#panTo(this.state.pan[0] + right / scale, this.state.pan[1] + below / scale);
  }

  /** Steps of what is seen towards the right and the bottom; false: all is seen. */
  moveBy(right, below) {
    if (this.state.zoom === 1) return false;
    const [width, height] = this.#extents(), { pan, zoom } = this.state;
    this.#panTo(pan[0] - (right * MOVE * width) / zoom, pan[1] - (below * MOVE * height) / zoom);
    return true;
  }

  #extents() {
    const plane = PLANES[this.state.plane];
    return [extent(this.volumes.frame, plane.across), extent(this.volumes.frame, plane.down)];
  }

  /** The edge of the picture never comes into it: a head cannot be lost. */
  #panTo(...pan) {
    const hidden = (1 - 1 / this.state.zoom) / 2;
    this.state.pan = this.#extents().map((length, axis) => Math.min(hidden * length, Math.max(-hidden * length, pan[axis])));
    this.redraw();
  }

  /** at: the point of a panel's canvas that stays where it is, in its pixels from the middle; the middle itself without. */
  zoomBy(factor, at = [0, 0], panel = this.panels[0]) {
    const before = panel.place().scale;
    this.state.zoom = Math.min(MOST_ZOOM, Math.max(1, this.state.zoom * factor));
    const after = panel.place().scale;
    this.#panTo(...this.state.pan.map((mm, axis) => mm + at[axis] * (1 / after - 1 / before)));
  }

  reset() {
    Object.assign(this.state, { zoom: 1, pan: [0, 0], cross: false });
    this.state.windows.clear();
    this.redraw();
  }

  wheel(event) {
    if (event.ctrlKey) this.zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15);
    else if (!event.shiftKey && Math.abs(event.deltaY) > Math.abs(event.deltaX)) this.scrollBy(event.deltaY < 0 ? 1 : -1);
    else return;
    event.preventDefault();
  }

  /** Slices towards the head, the back or the left. */
  scrollBy(slices) {
    const { frame } = this.volumes, axis = PLANES[this.state.plane].scroll;
    const now = Math.round(this.state.at[axis] / frame.spacing_mm[axis]);
    this.scrollTo(now + slices);
  }

  scrollTo(number) {
    const { frame } = this.volumes, axis = PLANES[this.state.plane].scroll;
    this.state.at[axis] = Math.min(frame.shape[axis] - 1, Math.max(0, number)) * frame.spacing_mm[axis];
    this.redraw();
  }

  goTo(mm) {
    const { frame } = this.volumes;
    this.state.at = mm.map((value, axis) => {
      const spacing = frame.spacing_mm[axis];
      return Math.min(frame.shape[axis] - 1, Math.max(0, Math.round(value / spacing))) * spacing;
    });
    this.state.cross = true;
    this.redraw();
  }

  setPlane(plane) {
    this.state.plane = plane;
    Object.assign(this.state, { zoom: 1, pan: [0, 0] });
    this.refit();
    say(`${plane} slices`);
  }

  toggleCross() {
    this.state.cross = !this.state.cross;
    this.redraw();
  }

  toggle(what) {
    this.state.shown[what] = !this.state.shown[what];
    this.redraw();
  }

  /** The slice of a number or a lesion. */
  jump(button) {
    const place = button.dataset.place.split(" ").map(Number);
    this.stop = this.places.indexOf(button);
    for (const one of this.places) one.toggleAttribute("aria-current", one === button);
    this.goTo(place);
    const { top } = this.panels[0].canvas.getBoundingClientRect();
    if (top < 0 || top > innerHeight / 2) this.root.scrollIntoView({ block: "start" });
    say(`${button.dataset.words ?? button.textContent.trim()}: ${this.state.plane} slice ${this.number()}`);
  }

  jumpBy(step) {
    if (this.places.length === 0) return;
    this.jump(this.places[(this.stop + step + this.places.length) % this.places.length]);
  }

  number() {
    const axis = PLANES[this.state.plane].scroll;
    return Math.round(this.state.at[axis] / this.volumes.frame.spacing_mm[axis]) + 1;
  }

  /** Canvases get the size of the window; that empties them, so all are drawn, also those out of sight. */
  refit() {
    for (const panel of this.panels) {
      panel.fit();
      panel.draw();
    }
    this.draw();
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  draw() {
    for (const panel of this.panels) panel.show();
    this.#showControls();
    this.#fetchMissing();
  }

  #showControls() {
    const { root, state } = this, axis = PLANES[state.plane].scroll, of = this.volumes.frame.shape[axis];
    const slider = root.querySelector("input[name=slice]");
    slider.max = of - 1;
    slider.value = this.number() - 1;
    slider.setAttribute("aria-valuetext", `${this.number()} of ${of}`);
    root.querySelector(".number").textContent = `${this.number()} / ${of}`;
    for (const radio of root.querySelectorAll("input[name=plane]")) radio.checked = radio.value === state.plane;
    for (const box of root.querySelectorAll("input[data-shown]")) box.checked = state.shown[box.dataset.shown];
    for (const { figure, name } of this.panels) figure.classList.toggle("chosen", groupOf(name) === this.group);
    root.querySelector("select[name=group]").value = this.group;
    root.dataset.zoom = state.zoom.toFixed(2);
    root.dataset.pan = state.pan.map((mm) => Math.round(mm)).join(" ");
    root.dataset.group = this.group;
    root.classList.toggle("zoomed", state.zoom > 1);
    root.dataset.slice = this.number();
    root.dataset.plane = state.plane;
  }

  /** Before the volumes are there: the slices of this place alone. */
  #fetchMissing() {
    if (this.state.plane !== "axial" || this.root.dataset.state !== "slice") return;
    const names = this.panels.map((panel) => panel.name), mm = this.state.at[HEAD];
    if (names.every((name) => this.volumes.get(name).slice(PLANES.axial, mm) !== null)) return;
    this.volumes.loadSlices([...names, REGIONS, ...this.labels.masks.map(({ name }) => name)], mm).then(
      () => this.state.at[HEAD] === mm && this.redraw(),
      () => {}, // the volume itself is on its way
    );
  }

  async start() {
    const first = this.panels.filter((panel) => panel.figure.dataset.first !== undefined).map(({ name }) => name);
    const outlined = [REGIONS, ...this.labels.masks.map(({ name }) => name)];
    this.root.hidden = false;
    this.refit();
    await this.volumes.loadSlices([...first, ...outlined], this.state.at[HEAD]);
    this.draw();
    this.root.dataset.state = "slice";
    performance.mark("viewer-first");
    document.querySelector(".still")?.removeAttribute("open");
    await Promise.all([...first, REGIONS].map((name) => this.volumes.load(name)));
    this.draw();
    performance.mark("viewer-all");
    const rest = [...this.labels.masks.map(({ name }) => name), ...this.panels.map(({ name }) => name)];
    for (const name of rest) {
      await this.volumes.load(name);
      this.redraw();
    }
    this.refit();
    this.root.dataset.state = "ready";
  }
}

function groupOf(name) {
  return GROUPS[name] ?? name;
}

function colourOfAny(colour) {
  return Array.from({ length: 256 }, (_, label) => (label ? colour : undefined));
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function addKeys(viewer) {
  const keys = {
    j: () => viewer.scrollBy(-1), k: () => viewer.scrollBy(1), J: () => viewer.scrollBy(-5), K: () => viewer.scrollBy(5),
    1: () => viewer.setPlane("axial"), 2: () => viewer.setPlane("coronal"), 3: () => viewer.setPlane("sagittal"),
    o: () => viewer.toggle("regions"), O: () => viewer.toggle("all"), l: () => viewer.toggle("masks"),
    "+": () => viewer.zoomBy(1.25), "=": () => viewer.zoomBy(1.25), "-": () => viewer.zoomBy(0.8), 0: () => viewer.reset(),
    "[": () => viewer.windowOfChosen(-0.1, 0), "]": () => viewer.windowOfChosen(0.1, 0),
    ",": () => viewer.windowOfChosen(0, -0.05), ".": () => viewer.windowOfChosen(0, 0.05),
    w: () => viewer.nextGroup(1), W: () => viewer.nextGroup(-1),
    e: () => viewer.jumpBy(1), E: () => viewer.jumpBy(-1), x: () => viewer.toggleCross(),
  };
  for (const [key, act] of Object.entries(keys)) onKey(key, act);
  for (const [key, [right, below]] of Object.entries(ARROWS)) {
    onKey(key, (event) => event.shiftKey && viewer.moveBy(right, below));
  }
  viewer.root.querySelector(".panels").addEventListener("keydown", (event) => {
    const steps = { ArrowUp: 1, ArrowDown: -1, PageUp: 5, PageDown: -5 };
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey || !(event.key in steps)) return;
    viewer.scrollBy(steps[event.key]);
    event.preventDefault();
  });
}

function addControls(viewer) {
  const { root } = viewer;
  root.querySelector("input[name=slice]").addEventListener("input", (event) => viewer.scrollTo(Number(event.target.value)));
  for (const radio of root.querySelectorAll("input[name=plane]")) {
    radio.addEventListener("change", () => viewer.setPlane(radio.value));
  }
  for (const box of root.querySelectorAll("input[data-shown]")) {
    box.addEventListener("change", () => viewer.toggle(box.dataset.shown));
  }
  root.querySelector("button[data-reset]").addEventListener("click", () => viewer.reset());
  const select = root.querySelector("select[name=group]");
  select.append(...viewer.groups.map((group) => new Option(GROUP_WORDS[group], group)));
  select.addEventListener("change", () => viewer.chooseGroup(select.value));
  for (const [name, act] of [["window", "windowOfChosen"], ["move", "moveBy"], ["zoom", "zoomBy"]]) {
    for (const button of root.querySelectorAll(`button[data-${name}]`)) {
      button.addEventListener("click", () => viewer[act](...button.dataset[name].split(" ").map(Number)));
    }
  }
  for (const button of viewer.places) {
    button.disabled = false;
    button.addEventListener("click", () => viewer.jump(button));
  }
}

const root = document.getElementById("viewer");
const held = document.getElementById("viewer-index");
if (root !== null && held !== null) {
  const viewer = new Viewer(root, JSON.parse(held.textContent));
  addKeys(viewer);
  addControls(viewer);
  viewer.start().catch((error) => {
    root.dataset.state = "failed";
    root.querySelector(".trouble").hidden = false;
    root.querySelector(".trouble").textContent = `The images cannot be loaded now (${error.message}). The picture below shows the same slices.`;
    document.querySelector(".still")?.setAttribute("open", "");
  });
}
