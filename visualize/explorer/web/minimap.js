/** The minimap: the whole picture in a corner, with what is in sight marked; a drag on it moves the view. */

import { GraphView } from './graphview.js';

const WIDTH = 168;
const HEIGHT = 132;

export class Minimap {
  /** @param {GraphView} view @param {HTMLElement} element */
  constructor(view, element) {
    this.view = view;
    this.canvas = document.createElement('canvas');
    this.canvas.className = 'minimap';
    this.canvas.setAttribute('aria-hidden', 'true');
    element.append(this.canvas);
    this.back = document.createElement('canvas');
    /** @type {import('./arrangement.js').Picture | null} the picture that `back` shows */ this.drawn = null;
    this.drawnTheme = '';
    view.watchers.push(() => this.draw());
    this.#watchPointer();
  }

  /** Units of the picture to units of the minimap. */
  get scale() {
    const { picture } = this.view;
    return Math.min(WIDTH / Math.max(picture.width, 1), HEIGHT / Math.max(picture.height, 1));
  }

  draw() {
    const { view, canvas, scale } = this;
    const { picture, size } = view;
    const isWhole = picture.width * view.view.zoom <= size.width && picture.height * view.view.zoom <= size.height;
    canvas.hidden = isWhole;
    if (isWhole) return;
    const pixels = window.devicePixelRatio || 1;
    const width = Math.max(Math.round(picture.width * scale), 24);
    const height = Math.max(Math.round(picture.height * scale), 24);
    if (this.drawn !== picture || this.drawnTheme !== view.session.theme) this.#drawBack(width, height, pixels);
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.back, 0, 0);
    context.scale(pixels, pixels);
    context.strokeStyle = view.palette.selected;
    context.fillStyle = view.palette.selected;
    const sight = [view.view.x * scale, view.view.y * scale, (size.width / view.view.zoom) * scale, (size.height / view.view.zoom) * scale];
    context.globalAlpha = 0.14;
    context.fillRect(sight[0], sight[1], sight[2], Math.max(sight[3], 2));
    context.globalAlpha = 1;
    context.lineWidth = 1.2;
    context.strokeRect(sight[0], sight[1], sight[2], Math.max(sight[3], 2));
  }

  /** @param {number} width @param {number} height @param {number} pixels */
  #drawBack(width, height, pixels) {
    const { view, canvas, back, scale } = this;
    const { picture, palette } = view;
    this.drawn = picture;
    this.drawnTheme = view.session.theme;
    for (const one of [canvas, back]) {
      one.width = width * pixels;
      one.height = height * pixels;
    }
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const context = /** @type {CanvasRenderingContext2D} */ (back.getContext('2d'));
    context.setTransform(pixels, 0, 0, pixels, 0, 0);
    context.fillStyle = palette.page;
    context.fillRect(0, 0, width, height);
    for (const frame of picture.frames) {
      context.fillStyle = palette.frames[Math.min(frame.depth, palette.frames.length - 1)];
      context.fillRect(frame.x * scale, frame.y * scale, frame.width * scale, frame.height * scale);
    }
    for (const box of picture.boxes) {
      context.fillStyle = box.family >= 0 ? palette.families[box.family][1] : palette.scope[1];
      context.fillRect((box.x - box.width / 2) * scale, (box.y - box.height / 2) * scale, Math.max(box.width * scale, 1), Math.max(box.height * scale, 1));
    }
  }

  #watchPointer() {
    const move = (/** @type {PointerEvent} */ event) => {
      const { view, scale } = this;
      const { zoom } = view.view;
      view.view = {
        zoom,
        x: event.offsetX / scale - view.size.width / 2 / zoom,
        y: event.offsetY / scale - view.size.height / 2 / zoom,
      };
      view.draw();
    };
    this.canvas.addEventListener('pointerdown', (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      move(event);
    });
    this.canvas.addEventListener('pointermove', (event) => {
      if (event.buttons & 1) move(event);
    });
  }
}
