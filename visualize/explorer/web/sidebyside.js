/** The page of two programs: both graphs, what became of each node, and a list of that. */

import { Program } from './data.js';
import { Session } from './session.js';
import { GraphView } from './graphview.js';
import { Minimap } from './minimap.js';
import { Inspector } from './inspector.js';
import { CHANGE_KINDS, Side } from './changes.js';
import { helpDialog } from './help.js';
import { button, el } from './dom.js';

/** What each key does, as the help shows it. @type {[string, string][]} */
const DIFF_KEYS = [
  ['n p', 'the next change, the one before; both graphs show its place'],
  ['+ − 0', 'nearer, further, all of it'],
  ['h', 'back to the beginning'],
  ['t', 'light or dark'],
  ['?', 'this help'],
];

const ROOM = 120; // boxes that a pane shows at first, about

/** @typedef {import('./changes.js').Change} Change */

export class SideBySide {
  /** @param {HTMLElement} root @param {any} content what the page holds */
  constructor(root, content) {
    root.classList.add('comparison');
    const { kind, before, after, details } = content.changes;
    /** @type {Change[]} */
    this.changes = kind.map((/** @type {any} */ k, /** @type {number} */ at) => ({ kind: k, before: before[at], after: after[at], details: details[at] }));
    /** @type {Session[]} */ this.sessions = [content.before, content.after].map((one) => new Session(new Program(one)));
    this.sides = this.sessions.map((session, at) => new Side(session, this.changes, at ? 'after' : 'before'));
    /** @type {Map<number, number>[]} the node of the other pane for each */
    this.other = [new Map(), new Map()];
    content.matches.before.forEach((/** @type {number} */ one, /** @type {number} */ at) => this.#pair(one, content.matches.after[at]));
    for (const change of this.changes) if (change.before >= 0 && change.after >= 0) this.#pair(change.before, change.after);
    this.at = -1;
    this.isFollowing = false;
    /** @type {GraphView[]} */ this.views = [];
    this.#build(root, content);
    this.sides.forEach((side) => side.unfoldChanges(ROOM));
    this.views.forEach((view) => view.home());
    this.sessions.forEach((session, at) => session.watch(['selection'], () => this.#follow(at)));
    if (this.changes.length) this.show(0);
  }

  /** @param {number} before @param {number} after */
  #pair(before, after) {
    this.other[0].set(before, after);
    this.other[1].set(after, before);
  }

  /** @param {HTMLElement} root @param {any} content */
  #build(root, content) {
    const theme = () => {
      const isDark = document.documentElement.dataset.theme !== 'dark';
      document.documentElement.dataset.theme = isDark ? 'dark' : 'light';
      for (const session of this.sessions) session.setTheme(isDark ? 'dark' : 'light');
    };
    document.documentElement.dataset.theme = matchMedia('(prefers-color-scheme: dark)').matches ? 'light' : 'dark';
    const counts = Object.entries(CHANGE_KINDS).map(([kind, { sign }]) => {
      const count = this.changes.filter((change) => change.kind === kind).length;
      return count ? el('span', { class: `change-${kind}` }, `${sign} ${count} ${kind}`) : null;
    });
    const bar = el('header', { class: 'topbar' }, el('h1', {}, content.title), el('span', { class: 'change-counts' }, ...counts));
    bar.append(
      el('span', { class: 'bar-tools' }, button('↑', () => this.show(this.at - 1), { title: 'The change before (p)', 'aria-label': 'The change before' }), button('↓', () => this.show(this.at + 1), { title: 'The next change (n)', 'aria-label': 'The next change' }), button('◐', theme, { title: 'Light or dark', 'aria-label': 'Light or dark' }), button('?', () => help.showModal(), { title: 'Help: what every key does', 'aria-label': 'Help' })),
    );
    const help = helpDialog(DIFF_KEYS, 'A click on a change shows it in both graphs. What is selected in one graph is selected in the other, if it is there. A double click folds and unfolds.');
    bar.append(help);
    this.list = el('ol', { class: 'change-list', tabindex: 0, 'aria-label': 'Changes' });
    const left = el('nav', { class: 'panel', 'aria-label': 'What changed' });
    const notes = content.notes.map((/** @type {string} */ note) => el('li', {}, note));
    if (notes.length) left.append(el('ul', { class: 'change-notes' }, ...notes));
    if (!this.changes.length) left.append(el('p', { class: 'change-none' }, 'Every operator is the same.'));
    left.append(this.list);
    root.append(bar, left);
    this.views = this.sessions.map((session, at) => {
      const graph = el('div', { class: 'graph' });
      const pane = el('main', { class: 'stage', 'aria-label': content.names[at] }, el('div', { class: 'pane-name' }, content.names[at]), graph);
      root.append(pane);
      const view = new GraphView(session, graph);
      new Minimap(view, graph);
      return view;
    });
    const right = el('aside', { class: 'panel inspectors' });
    this.inspectors = this.sessions.map((session) => {
      const body = el('div', { class: 'tab-body' });
      new Inspector(session, body);
      return body;
    });
    right.append(...this.inspectors);
    root.append(right);
    theme();
    this.#fillList();
    document.addEventListener('keydown', (event) => {
      const isInDialog = event.target instanceof Element && event.target.closest('dialog');
      if (event.ctrlKey || event.metaKey || event.altKey || isInDialog) return;
      const step = { n: 1, p: -1 }[event.key];
      if (step) this.show(this.at + step);
      const views = this.views;
      const actions = { '+': () => views.forEach((v) => v.zoomBy(1.25)), '-': () => views.forEach((v) => v.zoomBy(0.8)), 0: () => views.forEach((v) => v.fit()), h: () => views.forEach((v) => v.home()), t: theme, '?': () => help.showModal() };
      /** @type {Record<string, () => void>} */ (actions)[event.key]?.();
    });
  }

  #fillList() {
    let scope = '';
    /** @type {HTMLElement[]} */
    this.rows = this.changes.map((change, at) => {
      const side = change.after >= 0 ? 1 : 0;
      const node = change.after >= 0 ? change.after : change.before;
      const { model } = this.sessions[side];
      if (model.scope(node) !== scope) {
        scope = model.scope(node);
        this.list?.append(el('li', { class: 'change-scope' }, scope || model.name));
      }
      const row = el('li', { class: `change change-${change.kind}`, onclick: () => this.show(at) }, el('b', {}, `${CHANGE_KINDS[change.kind].sign} ${model.nodeTitle(node)}`), el('span', { class: 'faint' }, ` ${model.nodeDetail(node)}`));
      for (const detail of change.details) row.append(el('div', { class: 'change-detail' }, detail));
      this.list?.append(row);
      return row;
    });
  }

