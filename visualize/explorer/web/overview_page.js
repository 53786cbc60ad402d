/** The inspector's page when nothing is selected: the program as a whole. */

import { operatorCounts } from './branch_facts.js';
import { counted, human, range } from './data.js';
import { el, jump } from './dom.js';
import { quantity } from './outline.js';
import { factName, facts, limitedList, nodeLink, operatorBars, remarkList, section } from './pieces.js';
import { Session } from './session.js';

const REMARK_ORDER = ['error', 'warning', 'info', 'guard'];

/** @param {Session} session @returns {(Node | null)[]} */
export function overviewPage(session) {
  const { model, program } = session;
  const isFirst = model === program.graphs[0];
  return [
    el('header', { class: 'insp-head' }, el('h2', { text: isFirst ? program.title : model.name }), el('p', { class: 'faint', text: isFirst ? program.subtitle : 'A function that the program calls' })),
    totals(session),
    isFirst ? remarksSection(session) : null,
    endsSection(session, 'Inputs', range(0, model.inputCount)),
    endsSection(session, 'Outputs', range(model.nodeCount - model.c.outputs, model.nodeCount)),
    frequentSection(session),
    functionsSection(session),
  ];
}

/** @param {Session} session */
function totals(session) {
  const { model, program } = session;
  const measures = model === program.graphs[0] ? program.measures : [];
  const all = model.operatorCount(0);
  const left = all - model.drawnCount[0];
  const entries = model.c.state.kind.length;
  return facts([
    ['Operators', all.toLocaleString('en') + (left ? `, ${left.toLocaleString('en')} of them not drawn at first` : '')],
    ['Blocks', `${(model.branchCount - 1).toLocaleString('en')}`],
    ['Parameters', model.parameters(0) > 0 && `${human(model.parameters(0))} (${model.parameters(0).toLocaleString('en')})`],
    ['State', entries > 0 && counted(entries, 'tensor')],
    ...measures.map((measure) => /** @type {[string, string]} */ ([factName(measure), quantity(measure.branches[0], measure.unit)])),
  ]);
}

/** @param {Session} session */
function remarksSection(session) {
  const rank = (/** @type {string} */ kind) => (REMARK_ORDER.indexOf(kind) + 5) % 5; // what is not listed comes last
  const remarks = [...session.program.remarks].sort((a, b) => rank(a.kind) - rank(b.kind));
  if (!remarks.length) return null;
  return section(`Remarks (${remarks.length})`, remarkList(session, remarks));
}

/** @param {Session} session @param {string} title @param {number[]} nodes */
function endsSection(session, title, nodes) {
  if (!nodes.length) return null;
  return section(`${title} (${nodes.length})`, limitedList(nodes, (n) => nodeLink(session, n), 12));
}

/** @param {Session} session */
function frequentSection(session) {
  const counts = operatorCounts(session.model, 0);
  if (!counts.length) return null;
  return section('Operators', operatorBars(session, counts, 10));
}

/** @param {Session} session */
function functionsSection(session) {
  const { graphs } = session.program;
  if (graphs.length < 2) return null;
  const others = graphs.filter((graph) => graph !== session.model);
  return section('Graphs', limitedList(others, (graph) => jump(graph === graphs[0] ? session.program.title : graph.name, () => session.showGraph(graph), 'Show this graph')));
}
