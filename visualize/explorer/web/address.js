/**
 * The address of what is seen, in the part of the page's address behind `#`: which graph, what is selected,
 * and what is folded otherwise than at first. Back and forward go through what was selected.
 */

import { range } from './data.js';
import { Session } from './session.js';

/** @param {Session} session @returns {string} without the `#` */
export function addressOf(session) {
  const { model, selection, folding } = session;
  const parts = [];
  const graph = session.program.graphs.indexOf(model);
  if (graph) parts.push(`g=${graph}`);
  if (selection) parts.push(`s=${selection.kind[0]}${selection.id}`);
  const folds = range(0, model.branchCount).filter((b) => folding[b] !== Number(model.isOpenAtFirst(b)));
  if (folds.length && folds.length < 400) parts.push(`f=${folds.map((b) => `${b}.${folding[b]}`).join('_')}`);
  if (session.direction === 'LR') parts.push('d=LR');
  if (session.measure >= 0) parts.push(`m=${session.measure}`);
  return parts.join('&');
}

/** Show what an address says, as far as there is such a thing. @param {Session} session @param {string} address */
export function goTo(session, address) {
  const parts = new Map(address.split('&').map((part) => /** @type {[string, string]} */ ([part[0], part.slice(2)])));
  const graph = session.program.graphs[Number(parts.get('g') ?? 0)];
  if (graph) session.showGraph(graph);
  const { model, folding } = session;
  const direction = parts.get('d') === 'LR' ? 'LR' : 'TB';
  if (direction !== session.direction) session.setDirection(direction);
  const asked = Number(parts.get('m') ?? -1);
  const measure = asked in session.program.measures ? asked : -1;
  if (measure !== session.measure) session.setMeasure(measure);
  const wanted = new Map((parts.get('f') ?? '').split('_').map((fold) => /** @type {[number, number]} */ (fold.split('.').map(Number))));
  const changed = range(1, model.branchCount).filter((b) => {
    const fold = wanted.get(b) ?? Number(model.isOpenAtFirst(b));
    if (fold === folding[b] || !(fold >= 0 && fold <= 2)) return false;
    folding[b] = fold;
    return true;
  });
  if (changed.length) session.tell('folding', { branches: changed, anchor: null });
  const match = /^([nbv])(\d+)$/.exec(parts.get('s') ?? '');
  if (!match) {
    session.select(null);
    return;
  }
  const kind = /** @type {'node' | 'branch' | 'value'} */ ({ n: 'node', b: 'branch', v: 'value' }[match[1]]);
  const id = Number(match[2]);
  const count = { node: model.nodeCount, branch: model.branchCount, value: model.valueCount }[kind];
  if (id < count) session.select({ kind, id }, { reveal: true });
}

/** Keep the page's address and what is seen the same. @param {Session} session */
export function followAddress(session) {
  let isMoving = false;
  let last = '';
  const note = (/** @type {boolean} */ isStep) => {
    if (isMoving) return;
    const address = addressOf(session);
    if (address === last) return;
    last = address;
    const url = `#${address}`;
    try {
      if (isStep) history.pushState(null, '', url);
      else history.replaceState(null, '', url);
    } catch (error) {
      if (!(error instanceof DOMException)) throw error; // a page inside another may have no address
    }
  };
  const go = () => {
    isMoving = true;
    goTo(session, location.hash.slice(1));
    isMoving = false;
    last = addressOf(session);
  };
  if (location.hash.length > 1) go();
  window.addEventListener('popstate', go);
  window.addEventListener('hashchange', () => {
    if (location.hash.slice(1) !== last) go();
  });
  session.watch(['selection', 'graph'], () => note(true));
  session.watch(['folding', 'view'], () => note(false));
}