  /** Show a change in both panes. @param {number} at */
  show(at) {
    const change = this.changes[at];
    if (!change) return;
    this.at = at;
    this.rows?.forEach((row, other) => row.classList.toggle('is-current', other === at));
    this.rows?.[at].scrollIntoView({ block: 'nearest' });
    this.isFollowing = true;
    [change.before, change.after].forEach((node, side) => {
      const session = this.sessions[side];
      if (node >= 0) session.select({ kind: 'node', id: node }, { reveal: true });
      else {
        session.select(null);
        this.#showNear(side, change);
      }
    });
    this.isFollowing = false;
  }

  /** Bring into view where a node would be that this side has not: beside what it reads, or is read by, there.
   *  @param {number} side @param {Change} change */
  #showNear(side, change) {
    const from = 1 - side;
    const { model } = this.sessions[from];
    const node = from ? change.after : change.before;
    const around = [...model.producers(node), ...model.consumers(node)];
    const near = around.map((n) => this.other[from].get(n)).find((n) => n !== undefined);
    if (near !== undefined) this.sessions[side].reveal(near);
  }

  /** Select in the other pane what was selected in one. @param {number} side */
  #follow(side) {
    if (this.isFollowing) return;
    const { selection } = this.sessions[side];
    if (selection?.kind !== 'node') return;
    const other = this.other[side].get(selection.id);
    this.isFollowing = true;
    this.sessions[1 - side].select(other === undefined ? null : { kind: 'node', id: other }, { reveal: other !== undefined });
    this.isFollowing = false;
  }
}
