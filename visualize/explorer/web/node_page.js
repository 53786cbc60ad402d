/** The inspector's page of a node. */

import { counted, FLAG, human, PHASES } from './data.js';
import { button, copyButton, el, jump, linkButton } from './dom.js';
import { quantity } from './outline.js';
import { facts, limitedList, placedNodeLink, remarkList, scopeCrumbs, section, sourcedValueLink, stateKind, swatch, valueLink } from './pieces.js';
import { pythonCall } from './python_call.js';
import { Session } from './session.js';
import { sourceSection, stackSection } from './stack_view.js';

/** @type {[number, string][]} */
const FLAG_WORDS = [
  [FLAG.SIZES, 'arithmetic on sizes'],
  [FLAG.BOOKKEEPING, 'bookkeeping'],
  [FLAG.UNUSED, 'nothing uses its results'],
  [FLAG.IDENTITY, 'gives back what it is given'],
  [FLAG.WRITES, 'writes into what it is given'],
  [FLAG.BLOCKS, 'holds blocks that it runs'],
];

/** @param {Session} session @param {number} n @returns {(Node | null)[]} */
export function nodePage(session, n) {
  const { model } = session;
  const isFirst = model === session.program.graphs[0];
  const remarks = isFirst ? session.program.remarks.filter((remark) => remark.nodes.includes(n)) : [];
  return [
    nodeHeading(session, n),
    remarks.length ? section('Remarks', remarkList(session, remarks)) : null,
    nodeFacts(session, n),
    calleeSection(session, n),
    resultsSection(session, n),
    argsSection(session, n),
    stateSection(session, n),
    sourceSection(session, n),
    stackSection(session, n),
  ];
}

/** @param {Session} session @param {number} n */
function nodeHeading(session, n) {
  const { model } = session;
  return el(
    'header',
    { class: 'insp-head' },
    scopeCrumbs(session, model.nodeBranch[n]),
    el('h2', {}, swatch(session, model.family(n)), model.nodeTitle(n), model.nodeDetail(n) && el('span', { class: 'detail', text: model.nodeDetail(n) })),
    el('p', { class: 'mono faint', text: model.isEnd(n) ? `${model.operator(n)} of the graph` : model.operator(n) }),
    el(
      'div',
      { class: 'insp-actions' },
      button('Show in graph', () => session.reveal(n), { title: 'Unfold what is around it and bring it into view' }),
      copyButton('Copy IR', () => model.irText(n), 'Copy its line of the graph'),
      copyButton('Copy Python', () => pythonCall(model, n), 'Copy the call of torch that does the same'),
      linkButton(),
    ),
  );
}

/** @param {Session} session @param {number} n */
function nodeFacts(session, n) {
  const { model } = session;
  const words = FLAG_WORDS.filter(([flag]) => model.flags[n] & flag).map(([, word]) => word);
  const measures = model === session.program.graphs[0] ? session.program.measures : [];
  return facts([
    ['Scope', model.scope(n) && `${model.scope(n)}${model.scopeClass(n) ? ` (${model.scopeClass(n)})` : ''}`],
    ['Phase', !model.isEnd(n) && model.phase(n) > 0 && PHASES[model.phase(n)]],
    ['Modes', model.modes(n)],
    ['Notes', words.join(', ')],
    ['Drawn', hiddenFact(session, n)],
    ...measures.map((measure) => /** @type {[string, string]} */ ([measure.name, quantity(measure.nodes[n], measure.unit)])),
  ]);
}

/** @param {Session} session @param {number} n */
function hiddenFact(session, n) {
  if (session.isDrawn(n)) return null;
  if (!session.model.isHidden(n)) return 'not while its phase is hidden';
  return el('span', {}, 'left out at first; ', jump('draw everything', () => session.setShowsAll(true)));
}

/** @param {Session} session @param {number} n */
function calleeSection(session, n) {
  const name = session.model.callee(n);
  const graph = name ? session.program.graphNamed(name) : undefined;
  if (!graph) return null;
  const go = jump(name, () => session.showGraph(graph), 'Show the graph of this function');
  return section('Calls', el('p', {}, go, el('span', { class: 'faint', text: ` ${counted(graph.drawnCount[0], 'operator')}` })));
}

/** @param {Session} session @param {number} n */
function resultsSection(session, n) {
  const { model } = session;
  const results = model.isInput(n) ? [n] : model.results(n);
  if (!results.length) return null;
  const entry = (/** @type {number} */ v) => {
    const users = model.users(v);
    return el(
      'div',
      { class: 'result' },
      el('div', {}, valueLink(session, v, false), el('span', { class: 'type', text: model.valueType(v) })),
      users.length
        ? el('div', { class: 'users' }, el('span', { class: 'faint', text: `used by ${users.length === 1 ? '' : users.length}` }), limitedList(users, (user) => placedNodeLink(session, user)))
        : el('span', { class: 'faint', text: 'nothing uses it' }),
    );
  };
  return section(results.length === 1 ? 'Result' : `${results.length} results`, limitedList(results, entry));
}

/** @param {Session} session @param {number} n */
function argsSection(session, n) {
  const args = session.model.args(n);
  if (!args.length) return null;
  const rows = args.map((arg, at) => el('tr', {}, el('th', { scope: 'row', text: arg.name || `${at}` }), el('td', {}, argument(session, arg))));
  return section(session.model.isOutput(n) ? 'Gives out' : 'Arguments', el('table', { class: 'insp-args' }, el('tbody', {}, ...rows)));
}

/** A literal, a value with its producer, or a list of both. @param {Session} session @param {import('./data.js').Arg} arg */
function argument(session, arg) {
  if (arg.text === '\x01') return sourcedValueLink(session, arg.values[0]);
  if (/^\[\x01(, \x01)*\]$/.test(arg.text)) return limitedList(arg.values, (v) => sourcedValueLink(session, v), 8);
  const pieces = arg.text.split('\x01');
  return el('span', { class: 'mono literal' }, ...pieces.flatMap((piece, at) => [at > 0 && valueLink(session, arg.values[at - 1], false), piece]));
}

/** @param {Session} session @param {number} n */
function stateSection(session, n) {
  const { model } = session;
  const values = [...new Set(model.args(n).flatMap((arg) => arg.values))].filter((v) => model.isState(v));
  if (!values.length) return null;
  return section('Parameters and buffers', limitedList(values, (v) => stateEntry(session, v)));
}

/** An entry of the state with all that is known of it. @param {Session} session @param {number} v */
export function stateEntry(session, v) {
  const { model, program } = session;
  const { names, elements } = model.state(v);
  const notes = names.filter((name) => Object.hasOwn(program.stateNotes, name)).map((name) => program.stateNotes[name]);
  const users = model.users(v).length;
  return el(
    'div',
    { class: 'state' },
    el('div', {}, valueLink(session, v, false), el('span', { class: 'badge', text: stateKind(session, v) })),
    el('div', { class: 'faint' }, [model.valueType(v), elements ? `${human(elements)} numbers` : '', users > 1 ? `read by ${users} operators` : ''].filter(Boolean).join(' · ')),
    names.length > 1 && el('div', { class: 'faint', text: `one tensor under ${names.length} names: ${names.join(', ')}` }),
    notes.length > 0 && el('div', { class: 'faint', text: notes.join(' · ') }),
  );
}
