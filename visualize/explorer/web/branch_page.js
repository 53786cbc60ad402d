/** The inspector's page of a branch: a scope, a repeat, or what else can be folded. */

import { borders, operatorCounts, operatorsIn } from './branch_facts.js';
import { counted, GraphModel, human } from './data.js';
import { button, copyButton, el, jump, linkButton } from './dom.js';
import { quantity, timesOf } from './outline.js';
import { branchLink, factName, facts, limitedList, operatorBars, placedNodeLink, scopeCrumbs, section, sourcedValueLink, valueLink } from './pieces.js';
import { Session } from './session.js';
import { stateEntry } from './node_page.js';

/** @type {Record<string, string>} */
const KIND_WORDS = {
  root: 'the whole graph',
  module: 'a module',
  function: 'a function',
  operator: 'a composite operator',
  backward: 'the backward of a scope',
  optimizer: "an optimizer's step",
  region: 'a region that the program named',
  control: 'control flow',
  block: 'a block of control flow',
  repeat: 'neighbours that are alike',
  turn: 'one turn of a repetition',
  section: 'neighbours put together to save room',
};

/** @param {Session} session @param {number} b @returns {(Node | null)[]} */
export function branchPage(session, b) {
  const { inputs, outputs, state } = borders(session.model, b);
  return [
    branchHeading(session, b),
    branchFacts(session, b),
    likesSection(session, b),
    countsSection(session, b),
    valuesSection(session, 'Goes in', inputs, (v) => sourcedValueLink(session, v)),
    valuesSection(session, 'Comes out', outputs, (v) => producedValue(session, v)),
    valuesSection(session, 'State read inside', state, (v) => stateEntry(session, v)),
  ];
}

/** @param {Session} session @param {number} b */
function branchHeading(session, b) {
  const { model } = session;
  const nodes = operatorsIn(model, b);
  const times = timesOf(model, ~b);
  return el(
    'header',
    { class: 'insp-head' },
    b > 0 && scopeCrumbs(session, model.branchParent[b]),
    el('h2', {}, model.branchTitle(b), times > 0 && el('span', { class: 'tree-times', text: `×${times}` }), model.className(b) && el('span', { class: 'detail', text: model.className(b) })),
    model.address(b) && model.address(b) !== model.branchTitle(b) && el('p', { class: 'mono faint', text: model.address(b) }),
    el(
      'div',
      { class: 'insp-actions' },
      button('Show in graph', () => session.reveal(~b), { title: 'Bring it into view' }),
      button('Fold', () => session.setFold(b, 0), { title: 'Draw it as one box', disabled: b === 0 }),
      button('Unfold', () => session.unfoldAll(b), { title: 'Draw all that is inside' }),
      button('Mark', () => session.mark(nodes), { title: 'Mark its operators in the graph' }),
      copyButton('Copy IR', () => nodes.map((n) => model.irText(n)).join('\n'), 'Copy its lines of the graph'),
      linkButton(),
    ),
  );
}

/** @param {Session} session @param {number} b */
function branchFacts(session, b) {
  const { model, program } = session;
  const own = [...model.itemsOf(b)].filter((item) => item >= 0 && !model.isEnd(item) && !model.isHidden(item)).length;
  const inside = model.drawnCount[b];
  const left = model.operatorCount(b) - inside;
  const operators = own === inside || own === 0 ? inside.toLocaleString('en') : `${inside.toLocaleString('en')}, of them ${own} its own`;
  const calls = callsOf(session, b);
  const measures = model === program.graphs[0] ? program.measures : [];
  return facts([
    ['Kind', KIND_WORDS[model.kind(b)] ?? model.kind(b)],
    ['Call', calls.length > 1 && callsFact(session, b, calls)],
    ['Weights', weightsFact(model, b)],
    ['Operators', model.operatorCount(b) > 0 && operators],
    ['Left out', left > 0 && `${counted(left, 'operator')} that ${left === 1 ? 'is' : 'are'} not drawn at first`],
    ['Parameters', model.parameters(b) > 0 && `${human(model.parameters(b))} (${model.parameters(b).toLocaleString('en')})`],
    ...measures.map((measure) => /** @type {[string, string]} */ ([factName(measure), measureFact(measure, b)])),
  ]);
}

/** How likes share their parameters, in words. @param {GraphModel} model @param {number} b */
function weightsFact(model, b) {
  const note = model.note(b);
  return note.endsWith(' each') ? `${timesOf(model, ~b)} with distinct parameters, ${note}` : note;
}

/** @param {import('./data.js').Measure} measure @param {number} b */
function measureFact(measure, b) {
  const figure = measure.branches[b];
  const share = measure.isAdditive && b > 0 && measure.branches[0] ? ` · ${((figure / measure.branches[0]) * 100).toFixed(1)} % of all` : '';
  return Number.isNaN(figure) ? '' : quantity(figure, measure.unit) + share;
}

/** The branches of the same module, this one too. @param {Session} session @param {number} b @returns {number[]} */
function callsOf({ model }, b) {
  if (model.kind(b) !== 'module') return [];
  const found = [];
  for (let other = 0; other < model.branchCount; other++) {
    const isCall = model.kind(other) === 'module' && model.c.branches.address[other] === model.c.branches.address[b];
    if (isCall) found.push(other);
  }
  return found;
}

/** @param {Session} session @param {number} b @param {number[]} calls */
function callsFact(session, b, calls) {
  const others = calls.filter((other) => other !== b).slice(0, 8);
  const links = others.map((other) => jump(`${calls.indexOf(other) + 1}`, () => session.select({ kind: 'branch', id: other }, { reveal: true }), 'Go to this call'));
  return el('span', {}, `${calls.indexOf(b) + 1} of ${calls.length} of this module; others: `, ...links.flatMap((link) => [link, ' ']));
}

/** What a repeat stands for, or the scopes right inside. @param {Session} session @param {number} b */
function likesSection(session, b) {
  const inner = [...session.model.itemsOf(b)].filter((item) => item < 0).map((item) => ~item);
  if (!inner.length) return null;
  const entry = (/** @type {number} */ branch) =>
    el(
      'span',
      { class: 'item-link' },
      branchLink(session, branch),
      el('span', { class: 'faint', text: session.model.className(branch) }),
      el('span', { class: 'count', text: counted(session.model.drawnCount[branch], 'op') }),
    );
  return section(`${counted(inner.length, 'scope')} inside`, limitedList(inner, entry, 8));
}

/** @param {Session} session @param {number} b */
function countsSection(session, b) {
  const counts = operatorCounts(session.model, b);
  if (!counts.length) return null;
  return section('Operators', operatorBars(session, counts, 8));
}

/** @param {Session} session @param {string} title @param {number[]} values @param {(v: number) => Node} draw */
function valuesSection(session, title, values, draw) {
  if (!values.length) return null;
  return section(`${title} (${values.length.toLocaleString('en')})`, limitedList(values, draw, 10));
}

/** A value that leaves a branch: what makes it, and who reads it. @param {Session} session @param {number} v */
function producedValue(session, v) {
  const producer = session.model.producer(v);
  const link = valueLink(session, v);
  if (producer >= 0) link.append(el('span', { class: 'faint', text: '←' }), placedNodeLink(session, producer));
  return link;
}
