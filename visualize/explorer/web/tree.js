/** The tree of scopes: what a program is made of, with figures to compare. */

import { human } from './data.js';
import { button, el } from './dom.js';
import { Outline, columnsOf, timesOf } from './outline.js';
import { VirtualRows } from './rows.js';
import { Session } from './session.js';

const TREE_ROW = 22; // pixels
const TREE_NAME_WIDTH = 175; // pixels that a name has at least
const TREE_COLUMN_WIDTH = 46;
const TREE_BAR_WIDTH = 58; // of a column with bars
const TYPING_PAUSE = 700; // milliseconds after which typing begins a new name

/** @typedef {import('./outline.js').Column} Column */

/** Shows the tree in an element. */
export class ScopeTree {
  /** @param {Session} session @param {HTMLElement} element */
  constructor(session, element) {
    this.session = session;
    this.element = element;
    this.showsOperators = false;
    this.focused = 0; // the index of the row that keys move from
    this.typed = '';
    this.typedAt = 0;
    /** @type {Map<import('./data.js').GraphModel, Outline>} */ this.outlines = new Map();
    /** @type {string} the key of the column that sorts; empty for program order */ this.sortKey = '';
    this.isDescending = true;
    /** @type {Int32Array} the marked nodes, sorted */ this.marked = new Int32Array(0);
    /** @type {Column[]} */ this.columns = [];
    /** @type {Column[]} those that there is room for */ this.shown = [];
    this.outline = new Outline(session.model);
    this.header = el('div', { class: 'tree-header' });
    this.body = el('div', { class: 'tree-body', role: 'tree', tabindex: 0, 'aria-label': 'Scopes of the program' });
    element.classList.add('tree');
    element.append(this.#bar(), this.header, this.body);
    this.rows = new VirtualRows(this.body, TREE_ROW, (index) => this.#row(index));
    this.#listen();
    this.#showGraph();
    new ResizeObserver(() => this.#choose()).observe(element);
  }

  #bar() {
    this.operatorsToggle = button('Operators', () => this.setShowsOperators(!this.showsOperators), {
      class: 'toggle',
      title: 'List the operators of each scope too',
      'aria-pressed': 'false',
    });
    return el(
      'div',
      { class: 'tree-bar' },
      this.operatorsToggle,
      el('span', { class: 'spacer' }),
      button('Expand', () => this.#expandAll(true), { title: 'Expand every scope in this list' }),
      button('Collapse', () => this.#expandAll(false), { title: 'Collapse every scope in this list' }),
    );
  }

  #listen() {
    const { session, body } = this;
    session.watch(['graph'], () => this.#showGraph());
    session.watch(['selection'], () => this.#follow());
    session.watch(['view'], () => this.#choose(true));
    session.watch(['marks'], () => this.#takeMarks());
    body.addEventListener('click', (event) => this.#click(event));
    body.addEventListener('keydown', (event) => this.#key(event));
  }

  /** List the operators of each scope, or only the scopes. @param {boolean} showsOperators */
  setShowsOperators(showsOperators) {
    this.showsOperators = showsOperators;
    this.operatorsToggle?.setAttribute('aria-pressed', String(showsOperators));
    this.#update();
    this.#follow();
  }

  #showGraph() {
    const { model } = this.session;
    const outline = this.outlines.get(model) ?? new Outline(model);
    this.outlines.set(model, outline);
    this.outline = outline;
    this.columns = columnsOf(model, () => this.session.showsAll);
    outline.listsNode = (n) => this.showsOperators && this.session.isDrawn(n);
    this.focused = 0;
    this.body.scrollTop = 0;
    this.#choose(true);
    this.#takeMarks();
  }

  /** Choose the columns that there is room for, what is coloured by first. @param {boolean} [always] */
  #choose(always = false) {
    const wanted = [`measure ${this.session.measure}`, this.sortKey, 'operators', 'parameters'];
    const rank = (/** @type {Column} */ column) => (wanted.includes(column.key) ? wanted.indexOf(column.key) : wanted.length);
    const chosen = fitting([...this.columns].sort((a, b) => rank(a) - rank(b)), this.element.clientWidth - TREE_NAME_WIDTH);
    const shown = this.columns.filter((column) => chosen.includes(column));
    const isSame = shown.length === this.shown.length && shown.every((c, i) => c === this.shown[i]);
    if (isSame && !always) return;
    this.shown = shown;
    this.element.style.setProperty('--columns', `minmax(0, 1fr) ${shown.map((column) => `${widthOf(column)}px`).join(' ')}`);
    this.#head();
    this.#update();
  }

  #head() {
    const name = this.#headButton('name', 'Scope', 'Sort by name');
    const others = this.shown.map((column) => this.#headButton(column.key, column.label, column.title));
    this.header.replaceChildren(name, ...others);
  }

  /** @param {string} key @param {string} label @param {string} title */
  #headButton(key, label, title) {
    const arrow = key !== this.sortKey ? '' : this.isDescending ? ' ↓' : ' ↑';
    return button(label + arrow, () => this.#sortBy(key), { title: `${title}. Click to sort`, 'data-key': key });
  }

  /** Sort by a column, the other way round, then no more. @param {string} key */
  #sortBy(key) {
    const first = key !== 'name'; // figures begin with the largest
    if (this.sortKey !== key) [this.sortKey, this.isDescending] = [key, first];
    else if (this.isDescending === first) this.isDescending = !first;
    else this.sortKey = '';
    this.#choose(true);
    this.#follow();
  }

  #update() {
    const outline = this.outline;
    const column = this.columns.find(({ key }) => key === this.sortKey);
    outline.key = this.sortKey === 'name' ? (item) => outline.title(item) : (column?.of ?? null);
    outline.isDescending = this.isDescending;
    outline.update();
    this.#redraw();
  }

  #redraw() {
    this.focused = Math.min(this.focused, this.outline.rows.length - 1);
    this.rows.setCount(this.outline.rows.length);
  }

  /** @param {boolean} isExpanded */
  #expandAll(isExpanded) {
    this.outline.expandAll(isExpanded);
    this.#redraw();
    this.#follow(false);
  }

  /** Go to the row of what is selected. @param {boolean} [unfolds] whether to expand what is around it */
  #follow(unfolds = true) {
    const { selection } = this.session;
    const item = selection && this.#itemOf(selection);
    if (item === null) return this.rows.refresh();
    const index = unfolds ? this.outline.unfoldTo(item) : this.outline.rows.indexOf(item);
    this.#redraw();
    if (index < 0) return;
    this.focused = index;
    this.rows.show(index, true);
  }

  /** @param {import('./session.js').Selection} selection @returns {number | null} null for state, which no node makes */
  #itemOf({ kind, id }) {
    if (kind === 'branch') return ~id;
    const node = kind === 'node' ? id : this.session.model.producer(id);
    return node >= 0 ? node : null;
  }

  #takeMarks() {
    this.marked = Int32Array.from(this.session.marks).sort();
    this.rows.refresh();
  }

