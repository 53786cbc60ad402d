/**
 * The graph on the page: a canvas that shows a session's picture, moves over it, and can be pointed at.
 */

import { Arrangement } from './arrangement.js';
import { FOLD, Session } from './session.js';
import { paint } from './painter.js';
import { emphasisOf } from './emphasis.js';

const LEAST_ZOOM = 0.02;
const MOST_ZOOM = 4;
const READABLE = 0.8; // zoom from which a first view can be read
const GLIDE_MS = 150;
const REACH = 20; // how far inside what was folded the pointer is at least
const MARGIN = 28; // around a picture that is shown whole

export class GraphView {
  /** @param {Session} session @param {HTMLElement} element */
  constructor(session, element) {
    this.session = session;
    this.element = element;
    this.canvas = document.createElement('canvas');
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'application');
    this.canvas.setAttribute('aria-label', 'Graph. Arrow keys move along edges, Enter folds and unfolds, question mark for help.');
    element.append(this.canvas);
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext('2d', { alpha: false }));
    this.context = context;
    this.arrangement = new Arrangement(session, (text, font) => {
      context.font = font;
      return context.measureText(text).width;
    });
    this.view = { x: 0, y: 0, zoom: 1 };
    this.size = { width: 1, height: 1 };
    this.picture = this.arrangement.picture();
    /** @type {number | null} */ this.hovered = null;
    /** @type {number[]} nodes of a path that was asked for */ this.path = [];
    /** @type {(() => void)[]} called whenever what is in sight has changed */ this.watchers = [];
    /** @type {number | null} where what is folded was pressed, across the canvas */ this.pressedAt = null;
    this.isWaiting = false;
    /** @type {number} a running glide */ this.glide = 0;
    this.emphasis = emphasisOf(this);
    this.#watchSession();
    this.#watchPointer();
    new ResizeObserver(() => this.#resize()).observe(element);
    this.#resize();
    this.home();
  }

  #watchSession() {
    const { session } = this;
    session.watch(['graph'], () => {
      this.path = [];
      this.#arrange();
      this.home();
    });
    session.watch(['view'], () => this.#keeping(this.#middleItem(), () => this.#arrange()));
    session.watch(['folding'], (event) => {
      const { anchor } = event.detail;
      this.#keeping(anchor === ~0 ? this.#middleItem() : anchor, () => this.#arrange());
      if (anchor === ~0 && this.#isSmall()) this.home();
    });
    session.watch(['selection', 'marks', 'theme'], () => this.refresh());
    session.watch(['reveal'], (event) => this.bringIntoView(event.detail.item));
  }

  #arrange() {
    this.picture = this.arrangement.picture();
    this.hovered = null;
    this.refresh();
  }

  /** Work out anew what stands out, and draw. */
  refresh() {
    this.emphasis = emphasisOf(this);
    this.draw();
  }

  /** Draw with the next frame. */
  draw() {
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => {
      this.isWaiting = false;
      this.drawNow();
    });
  }

  drawNow() {
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(this.size.width * scale);
    const height = Math.round(this.size.height * scale);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    paint(this.context, this.picture, this.view, this.size, this.palette, this.emphasis);
    for (const watcher of this.watchers) watcher();
  }

  /** The colours of the theme. */
  get palette() {
    const isDark = this.session.theme === 'dark';
    return {
      ...this.session.program.palettes[this.session.theme],
      into: isDark ? '#39c5cf' : '#0e7490',
      outOf: isDark ? '#f0883e' : '#bc4c00',
      selected: isDark ? '#58a6ff' : '#0969da',
      mark: isDark ? '#d29922' : '#bf8700',
    };
  }

  /** What is in the middle stays there. */
  #resize() {
    const box = this.element.getBoundingClientRect();
    const { view, size } = this;
    this.size = { width: Math.max(box.width, 1), height: Math.max(box.height, 1) };
    const isFirst = size.width === 1;
    if (!isFirst) this.view = { ...view, x: view.x + (size.width - this.size.width) / 2 / view.zoom };
    this.drawNow();
  }

  // Moving

  /** Whether the whole picture can be read at once. */
  #isSmall() {
    const { picture, size } = this;
    return Math.min((size.width - 2 * MARGIN) / picture.width, (size.height - 2 * MARGIN) / picture.height) >= READABLE;
  }

  /** Show the whole picture if it can be read then; else its beginning. */
  home() {
    const { picture, size } = this;
    if (this.#isSmall()) {
      this.fit();
      return;
    }
    const zoom = Math.min(Math.max((size.width - 2 * MARGIN) / picture.width, READABLE), 1);
    const first = picture.boxes[0];
    const isDown = this.session.direction === 'TB';
    const x = picture.width * zoom <= size.width || !first ? picture.width / 2 : first.x;
    const y = picture.height * zoom <= size.height || !first ? picture.height / 2 : first.y;
    this.view = isDown
      ? { zoom, x: x - size.width / 2 / zoom, y: -MARGIN / zoom }
      : { zoom, x: -MARGIN / zoom, y: y - size.height / 2 / zoom };
    this.draw();
  }

  /** Show the whole picture, however small. */
  fit() {
    const { picture, size } = this;
    const whole = Math.min((size.width - 2 * MARGIN) / Math.max(picture.width, 1), (size.height - 2 * MARGIN) / Math.max(picture.height, 1));
    const zoom = Math.min(Math.max(whole, LEAST_ZOOM), 1.25);
    this.#glideTo({ zoom, x: picture.width / 2 - size.width / 2 / zoom, y: picture.height / 2 - size.height / 2 / zoom });
  }

  /** @param {number} factor @param {{x: number, y: number}} [at] a point of the canvas that stays */
  zoomBy(factor, at = { x: this.size.width / 2, y: this.size.height / 2 }) {
    const { view } = this;
    const zoom = Math.min(Math.max(view.zoom * factor, LEAST_ZOOM), MOST_ZOOM);
    this.view = { zoom, x: view.x + at.x / view.zoom - at.x / zoom, y: view.y + at.y / view.zoom - at.y / zoom };
    this.draw();
  }

  /** @param {number} dx in pixels @param {number} dy */
  panBy(dx, dy) {
    this.view = { ...this.view, x: this.view.x + dx / this.view.zoom, y: this.view.y + dy / this.view.zoom };
    this.draw();
  }

  /** Move so that an item can be seen and read. @param {number} item */
  bringIntoView(item) {
    const place = this.placeOf(this.arrangement.shownFor(item));
    if (!place) return;
    const { view, size } = this;
    const zoom = view.zoom < 0.6 ? READABLE : view.zoom;
    const left = (place.x - view.x) * view.zoom;
    const top = (place.y - view.y) * view.zoom;
    const isSeen = zoom === view.zoom && left >= 0 && top >= 0 && left + Math.min(place.width * zoom, size.width / 2) <= size.width && top + Math.min(place.height * zoom, size.height / 2) <= size.height;
    if (isSeen) {
      this.draw();
      return;
    }
    const fitsX = place.width * zoom <= size.width;
    const fitsY = place.height * zoom <= size.height;
    const x = fitsX ? place.x + place.width / 2 - size.width / 2 / zoom : place.x - MARGIN / zoom;
    const y = fitsY ? place.y + place.height / 2 - size.height / 2 / zoom : place.y - MARGIN / zoom;
    this.#glideTo({ zoom, x, y });
  }

  /** @param {import('./painter.js').View} target */
  #glideTo(target) {
    cancelAnimationFrame(this.glide);
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
      this.view = target;
      this.draw();
      return;
    }
    const from = this.view;
    const start = performance.now();
    const step = () => {
      const t = Math.min((performance.now() - start) / GLIDE_MS, 1);
      const e = 1 - (1 - t) ** 3;
      const zoom = from.zoom * (target.zoom / from.zoom) ** e;
      this.view = { zoom, x: from.x + (target.x - from.x) * e, y: from.y + (target.y - from.y) * e };
      if (t === 1) this.view = target;
      this.drawNow();
      if (t < 1) this.glide = requestAnimationFrame(step);
    };
    step();
  }

  /**
   * Change the picture, and let an item stay where it is on the screen: the upper left corner, which what is
   * folded and unfolded have in common, and the item under the pointer if it was there.
   * @param {number | null} item @param {() => void} change
   */
  #keeping(item, change) {
    const place = (/** @type {number} */ of) => this.placeOf(of) ?? this.placeOf(this.arrangement.shownFor(of));
    const before = item === null ? null : place(item);
    change();
    const after = item === null ? null : place(item);
    if (before && after) {
      const { view, pressedAt } = this;
      const right = (before.x + after.width - view.x) * view.zoom;
      const beyond = pressedAt === null || pressedAt < right ? 0 : pressedAt - right + REACH * view.zoom;
      this.view = { ...view, x: view.x + after.x - before.x - beyond / view.zoom, y: view.y + after.y - before.y };
    }
    this.drawNow();
  }

  /** Fold or unfold what is under the pointer. @param {number} item a branch as `~branch` @param {number} px */
  #toggle(item, px) {
    this.pressedAt = px;
    this.session.toggle(~item);
    this.pressedAt = null;
  }

  #middleItem() {
    const hit = this.itemAt(this.size.width / 2, this.size.height / 2);
    return hit ?? null;
  }

  /** The rectangle of an item as it is drawn. @param {number} item @returns {{x: number, y: number, width: number, height: number} | null} */
  placeOf(item) {
    const box = this.picture.boxOf.get(item);
    if (box) return { x: box.x - box.width / 2, y: box.y - box.height / 2, width: box.width, height: box.height };
    if (item === ~0) return { x: 0, y: 0, width: this.picture.width, height: this.picture.height };
    if (item < 0) return this.picture.frameOf.get(~item) ?? null;
    return null;
  }

  // Pointing

  /** The item at a point of the canvas. @param {number} px @param {number} py @returns {number | null} */
  itemAt(px, py) {
    const x = px / this.view.zoom + this.view.x;
    const y = py / this.view.zoom + this.view.y;
    for (const box of this.picture.boxes) {
      if (Math.abs(x - box.x) <= box.width / 2 && Math.abs(y - box.y) <= box.height / 2) return box.item;
    }
    const branch = this.frameAt(px, py);
    return branch < 0 ? null : ~branch;
  }

  /** The innermost unfolded branch at a point of the canvas; -1 for none. @param {number} px @param {number} py */
  frameAt(px, py) {
    const x = px / this.view.zoom + this.view.x;
    const y = py / this.view.zoom + this.view.y;
    const frame = this.picture.frames.findLast((f) => x >= f.x && x <= f.x + f.width && y >= f.y && y <= f.y + f.height);
    return frame ? frame.branch : -1;
  }

  #watchPointer() {
    const { canvas } = this;
    /** @type {{x: number, y: number, moved: boolean} | null} */ let drag = null;
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button > 1) return;
      drag = { x: event.clientX, y: event.clientY, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (drag) {
        const dx = event.clientX - drag.x;
        const dy = event.clientY - drag.y;
        if (!drag.moved && Math.hypot(dx, dy) < 4) return;
        drag = { x: event.clientX, y: event.clientY, moved: true };
        canvas.style.cursor = 'grabbing';
        this.panBy(-dx, -dy);
        return;
      }
      const hovered = this.itemAt(event.offsetX, event.offsetY);
      if (hovered !== this.hovered) {
        this.hovered = hovered;
        canvas.style.cursor = hovered === null ? 'grab' : 'pointer';
        canvas.title = hovered === null ? '' : this.tooltip(hovered);
        this.refresh();
      }
    });
    canvas.addEventListener('pointerup', (event) => {
      const moved = drag?.moved;
      drag = null;
      canvas.style.cursor = 'grab';
      if (!moved && event.button === 0) this.#click(event.offsetX, event.offsetY);
    });
    canvas.addEventListener('dblclick', (event) => {
      const item = this.itemAt(event.offsetX, event.offsetY);
      if (item !== null && item < 0) this.#toggle(item, event.offsetX);
    });
    canvas.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    cancelAnimationFrame(this.glide);
    const step = event.deltaMode === 1 ? 16 : 1;
    if (event.ctrlKey || event.metaKey) {
      this.zoomBy(Math.exp(-event.deltaY * step * 0.004), { x: event.offsetX, y: event.offsetY });
    } else {
      const isSideways = event.shiftKey && !event.deltaX;
      this.panBy(isSideways ? event.deltaY * step : event.deltaX * step, isSideways ? 0 : event.deltaY * step);
    }
  }

  /** @param {number} x @param {number} y */
  #click(x, y) {
    const item = this.itemAt(x, y);
    this.canvas.focus({ preventScroll: true });
    if (item === null) {
      this.session.select(null);
      return;
    }
    if (item < 0 && this.#isOnSign(item, x, y)) {
      this.#toggle(item, x);
      return;
    }
    this.session.select(this.selectionOf(item));
  }

  /** What to select for an item that is drawn: for a folded branch of one node, that. @param {number} item */
  selectionOf(item) {
    if (item >= 0) return { kind: /** @type {const} */ ('node'), id: item };
    if (this.arrangement.isLeaf(~item)) return { kind: /** @type {const} */ ('node'), id: this.arrangement.leafOf(~item) };
    return { kind: /** @type {const} */ ('branch'), id: ~item };
  }

  /** Whether a point is on the sign that folds. @param {number} item @param {number} px @param {number} py */
  #isOnSign(item, px, py) {
    const place = this.placeOf(item);
    if (!place || this.arrangement.isLeaf(~item)) return false;
    const x = px / this.view.zoom + this.view.x - place.x;
    const y = py / this.view.zoom + this.view.y - place.y;
    return x >= 0 && x <= 22 && y >= 0 && y <= (this.picture.frameOf.has(~item) ? 26 : place.height);
  }

  /** @param {number} item */
  tooltip(item) {
    const { model } = this.session;
    if (item < 0 && !this.arrangement.isLeaf(~item)) {
      const fold = this.session.folding[~item] === FOLD.CLOSED ? 'double-click to unfold' : 'double-click to fold';
      return `${model.address(~item) || model.branchTitle(~item)}  ${model.className(~item)}\n${fold}`;
    }
    const node = item < 0 ? this.arrangement.leafOf(~item) : item;
    return model.irText(node);
  }
}
