/** The page: its parts, put together. */

import { Program, unpack } from './data.js';
import { Session } from './session.js';
import { GraphView } from './graphview.js';
import { Minimap } from './minimap.js';
import { ScopeTree } from './tree.js';
import { Inspector } from './inspector.js';
import { SourceView } from './sources.js';
import { SearchBox } from './searchbox.js';
import { legend, toolbar } from './chrome.js';
import { KEYS, listenForKeys } from './keys.js';
import { SideBySide } from './sidebyside.js';
import { followAddress } from './address.js';
import { helpDialog } from './help.js';
import { button, el } from './dom.js';

const LEAST_PANEL = 140; // pixels

/** @param {HTMLElement} root @param {any} document_ what the page holds */
export function start(root, document_) {
  const session = new Session(new Program(document_));
  session.theme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  const setTheme = () => (document.documentElement.dataset.theme = session.theme);
  session.watch(['theme'], setTheme);
  setTheme();
  const toast = el('div', { class: 'toast' });
  const live = el('div', { class: 'live' });
  live.setAttribute('aria-live', 'polite');
  let hiding = 0;
  const say = (/** @type {string} */ text) => {
    toast.textContent = text;
    toast.classList.add('is-shown');
    live.textContent = text;
    clearTimeout(hiding);
    hiding = window.setTimeout(() => toast.classList.remove('is-shown'), 3500);
  };
  const search = el('div', { class: 'search' });
  const bar = el('header', { class: 'topbar' }, el('h1', { title: session.program.title }, session.program.title), el('span', { class: 'subtitle' }, session.program.subtitle), search);
  const left = el('nav', { class: 'panel' });
  left.setAttribute('aria-label', 'Scopes');
  const stage = el('main', { class: 'stage' });
  const right = el('aside', { class: 'panel' });
  root.append(bar, left, splitter(root, '--left', 1), stage, splitter(root, '--right', -1), right);
  const graph = el('div', { class: 'graph' });
  stage.append(graph, legend(session));
  const view = new GraphView(session, graph);
  const help = helpDialog(KEYS, 'Scroll to move, Ctrl and scroll to zoom, drag to move. Click selects; a double click folds and unfolds. A run of equal blocks shows the first of them, then all.');
  graph.append(whereabouts(view), toast, live, help);
  new Minimap(view, graph);
  const tab = tabs(right, session);
  new ScopeTree(session, left);
  const box = new SearchBox(session, search);
  const showHelp = () => help.showModal();
  bar.append(toolbar(view, say), button('?', showHelp, { title: 'Help: what every key does', 'aria-label': 'Help' }));
  listenForKeys(view, { search: () => box.focus(), help: showHelp, tab, say });
  session.watch(['selection'], () => (live.textContent = describe(view)));
  const wrong = session.program.remarks.find((remark) => remark.kind === 'error' && remark.nodes.length);
  if (wrong && location.hash.length < 2) session.select({ kind: 'node', id: wrong.nodes[0] }, { reveal: true });
  followAddress(session);
  return { session, view };
}

/** What is selected, for those who do not see it. @param {GraphView} view */
function describe({ session, emphasis }) {
  const { selection, model } = session;
  if (!selection) return 'nothing selected';
  const edges = `${emphasis.into.size} in, ${emphasis.outOf.size} out`;
  const said = (/** @type {string[]} */ ...words) => words.filter(Boolean).join(' ');
  if (selection.kind === 'branch') return `${said(model.branchTitle(selection.id), model.className(selection.id))}, ${session.folding[selection.id] ? 'unfolded' : 'folded'}, ${edges}`;
  if (selection.kind === 'value') return `value ${model.valueName(selection.id)} ${model.valueType(selection.id)}`;
  return `${said(model.nodeTitle(selection.id), model.nodeDetail(selection.id))}, ${edges}`;
}

/** Two views of what is selected, of which one is shown. @param {HTMLElement} element @param {Session} session */
function tabs(element, session) {
  const list = el('div', { class: 'tabs' });
  list.setAttribute('role', 'tablist');
  element.append(list);
  /** @type {Record<string, [HTMLElement, HTMLElement]>} */
  const parts = {};
  const show = (/** @type {string} */ name) => {
    for (const [other, [handle, body]] of Object.entries(parts)) {
      body.hidden = other !== name;
      handle.setAttribute('aria-selected', `${other === name}`);
    }
  };
  for (const [name, label] of [['inspector', 'Inspector'], ['source', 'Source']]) {
    const body = el('div', { class: 'tab-body' });
    body.setAttribute('role', 'tabpanel');
    const handle = button(label, () => show(name));
    handle.setAttribute('role', 'tab');
    list.append(handle);
    element.append(body);
    parts[name] = [handle, body];
  }
  new Inspector(session, parts.inspector[1]);
  new SourceView(session, parts.source[1]);
  session.watch(['source'], () => show('source'));
  show('inspector');
  return show;
}

/** The branches in which what is in the middle stands, where their titles are out of sight. @param {GraphView} view */
function whereabouts(view) {
  const line = el('div', { class: 'whereabouts' });
  let shown = '';
  view.watchers.push(() => {
    const { session, size, picture } = view;
    const middle = view.frameAt(size.width / 2, size.height / 2);
    const around = middle < 0 ? [] : session.model.branchesAround(middle).reverse();
    const hidden = around.filter((b) => (picture.frameOf.get(b)?.y ?? Infinity) < view.view.y - 8);
    if (shown === hidden.join()) return;
    shown = hidden.join();
    const select = (/** @type {number} */ b) => session.select({ kind: 'branch', id: b }, { reveal: true });
    line.replaceChildren(...hidden.map((b) => button(session.model.branchTitle(b), () => select(b))));
  });
  return line;
}

/** A border that can be dragged. @param {HTMLElement} root @param {string} property @param {1 | -1} sign */
function splitter(root, property, sign) {
  const bar = el('div', { class: 'splitter', tabindex: 0 });
  bar.setAttribute('role', 'separator');
  bar.setAttribute('aria-orientation', 'vertical');
  bar.setAttribute('aria-label', property === '--left' ? 'Width of the tree' : 'Width of the inspector');
  const width = () => (sign > 0 ? bar.previousElementSibling : bar.nextElementSibling)?.getBoundingClientRect().width ?? 0;
  const set = (/** @type {number} */ wanted) => root.style.setProperty(property, `${Math.min(Math.max(wanted, LEAST_PANEL), window.innerWidth * 0.45)}px`);
  bar.addEventListener('pointerdown', (event) => {
    bar.setPointerCapture(event.pointerId);
    const [start, from] = [event.clientX, width()];
    const move = (/** @type {PointerEvent} */ moved) => set(from + sign * (moved.clientX - start));
    bar.addEventListener('pointermove', move);
    bar.addEventListener('pointerup', () => bar.removeEventListener('pointermove', move), { once: true });
  });
  bar.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -20, ArrowRight: 20 }[event.key];
    if (by) set(width() + sign * by);
  });
  return bar;
}

/** Open the page. */
function open() {
  const root = /** @type {HTMLElement} */ (document.getElementById('app'));
  const held = /** @type {HTMLElement} */ (document.getElementById('data'));
  unpack(held.textContent ?? '').then(
    (content) => Object.assign(window, { __explorer: content.before ? new SideBySide(root, content) : start(root, content) }),
    (error) => root.append(el('p', { class: 'failure' }, `This page is damaged: ${error}`)),
  );
}

open();
