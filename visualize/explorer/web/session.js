/**
 * What a person has chosen to see: the one thing that all parts of a page share and watch.
 *
 * A part changes it through its methods and listens for what changed; none speaks to another.
 */

import { Program, GraphModel, range } from './data.js';

/** How a branch is shown. A repeat that is `OPEN` shows the first of its likes, one that is `WHOLE` all. */
export const FOLD = { CLOSED: 0, OPEN: 1, WHOLE: 2 };

const MOST_SHOWN = 20000; // boxes that unfolding everything may show

/**
 * What is selected: a node, a branch or a value by its number.
 * @typedef {{kind: 'node' | 'branch' | 'value', id: number}} Selection
 */

/**
 * Colours and texts of items: a node, or a branch as `~branch`.
 * @typedef {{colour: (item: number) => string | null, text: (item: number) => string}} ItemColours
 */

/**
 * Events, each named after what changed: `graph`, `selection`, `folding`, `marks`, `view` (what is hidden,
 * direction, overlay), `theme`, and `reveal` with `detail.item`, which asks to bring an item into view.
 */
export class Session extends EventTarget {
  /** @param {Program} program */
  constructor(program) {
    super();
    this.program = program;
    /** @type {GraphModel} */ this.model = program.graphs[0];
    /** @type {Selection | null} */ this.selection = null;
    /** @type {Map<GraphModel, Uint8Array>} */ this.foldings = new Map();
    /** @type {Set<number>} nodes that a search or a source line found */ this.marks = new Set();
    this.showsAll = false;
    /** @type {Set<number>} phases that are not drawn */ this.hiddenPhases = new Set();
    /** @type {'TB' | 'LR'} */ this.direction = 'TB';
    /** @type {number} the measure to colour by; -1 for families */ this.measure = -1;
    /** @type {ItemColours | null} other colours than those of families and measures */ this.colours = null;
    /** @type {'light' | 'dark'} */ this.theme = 'light';
  }

  /** @param {string} what @param {any} [detail] */
  tell(what, detail) {
    this.dispatchEvent(new CustomEvent(what, { detail }));
  }

  /** @param {string[]} what @param {(event: CustomEvent) => void} listener */
  watch(what, listener) {
    for (const name of what) this.addEventListener(name, /** @type {EventListener} */ (listener));
  }

  // Graphs

  /** @param {GraphModel} model */
  showGraph(model) {
    if (model === this.model) return;
    this.model = model;
    this.selection = null;
    this.marks = new Set();
    this.tell('graph');
  }

  // Folding

  /** How each branch of the graph is shown, by its number. @returns {Uint8Array} */
  get folding() {
    let folding = this.foldings.get(this.model);
    if (!folding) {
      const model = this.model;
      folding = Uint8Array.from(range(0, model.branchCount), (b) => (model.isOpenAtFirst(b) ? FOLD.OPEN : FOLD.CLOSED));
      this.foldings.set(model, folding);
    }
    return folding;
  }

  /**
   * @param {number} branch @param {number} fold
   * @param {number} [anchor] the item that should stay where it is on the screen: a branch as `~branch`
   */
  setFold(branch, fold, anchor = ~branch) {
    if (this.folding[branch] === fold || (branch === 0 && fold === FOLD.CLOSED)) return;
    this.folding[branch] = fold;
    this.tell('folding', { branches: [branch], anchor });
  }

  /** Show what a branch holds, or hide it. A repeat goes from folded to its first to all. @param {number} branch */
  toggle(branch) {
    const last = this.model.kind(branch) === 'repeat' ? FOLD.WHOLE : FOLD.OPEN;
    const fold = this.folding[branch];
    this.setFold(branch, fold >= last ? FOLD.CLOSED : fold + 1);
  }

  /**
   * Unfold everything around an item, so that it is drawn, and bring it into view.
   * @param {number} item a node, or a branch as `~branch`
   */
  reveal(item) {
    const opened = this.#unfoldAround(item);
    if (opened.length) this.tell('folding', { branches: opened, anchor: null });
    this.tell('reveal', { item });
  }

