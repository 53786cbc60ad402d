/** Pieces that the inspector's pages are made of: sections, links to items, lists that open. */

import { counted } from './data.js';
import { button, el, jump } from './dom.js';
import { Session } from './session.js';

/** @typedef {import('./dom.js').Child} Child */

/** @param {string} title @param {...Child} children */
export function section(title, ...children) {
  return el('section', { class: 'insp-section' }, el('h3', { text: title }), ...children);
}

/**
 * Rows of a name and what there is to say; rows without that are left out.
 * @param {[string, Child][]} rows
 */
export function facts(rows) {
  const known = rows.filter(([, fact]) => fact);
  return el('dl', { class: 'facts' }, ...known.flatMap(([name, fact]) => [el('dt', { text: name }), el('dd', {}, fact)]));
}

/**
 * A list that shows its beginning, and more when asked.
 * @template T
 * @param {T[]} items @param {(item: T) => Child} draw @param {number} [most]
 */
export function limitedList(items, draw, most = 20) {
  const list = el('ul', { class: 'insp-list' });
  const entry = (/** @type {T} */ item) => el('li', {}, draw(item));
  list.append(...items.slice(0, most).map(entry));
  let shown = most;
  const addMore = () => {
    const next = items.slice(shown, shown + 100);
    shown += next.length;
    list.append(...next.map(entry));
    more.textContent = moreText();
    if (shown >= items.length) more.remove();
  };
  const moreText = () => `Show ${Math.min(items.length - shown, 100)} more of ${items.length.toLocaleString('en')}`;
  const more = button('', addMore, { class: 'show-more' });
  if (items.length <= most) return list;
  more.textContent = moreText();
  return el('div', {}, list, more);
}

/** A node by its title, which leads there. @param {Session} session @param {number} n */
export function nodeLink(session, n) {
  const { model } = session;
  const go = () => session.select({ kind: 'node', id: n }, { reveal: true });
  return el(
    'span',
    { class: 'item-link' },
    swatch(session, model.family(n)),
    jump(model.nodeTitle(n) || model.operator(n), go, model.irText(n)),
    model.nodeDetail(n) && el('span', { class: 'faint', text: model.nodeDetail(n) }),
  );
}

/** A node with the scope that it stands in. @param {Session} session @param {number} n */
export function placedNodeLink(session, n) {
  const scope = session.model.scope(n);
  const link = nodeLink(session, n);
  if (scope) link.append(el('span', { class: 'faint scope-of', text: scope, title: scope }));
  return link;
}

/** A value by its name, which leads there. @param {Session} session @param {number} v @param {boolean} [withType] */
export function valueLink(session, v, withType = true) {
  const { model } = session;
  const go = () => session.select({ kind: 'value', id: v });
  return el(
    'span',
    { class: 'item-link' },
    jump(`%${model.valueName(v)}`, go, `${model.valueName(v)} : ${model.valueType(v)}`),
    withType && el('span', { class: 'faint', text: model.valueShape(v), title: model.valueType(v) }),
  );
}

/** `parameter`, `buffer`, `constant` or `number` @param {Session} session @param {number} v */
export function stateKind(session, v) {
  const { kind } = session.model.state(v);
  return kind === 'state' ? 'parameter' : kind; // as the text of a graph calls it
}

/** A value with the node that makes it, each leading there. @param {Session} session @param {number} v */
export function sourcedValueLink(session, v) {
  const producer = session.model.producer(v);
  const link = valueLink(session, v);
  if (producer < 0) link.append(el('span', { class: 'badge', text: stateKind(session, v) }));
  else link.append(el('span', { class: 'faint', text: '←' }), nodeLink(session, producer));
  return link;
}

/** @param {Session} session @param {number} b */
export function branchLink(session, b) {
  return jump(session.model.branchTitle(b), () => session.select({ kind: 'branch', id: b }, { reveal: true }), session.model.address(b));
}

/** The branches around something, from the root, each leading there. @param {Session} session @param {number} b the innermost */
export function scopeCrumbs(session, b) {
  const around = session.model.branchesAround(b).reverse();
  return el('nav', { class: 'insp-crumbs', 'aria-label': 'Scopes around it' }, ...around.flatMap((branch, at) => [at > 0 && el('span', { class: 'faint', text: '›' }), branchLink(session, branch)]));
}

/** A spot in the colour of a family. @param {Session} session @param {number} family -1 for inputs and outputs */
export function swatch(session, family) {
  const palette = session.program.palettes[session.theme];
  const [fill, border] = family < 0 ? palette.ends : palette.families[family];
  return el('span', { class: 'swatch', 'aria-hidden': 'true', style: `background: ${fill}; border-color: ${border}` });
}

/**
 * Operators by how many there are, each marking all of its kind.
 * @param {Session} session @param {{operator: string, nodes: number[]}[]} counts the most frequent first
 * @param {number} most how many are shown at first
 */
export function operatorBars(session, counts, most) {
  const entry = (/** @type {{operator: string, nodes: number[]}} */ { operator, nodes }) =>
    el(
      'div',
      { class: 'bar-row' },
      jump(operator, () => session.mark(nodes), `Mark ${counted(nodes.length, 'operator')}`),
      el('span', { class: 'bar-track' }, el('span', { style: `width: ${(nodes.length / counts[0].nodes.length) * 100}%` })),
      el('span', { class: 'count', text: nodes.length.toLocaleString('en') }),
    );
  return limitedList(counts, entry, most);
}

/**
 * Remarks, each leading to its first node and marking all of them.
 * @param {Session} session @param {import('./data.js').Remark[]} remarks
 */
export function remarkList(session, remarks) {
  return limitedList(remarks, (remark) => remarkEntry(session, remark));
}

/** @param {Session} session @param {import('./data.js').Remark} remark */
function remarkEntry(session, remark) {
  const frame = session.program.frame(remark.frame);
  const go = () => {
    session.mark(remark.nodes);
    if (remark.nodes.length) session.select({ kind: 'node', id: remark.nodes[0] }, { reveal: true });
    if (frame) session.tell('source', { file: frame.file, line: frame.line });
  };
  const count = remark.nodes.length;
  return el(
    'div',
    { class: `remark is-${remark.kind}` },
    el('span', { class: 'badge', text: remark.kind }),
    el(
      'div',
      {},
      jump(remark.title, go, count ? 'Show what it concerns' : 'Show the line'),
      remark.hint && el('p', { class: 'hint', text: remark.hint }),
      el('p', { class: 'faint' }, frame && `${frame.file}:${frame.line}`, frame && count > 1 && ' · ', count > 1 && `${count} operators`),
    ),
  );
}

/** What a measure is of a scope: the sum of what is in it, or the largest. @param {import('./data.js').Measure} measure */
export function factName(measure) {
  return measure.isAdditive ? measure.name : `largest ${measure.name}`;
}
