/**
 * Long lists of rows of one height, of which only those in view are elements.
 */

import { el, perFrame } from './dom.js';

const SPARE_ROWS = 6; // rows that are drawn beyond the edges of the view

/** A list that scrolls. */
export class VirtualRows {
  /**
   * @param {HTMLElement} element that scrolls
   * @param {number} rowHeight in pixels
   * @param {(index: number) => HTMLElement} draw
   */
  constructor(element, rowHeight, draw) {
    this.element = element;
    this.rowHeight = rowHeight;
    this.count = 0;
    this.draw = draw;
    /** @type {number} a row that is to be shown as soon as there is room; -1 for none */ this.wanted = -1;
    this.isHeld = false; // a row on which a button is down must stay, or it is not clicked
    this.refresh = perFrame(() => this.isHeld || this.refreshNow());
    this.canvas = el('div', { class: 'rows' });
    this.window = el('div', { class: 'rows-window' });
    this.canvas.append(this.window);
    element.append(this.canvas);
    element.addEventListener('scroll', perFrame(() => this.refreshNow()), { passive: true });
    // Of other buttons the system's menu may keep the end to itself.
    this.canvas.addEventListener('pointerdown', ({ button }) => (this.isHeld = button === 0));
    for (const ending of ['pointerup', 'pointercancel']) window.addEventListener(ending, () => this.#letGo());
    new ResizeObserver(() => {
      if (this.wanted >= 0) this.show(this.wanted, true);
      this.refresh();
    }).observe(element);
  }

  /** @param {number} count */
  setCount(count) {
    this.count = count;
    this.canvas.style.height = `${count * this.rowHeight}px`;
    this.refresh();
  }

  /** Draw the rows in view anew. */
  refreshNow() {
    const { scrollTop, clientHeight } = this.element;
    const from = Math.max(Math.floor(scrollTop / this.rowHeight) - SPARE_ROWS, 0);
    const to = Math.min(Math.ceil((scrollTop + clientHeight) / this.rowHeight) + SPARE_ROWS, this.count);
    const rows = [];
    for (let index = from; index < to; index++) rows.push(this.draw(index));
    this.window.style.transform = `translateY(${from * this.rowHeight}px)`;
    this.window.replaceChildren(...rows);
  }

  #letGo() {
    if (!this.isHeld) return;
    this.isHeld = false;
    this.refresh();
  }

  /** The row at a height on the screen; -1 where there is none. @param {number} clientY */
  at(clientY) {
    const index = Math.floor((clientY - this.canvas.getBoundingClientRect().top) / this.rowHeight);
    return index >= 0 && index < this.count ? index : -1;
  }

  /** How many rows fit into the view. */
  get fitting() {
    return Math.max(Math.floor(this.element.clientHeight / this.rowHeight), 1);
  }

  /** Scroll as little as shows a row. @param {number} index @param {boolean} [inMiddle] if it is out of view */
  show(index, inMiddle = false) {
    const { element, rowHeight } = this;
    const above = index * rowHeight;
    const room = element.clientHeight;
    this.wanted = room ? -1 : index; // a list that is hidden cannot scroll
    if (!room) return;
    if (above >= element.scrollTop && above + rowHeight <= element.scrollTop + room) return;
    const middle = above - (room - rowHeight) / 2;
    if (inMiddle) element.scrollTop = middle;
    else element.scrollTop = above < element.scrollTop ? above : above + rowHeight - room;
    this.refresh();
  }
}