  /** @param {number} item @returns {number[]} the branches that were unfolded */
  #unfoldAround(item) {
    const { model, folding } = this;
    const inner = item >= 0 ? model.nodeBranch[item] : model.branchParent[~item];
    const opened = [];
    let below = item;
    for (const b of model.branchesAround(inner)) {
      const isFirst = model.kind(b) === 'repeat' && model.itemsOf(b)[0] === below;
      const wanted = model.kind(b) === 'repeat' && !isFirst ? FOLD.WHOLE : FOLD.OPEN;
      if (folding[b] < wanted) {
        folding[b] = wanted;
        opened.push(b);
      }
      below = ~b;
    }
    return opened;
  }

  /**
   * Unfold a branch and all inside it, the outer ones first, as far as a page can show.
   * @param {number} branch
   * @param {(b: number) => boolean} [wanted] which branches to unfold; others are folded
   * @returns {number} how many branches are left folded since there was no room
   */
  unfoldAll(branch = 0, wanted = () => true) {
    const { model, folding } = this;
    const changed = [];
    let shown = 0;
    let left = 0;
    const pending = [branch];
    for (const b of pending) {
      const inner = [...model.itemsOf(b)].filter((item) => item < 0).map((item) => ~item);
      const size = model.itemStart[b + 1] - model.itemStart[b];
      const fits = shown + size <= MOST_SHOWN;
      if (!wanted(b) && b !== branch) {
        if (folding[b] !== FOLD.CLOSED) changed.push(b);
        folding[b] = FOLD.CLOSED;
        continue;
      }
      if (!fits) {
        left++;
        continue;
      }
      shown += size;
      const fold = model.kind(b) === 'repeat' ? FOLD.WHOLE : FOLD.OPEN;
      if (folding[b] !== fold) changed.push(b);
      folding[b] = fold;
      pending.push(...inner);
    }
    this.tell('folding', { branches: changed, anchor: ~branch });
    return left;
  }

  /** Fold everything inside a branch. @param {number} [branch] */
  foldAll(branch = 0) {
    const { model, folding } = this;
    const inner = range(0, model.branchCount).filter((b) => b && b !== branch && folding[b] && model.first[b] >= model.first[branch] && model.end[b] <= model.end[branch]);
    for (const b of inner) folding[b] = FOLD.CLOSED;
    this.tell('folding', { branches: inner, anchor: ~branch });
  }

  // Selecting

  /**
   * @param {Selection | null} selection
   * @param {{reveal?: boolean}} [options] whether to unfold what is around it and bring it into view
   */
  select(selection, { reveal = false } = {}) {
    this.selection = selection;
    this.tell('selection');
    if (selection && reveal) this.reveal(this.itemOf(selection));
  }

  /** The item in which a selection is seen: a node, or a branch as `~branch`. @param {Selection} selection */
  itemOf({ kind, id }) {
    if (kind === 'branch') return ~id;
    return kind === 'node' ? id : Math.max(this.model.producer(id), 0);
  }

  /** @param {Iterable<number>} nodes that a search or a source line found */
  mark(nodes) {
    this.marks = new Set(nodes);
    this.tell('marks');
  }

  // Views

  /** @param {boolean} showsAll */
  setShowsAll(showsAll) {
    this.showsAll = showsAll;
    this.tell('view');
  }

  /** @param {number} phase @param {boolean} isShown */
  showPhase(phase, isShown) {
    if (isShown) this.hiddenPhases.delete(phase);
    else this.hiddenPhases.add(phase);
    this.tell('view');
  }

  /** @param {'TB' | 'LR'} direction */
  setDirection(direction) {
    this.direction = direction;
    this.tell('view');
  }

  /** @param {number} measure -1 for families */
  setMeasure(measure) {
    this.measure = measure;
    this.tell('view');
  }

  /** @param {'light' | 'dark'} theme */
  setTheme(theme) {
    this.theme = theme;
    this.tell('theme');
  }

  /** Whether a node is drawn. @param {number} n */
  isDrawn(n) {
    if (!this.showsAll && this.model.isHidden(n)) return false;
    return this.model.isEnd(n) || !this.hiddenPhases.has(this.model.phase(n));
  }
}