  // Drawing

  /** @param {number} index */
  #row(index) {
    const outline = this.outline;
    const item = outline.rows[index];
    const isExpandable = outline.isExpandable(item);
    const level = outline.level(item);
    const isChosen = item === this.#chosenItem();
    const row = el(
      'div',
      {
        class: `tree-row${item < 0 ? '' : ' is-operator'}${index === this.focused ? ' is-focused' : ''}`,
        id: `tree-row-${index}`,
        role: 'treeitem',
        'aria-level': level,
        'aria-posinset': outline.positions[index],
        'aria-setsize': outline.siblings[index],
        'aria-expanded': isExpandable ? String(outline.isExpanded(item)) : null,
        'aria-selected': String(isChosen),
      },
      this.#name(item, level, isExpandable),
      ...this.shown.map((column) => this.#figure(column, item)),
    );
    if (index === this.focused) this.body.setAttribute('aria-activedescendant', row.id);
    return row;
  }

  /** The item whose row shows the selection: its scope where operators have no rows; null for none. */
  #chosenItem() {
    const { selection, model } = this.session;
    const item = selection && this.#itemOf(selection);
    if (item === null || item < 0 || this.outline.listsNode(item)) return item;
    return ~model.nodeBranch[item];
  }

  /** @param {number} item @param {number} level @param {boolean} isExpandable */
  #name(item, level, isExpandable) {
    const { model } = this.session;
    const outline = this.outline;
    const times = timesOf(model, item);
    const faint = item < 0 ? [model.className(~item), model.note(~item)].filter(Boolean).join(' · ') : model.nodeDetail(item);
    const title = outline.title(item);
    const hits = this.#hits(item);
    return el(
      'div',
      { class: 'tree-name', style: `padding-left: ${(level - 1) * 11}px`, title: [title, faint].filter(Boolean).join('\n') },
      el(
        'span',
        { class: 'tree-label' },
        el('span', { class: `twisty${isExpandable ? '' : ' is-leaf'}`, 'aria-hidden': 'true', text: isExpandable ? (outline.isExpanded(item) ? '▾' : '▸') : '' }),
        el('span', { class: 'tree-title', text: title }),
        times > 0 && el('span', { class: 'tree-times', text: `×${times}` }),
        hits > 0 && el('span', { class: 'tree-hits', text: item < 0 ? human(hits) : '', title: 'Marked operators here' }),
      ),
      faint && el('span', { class: 'tree-class', text: faint }),
    );
  }

  /** How many marked nodes stand at or in an item. @param {number} item */
  #hits(item) {
    const { model } = this.session;
    const [from, to] = item < 0 ? [model.first[~item], model.end[~item]] : [item, item + 1];
    return countBelow(this.marked, to) - countBelow(this.marked, from);
  }

  /** @param {Column} column @param {number} item */
  #figure(column, item) {
    const figure = column.of(item);
    const isKnown = !Number.isNaN(figure);
    const text = isKnown ? column.text(figure) : '';
    const share = column.hasBar && isKnown ? figure / column.of(~0) : 0;
    const width = Number.isFinite(share) ? Math.min(Math.max(share, 0), 1) * 100 : 0;
    return el(
      'div',
      { class: 'tree-figure', title: isKnown && column.hasBar ? `${column.label}: ${text}, ${width.toFixed(1)} %` : null },
      column.hasBar && width > 0 && el('span', { class: 'tree-share', style: `width: ${width}%` }),
      el('span', { text }),
    );
  }

  // Acting

  /** @param {MouseEvent} event */
  #click(event) {
    const index = this.rows.at(event.clientY);
    if (index < 0) return;
    const item = this.outline.rows[index];
    const isTwisty = event.target instanceof Element && event.target.closest('.twisty') !== null;
    this.focused = index;
    if (isTwisty && this.outline.isExpandable(item)) this.#setExpanded(item, !this.outline.isExpanded(item));
    else this.#select(index, event.detail === 2);
  }

  /** @param {number} index @param {boolean} [reveal] */
  #select(index, reveal = false) {
    const item = this.outline.rows[index];
    this.focused = index;
    this.session.select(item < 0 ? { kind: 'branch', id: ~item } : { kind: 'node', id: item }, { reveal });
  }

  /** @param {number} item @param {boolean} isExpanded */
  #setExpanded(item, isExpanded) {
    if (item >= 0) return;
    this.outline.expand(~item, isExpanded);
    this.#redraw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isDone = this.#move(event.key) || this.#type(event.key);
    if (!isDone) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {string} key @returns {boolean} whether it is a key that moves */
  #move(key) {
    const outline = this.outline;
    const last = outline.rows.length - 1;
    const at = this.focused;
    const item = outline.rows[at];
    /** @type {Record<string, () => void>} */
    const moves = {
      ArrowDown: () => this.#goTo(Math.min(at + 1, last)),
      ArrowUp: () => this.#goTo(Math.max(at - 1, 0)),
      Home: () => this.#goTo(0),
      End: () => this.#goTo(last),
      PageDown: () => this.#goTo(Math.min(at + this.rows.fitting, last)),
      PageUp: () => this.#goTo(Math.max(at - this.rows.fitting, 0)),
      Enter: () => this.#select(at, true),
      ArrowRight: () => {
        if (!outline.isExpandable(item)) return;
        if (outline.isExpanded(item)) this.#goTo(at + 1);
        else this.#setExpanded(item, true);
      },
      ArrowLeft: () => {
        if (outline.isExpandable(item) && outline.isExpanded(item)) this.#setExpanded(item, false);
        else if (at > 0) this.#goTo(outline.parentRow(at));
      },
    };
    if (!Object.hasOwn(moves, key)) return false;
    moves[key]();
    return true;
  }

  /** Go to the next row whose name begins with what is being typed. @param {string} key @returns {boolean} */
  #type(key) {
    if (!/^[\p{L}\p{N}_.]$/u.test(key)) return false;
    const now = performance.now();
    const isNew = now - this.typedAt > TYPING_PAUSE;
    this.typed = (isNew ? '' : this.typed) + key.toLowerCase();
    this.typedAt = now;
    const found = this.outline.rowNamed(this.typed, this.focused + (isNew ? 1 : 0));
    if (found >= 0) this.#goTo(found);
    return true;
  }

  /** @param {number} index */
  #goTo(index) {
    this.#select(index);
    this.rows.show(index);
  }
}

/** The first columns that fit into some pixels, one at least. @param {Column[]} columns @param {number} room */
function fitting(columns, room) {
  let left = room;
  return columns.filter((column, at) => (left -= widthOf(column)) >= 0 || at === 0);
}

/** @param {Column} column */
function widthOf(column) {
  return column.hasBar ? TREE_BAR_WIDTH : TREE_COLUMN_WIDTH;
}

/** How many of some sorted numbers are less than a bound. @param {Int32Array} numbers @param {number} bound */
function countBelow(numbers, bound) {
  let [from, to] = [0, numbers.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (numbers[middle] < bound) from = middle + 1;
    else to = middle;
  }
  return from;
}
