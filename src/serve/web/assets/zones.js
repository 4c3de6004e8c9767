// Draws and changes polygons over the picture, by mouse, finger, pen or keys. Corners are shares of width and height.

import { t } from "./common.js";

const SVG = "http://www.w3.org/2000/svg";
const NEAR = 14;
const MOST_CORNERS = 64;
const UNDO_STEPS = 50;

const clamp = (value) => Math.min(Math.max(value, 0), 1);
const round = (value) => Math.round(value * 10_000) / 10_000;

export class ZoneEditor {
  #svg;
  #changed;
  #zones = [];
  #history = [];
  #path = null;
  #pointer = null;
  #drag = null;
  #enabled = false;
  selected = -1;

  /** `svg` lies over the picture and has its size; `changed` is called after every change. */
  constructor(svg, changed) {
    this.#svg = svg;
    this.#changed = changed;
    svg.addEventListener("pointerdown", (event) => this.#down(event));
    svg.addEventListener("pointermove", (event) => this.#move(event));
    svg.addEventListener("pointerup", () => this.#up());
    svg.addEventListener("pointercancel", () => this.#up());
    svg.addEventListener("dblclick", () => this.finish());
    svg.addEventListener("focusin", (event) => this.#focused(event));
    addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#show()).observe(svg.parentElement);
  }

  get zones() { return this.#zones; }

  set zones(zones) {
    this.#zones = zones;
    this.#history = [];
    this.#path = null;
    this.selected = -1;
    this.#show();
  }

  get drawing() { return this.#path !== null; }

  get canUndo() { return this.#path?.length > 0 || this.#history.length > 0; }

  enable(on) {
    this.#enabled = on;
    this.#svg.toggleAttribute("hidden", !on);
    this.#path = null;
    this.selected = -1;
    this.#show();
  }

  /** Begins a zone: the next presses set its corners. */
  draw() {
    this.#path = [];
    this.selected = -1;
    this.#update();
  }

  /** Closes the zone being drawn; with fewer than 3 corners it is given up. */
  finish() {
    if (!this.#path) return;
    const path = this.#path;
    this.#path = null;
    if (path.length >= 3) {
      this.#remember();
      this.#zones.push(path);
      this.selected = this.#zones.length - 1;
    }
    this.#update();
  }

  addRectangle() {
    this.#remember();
    // Each a little beside the last, so that none hides another.
    const shift = (this.#zones.length % 6) * 0.05;
    const [left, top, right, bottom] = [0.3 + shift, 0.3 + shift, 0.55 + shift, 0.55 + shift].map(round);
    this.#zones.push([[left, top], [right, top], [right, bottom], [left, bottom]]);
    this.#path = null;
    this.select(this.#zones.length - 1, true);
  }

  remove(index) {
    this.#remember();
    this.#zones.splice(index, 1);
    this.selected = -1;
    this.#update();
  }

  select(index, focus = false) {
    this.selected = index;
    this.#update();
    if (focus) this.#svg.querySelector(`[data-zone="${index}"]`)?.focus();
  }

  undo() {
    if (this.#path) {
      this.#path.pop();
    } else if (this.#history.length) {
      this.#zones = this.#history.pop();
      this.selected = -1;
    }
    this.#update();
  }

  #remember() {
    this.#history.push(structuredClone(this.#zones));
    if (this.#history.length > UNDO_STEPS) this.#history.shift();
  }

  #update() {
    this.#show();
    this.#changed();
  }

  #point(event) {
    const box = this.#svg.getBoundingClientRect();
    return [round(clamp((event.clientX - box.left) / box.width)), round(clamp((event.clientY - box.top) / box.height))];
  }

  #near(a, b) {
    const box = this.#svg.getBoundingClientRect();
    return Math.hypot((a[0] - b[0]) * box.width, (a[1] - b[1]) * box.height) < NEAR;
  }

  #down(event) {
    if (!this.#enabled || event.button > 0) return;
    const point = this.#point(event);
    if (this.#path) {
      event.preventDefault();
      const last = this.#path.at(-1);
      if (this.#path.length >= 3 && this.#near(point, this.#path[0])) this.finish();
      // The second press of a double click is not another corner.
      else if (!last || !this.#near(point, last)) {
        this.#path.push(point);
        if (this.#path.length >= MOST_CORNERS) this.finish();
      }
      this.#pointer = null;
      this.#update();
      return;
    }
    const { zone, corner, middle } = event.target.dataset;
    if (zone === undefined) {
      this.select(-1);
      return;
    }
    event.preventDefault();
    const index = Number(zone);
    const before = structuredClone(this.#zones);
    let grabbed = corner === undefined ? null : Number(corner);
    if (middle !== undefined) {
      grabbed = Number(middle) + 1;
      this.#zones[index].splice(grabbed, 0, point);
    }
    this.#drag = { index, corner: grabbed, from: point, start: structuredClone(this.#zones[index]), before, moved: middle !== undefined };
    this.#svg.setPointerCapture(event.pointerId);
    this.select(index, grabbed === null);
  }

  #move(event) {
    const point = this.#point(event);
    if (this.#path) {
      this.#pointer = event.pointerType === "touch" ? null : point;
      this.#show();
      return;
    }
    if (!this.#drag) return;
    const { index, corner, from, start } = this.#drag;
    const by = [point[0] - from[0], point[1] - from[1]];
    if (!this.#drag.moved && Math.hypot(...by) === 0) return;
    this.#drag.moved = true;
    this.#zones[index] = corner === null ? shifted(start, by) : start.map((old, at) => (at === corner ? point : old));
    this.#update();
  }

  #up() {
    if (this.#drag?.moved) {
      this.#history.push(this.#drag.before);
      this.#drag = null;
      this.#update();
    }
    this.#drag = null;
  }

  #focused(event) {
    const { zone } = event.target.dataset;
    if (zone !== undefined && Number(zone) !== this.selected) {
      const { corner } = event.target.dataset;
      this.select(Number(zone));
      this.#focus(Number(zone), corner);
    }
  }

  #focus(zone, corner) {
    const which = corner === undefined ? ":not([data-corner])" : `[data-corner="${corner}"]`;
    this.#svg.querySelector(`[data-zone="${zone}"]${which}:not([data-middle])`)?.focus();
  }

  #key(event) {
    if (!this.#enabled) return;
    if (this.#path) {
      if (event.key === "Escape") {
        this.#path = null;
        this.#update();
      } else if (event.key === "Enter" && !event.target.closest?.("button, input, a")) this.finish();
      return;
    }
    const { zone, corner } = this.#svg.contains(event.target) ? event.target.dataset : {};
    if (zone === undefined) return;
    const index = Number(zone);
    const step = event.shiftKey ? 0.05 : 0.005;
    const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (by) {
      event.preventDefault();
      this.#remember();
      const old = this.#zones[index];
      this.#zones[index] = corner === undefined ? shifted(old, by)
        : old.map((point, at) => (at === Number(corner) ? [round(clamp(point[0] + by[0])), round(clamp(point[1] + by[1]))] : point));
      this.#update();
      this.#focus(index, corner);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      if (corner !== undefined && this.#zones[index].length > 3) {
        this.#remember();
        this.#zones[index].splice(Number(corner), 1);
        this.#update();
        this.#focus(index);
      } else this.remove(index);
    } else if (event.key === "Escape") this.select(-1);
  }

  #show() {
    // What has the focus keeps it: the elements are made anew.
    const { zone, corner } = this.#svg.contains(document.activeElement) ? document.activeElement.dataset : {};
    const { width, height } = this.#svg.parentElement.getBoundingClientRect();
    this.#svg.setAttribute("viewBox", `0 0 ${width || 1} ${height || 1}`);
    this.#svg.classList.toggle("drawing", this.drawing);
    const at = ([x, y]) => [x * width, y * height];
    const points = (polygon) => polygon.map((point) => at(point).join(",")).join(" ");
    const parts = [];
    const add = (name, attributes) => {
      const element = document.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      parts.push(element);
    };
    const circle = (kind, point, radius, more) => {
      const [cx, cy] = at(point);
      add("circle", { class: kind, cx, cy, r: radius, ...more });
    };
    this.#zones.forEach((polygon, index) => {
      const chosen = index === this.selected;
      add("polygon", {
        class: chosen ? "zone selected" : "zone", points: points(polygon), "data-zone": index, tabindex: 0, role: "button",
        "aria-label": t("zone", { number: index + 1 }),
      });
      if (!chosen || this.drawing) return;
      if (polygon.length < MOST_CORNERS) {
        polygon.forEach((point, corner) => {
          const next = polygon[(corner + 1) % polygon.length];
          const middle = [(point[0] + next[0]) / 2, (point[1] + next[1]) / 2];
          circle("middle", middle, 5, { "data-zone": index, "data-middle": corner });
        });
      }
      polygon.forEach((point, corner) => circle("corner", point, 8, {
        "data-zone": index, "data-corner": corner, tabindex: 0, role: "button",
        "aria-label": t("zone-corner", { number: index + 1, corner: corner + 1 }),
      }));
    });
    if (this.#path) {
      const line = this.#pointer && this.#path.length ? [...this.#path, this.#pointer] : this.#path;
      add("polyline", { class: "zone selected open", points: points(line) });
      this.#path.forEach((point, corner) => circle(corner ? "corner" : "corner first", point, corner ? 6 : 9, {}));
    }
    this.#svg.replaceChildren(...parts);
    if (zone !== undefined) this.#focus(zone, corner);
  }
}

/** `polygon` moved as far as it stays within the picture. */
function shifted(polygon, [x, y]) {
  const within = (by, axis) => {
    const values = polygon.map((point) => point[axis]);
    return Math.min(Math.max(by, -Math.min(...values)), 1 - Math.max(...values));
  };
  const [dx, dy] = [within(x, 0), within(y, 1)];
  return polygon.map(([px, py]) => [round(px + dx), round(py + dy)]);
}
