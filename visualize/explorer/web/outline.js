/** The rows of the tree of scopes: which branches are expanded, in which order, and what stands in each row. */

import { GraphModel, human } from './data.js';

/**
 * A column of figures.
 * @typedef {{key: string, label: string, title: string, of: (item: number) => number,
 *   text: (figure: number) => string, hasBar: boolean}} Column
 */

/** The tree as rows. An item is a node, or a branch as `~branch`. */
export class Outline {
  /** @param {GraphModel} model */
  constructor(model) {
    this.model = model;
    this.expanded = new Uint8Array(model.branchCount);
    for (let b = 0; b < model.branchCount; b++) this.expanded[b] = model.isOpenAtFirst(b) ? 1 : 0;
    this.expanded[0] = 1;
    /** @type {(n: number) => boolean} which nodes have rows */ this.listsNode = () => false;
    /** @type {((item: number) => number | string) | null} null for program order */ this.key = null;
    this.isDescending = false;
    /** @type {number[]} the items, from the top */ this.rows = [];
    /** @type {number[]} the position of each among its siblings, from 1 */ this.positions = [];
    /** @type {number[]} how many siblings it has, itself too */ this.siblings = [];
    this.update();
  }

  /** Work out the rows anew. O(rows) */
  update() {
    this.rows = [~0];
    this.positions = [1];
    this.siblings = [1];
    const walks = this.expanded[0] ? [{ items: this.#children(0), at: 0 }] : [];
    while (walks.length) {
      const walk = walks[walks.length - 1];
      if (walk.at === walk.items.length) {
        walks.pop();
        continue;
      }
      const item = walk.items[walk.at++];
      this.rows.push(item);
      this.positions.push(walk.at);
      this.siblings.push(walk.items.length);
      if (item < 0 && this.expanded[~item]) walks.push({ items: this.#children(~item), at: 0 });
    }
  }

  /** @param {number} branch */
  #children(branch) {
    const items = [...this.model.itemsOf(branch)].filter((item) => item < 0 || this.listsNode(item));
    return this.key ? sortedItems(items, this.key, this.isDescending) : items;
  }

  /** @param {number} item from 1 for the root */
  level(item) {
    const { model } = this;
    return item < 0 ? model.depth[~item] + 1 : model.depth[model.nodeBranch[item]] + 2;
  }

  /** Whether a row has rows below it to show. @param {number} item */
  isExpandable(item) {
    if (item >= 0) return false;
    return this.model.itemsOf(~item).some((inner) => inner < 0 || this.listsNode(inner));
  }

  /** @param {number} item */
  isExpanded(item) {
    return item < 0 && this.expanded[~item] === 1;
  }

  /** @param {number} branch @param {boolean} isExpanded */
  expand(branch, isExpanded) {
    this.expanded[branch] = isExpanded ? 1 : 0;
    this.update();
  }

  /** @param {boolean} isExpanded */
  expandAll(isExpanded) {
    this.expanded.fill(isExpanded ? 1 : 0);
    this.expanded[0] = 1;
    this.update();
  }

  /**
   * Expand what is around an item, and find its row: that of its branch where nodes have none.
   * @param {number} item
   * @returns {number} the index of the row
   */
  unfoldTo(item) {
    const { model } = this;
    const around = item < 0 ? model.branchesAround(~item).slice(1) : model.branchesAround(model.nodeBranch[item]);
    const isListed = item < 0 || this.listsNode(item);
    const wanted = isListed ? around : around.slice(1);
    if (wanted.some((b) => !this.expanded[b])) {
      for (const b of wanted) this.expanded[b] = 1;
      this.update();
    }
    return this.rows.indexOf(isListed ? item : ~around[0]);
  }

  /** The row of what is around a row; -1 for that of the root. @param {number} index */
  parentRow(index) {
    const item = this.rows[index];
    const parent = item < 0 ? this.model.branchParent[~item] : this.model.nodeBranch[item];
    return parent < 0 ? -1 : this.rows.indexOf(~parent);
  }

  /**
   * The next row, going around, whose name begins with some text.
   * @param {string} prefix @param {number} from the index of the row to begin with
   * @returns {number} -1 where there is none
   */
  rowNamed(prefix, from) {
    const { rows } = this;
    for (let step = 0; step < rows.length; step++) {
      const index = (from + step) % rows.length;
      if (this.title(rows[index]).toLowerCase().startsWith(prefix)) return index;
    }
    return -1;
  }

  /** @param {number} item */
  title(item) {
    return item < 0 ? this.model.branchTitle(~item) : this.model.nodeTitle(item);
  }
}

/**
 * How many likes a repeat stands for; 0 for what is no repeat.
 * @param {GraphModel} model @param {number} item
 */
export function timesOf(model, item) {
  if (item >= 0 || model.kind(~item) !== 'repeat') return 0;
  const items = [...model.itemsOf(~item)];
  return items.filter((inner) => inner < 0).length || items.filter((n) => !model.isHidden(n)).length;
}

/**
 * The columns of figures that a program has.
 * @param {GraphModel} model
 * @param {() => boolean} [showsAll] whether operators count that are not drawn at first
 * @returns {Column[]}
 */
export function columnsOf(model, showsAll = () => false) {
  const measures = model === model.program.graphs[0] ? model.program.measures : [];
  return [
    {
      key: 'operators',
      label: 'Ops',
      title: 'Operators, with those of inner scopes; those that are not drawn at first count with Everything',
      of: (item) => (item < 0 && (showsAll() ? model.operatorCount(~item) : model.drawnCount[~item])) || NaN,
      text: human,
      hasBar: false,
    },
    {
      key: 'parameters',
      label: 'Params',
      title: 'Numbers in the distinct parameters that its operators read',
      of: (item) => (item < 0 ? model.parameters(~item) || NaN : NaN),
      text: human,
      hasBar: false,
    },
    ...measures.map((measure, at) => ({
      key: `measure ${at}`,
      label: measure.name,
      title: measure.isAdditive ? `${measure.name}, summed over each scope` : `${measure.name}, the most in each scope`,
      of: (/** @type {number} */ item) => (item < 0 ? measure.branches[~item] : measure.nodes[item]),
      text: (/** @type {number} */ figure) => (measure.unit.length > 1 ? quantity(figure, '').replace('B', 'G') : quantity(figure, measure.unit)),
      hasBar: true,
    })),
  ];
}

/**
 * A number with its unit as people read it: `1.2 ms`, `34 MiB`, `2.1 GFLOP`.
 * @param {number} figure @param {string} unit
 */
export function quantity(figure, unit) {
  if (Number.isNaN(figure)) return '';
  if (unit === 's') {
    const [size, name] = figure >= 1 ? [1, 's'] : figure >= 1e-3 ? [1e-3, 'ms'] : figure >= 1e-6 ? [1e-6, 'µs'] : [1e-9, 'ns'];
    return `${Number((figure / Number(size)).toPrecision(3))} ${name}`;
  }
  if (unit === 'B') {
    const step = Math.min(Math.floor(Math.log2(Math.max(Math.abs(figure), 1)) / 10), 4);
    const size = figure / 1024 ** step;
    return `${size >= 100 ? Math.round(size) : Number(size.toPrecision(3))} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][step]}`;
  }
  const short = human(figure);
  if (!unit || unit === '%') return short + unit;
  const [, digits, prefix] = /** @type {RegExpMatchArray} */ (short.match(/^(.*?)([kMBT]?)$/));
  return `${digits} ${prefix === 'B' ? 'G' : prefix}${unit}`;
}

/**
 * @param {number[]} items @param {(item: number) => number | string} key @param {boolean} isDescending
 * @returns {number[]} those without a figure last, equals in program order
 */
function sortedItems(items, key, isDescending) {
  const sign = isDescending ? -1 : 1;
  return items
    .map((item) => ({ item, by: key(item) }))
    .sort(({ by: a }, { by: b }) => {
      if (typeof a === 'string' && typeof b === 'string') return sign * a.localeCompare(b, 'en', { numeric: true });
      if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
      return sign * (Number(a) - Number(b));
    })
    .map(({ item }) => item);
}
