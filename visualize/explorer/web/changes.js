/** What became of nodes from one program to another, as two panes and a list show it. */

import { GraphModel } from './data.js';
import { Session } from './session.js';

/** @typedef {'added' | 'removed' | 'changed' | 'moved'} ChangeKind */

/** @typedef {{kind: ChangeKind, before: number, after: number, details: string[]}} Change  a node is -1 where
 *   there is none */

/** Signs and colours, which are never the only sign: the sign stands in every box. */
export const CHANGE_KINDS = {
  added: { sign: '+', light: '#c6f0cf', dark: '#1c4a2b' },
  removed: { sign: '−', light: '#ffd3d0', dark: '#5c1f24' },
  changed: { sign: '~', light: '#ffe9a8', dark: '#544117' },
  moved: { sign: '→', light: '#d4e4ff', dark: '#1d3a66' },
};

/** The changes of one side: what is to be seen of them at each item. */
export class Side {
  /** @param {Session} session @param {Change[]} changes @param {'before' | 'after'} side */
  constructor(session, changes, side) {
    this.session = session;
    /** @type {Map<number, Change>} by node */ this.of = new Map();
    for (const change of changes) if (change[side] >= 0) this.of.set(change[side], change);
    this.counts = Object.fromEntries(Object.keys(CHANGE_KINDS).map((kind) => [kind, countsBefore(session.model, this.of, kind)]));
    session.colours = { colour: (item) => this.colour(item), text: (item) => this.text(item) };
  }

  /** @param {number} item @returns {string | null} */
  colour(item) {
    const kind = item >= 0 ? this.of.get(item)?.kind : this.onlyKind(~item);
    return kind ? rgb(CHANGE_KINDS[kind][this.session.theme]) : null;
  }

  /** The kind of all nodes of a branch, if all changed alike. @param {number} branch @returns {ChangeKind | null} */
  onlyKind(branch) {
    const { model } = this.session;
    const size = model.end[branch] - model.first[branch];
    const kinds = /** @type {ChangeKind[]} */ (Object.keys(CHANGE_KINDS));
    return kinds.find((kind) => this.count(branch, kind) === size) ?? null;
  }

  /** How many nodes of a branch became something. @param {number} branch @param {string} kind */
  count(branch, kind) {
    const { model } = this.session;
    return this.counts[kind][model.end[branch]] - this.counts[kind][model.first[branch]];
  }

  /** @param {number} item */
  text(item) {
    if (item >= 0) {
      const change = this.of.get(item);
      if (!change) return '';
      return `${CHANGE_KINDS[change.kind].sign} ${change.details[0] ?? change.kind}`;
    }
    const parts = Object.entries(CHANGE_KINDS).map(([kind, { sign }]) => [sign, this.count(~item, kind)]);
    return parts.filter(([, count]) => count).map(([sign, count]) => `${sign}${count}`).join('  ');
  }

  /** Unfold what holds changes, as far as there is room, and fold all else. @param {number} room boxes */
  unfoldChanges(room) {
    const { session } = this;
    const { model, folding } = session;
    folding.fill(0);
    folding[0] = 1;
    let shown = model.itemStart[1];
    const pending = [0];
    for (const b of pending) {
      for (const item of model.itemsOf(b)) {
        if (item >= 0 || !this.holds(~item)) continue;
        const isRepeat = model.kind(~item) === 'repeat';
        const size = model.itemStart[~item + 1] - model.itemStart[~item];
        if (shown + size > room) continue;
        shown += size;
        folding[~item] = isRepeat ? 2 : 1;
        pending.push(~item);
      }
    }
    session.tell('folding', { branches: Array.from(folding.keys()), anchor: null });
  }

  /** Whether some but not all nodes of a branch changed, so that there is something to see inside. @param {number} branch */
  holds(branch) {
    const { model } = this.session;
    const size = model.end[branch] - model.first[branch];
    const count = Object.keys(CHANGE_KINDS).reduce((sum, kind) => sum + this.count(branch, kind), 0);
    return count > 0 && this.onlyKind(branch) === null && size > 1;
  }
}

/** @param {GraphModel} model @param {Map<number, Change>} changes @param {string} kind */
function countsBefore(model, changes, kind) {
  const counts = new Int32Array(model.nodeCount + 1);
  for (let n = 0; n < model.nodeCount; n++) counts[n + 1] = counts[n] + (changes.get(n)?.kind === kind ? 1 : 0);
  return counts;
}

/** @param {string} hex */
function rgb(hex) {
  return `rgb(${[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join(', ')})`;
}
