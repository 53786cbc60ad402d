/** The keyboard: every place of the graph can be reached, and everything done, without a pointer. */

import { FOLD } from './session.js';
import { GraphView } from './graphview.js';

/** What each key does, as the help shows it. @type {[string, string][]} */
export const KEYS = [
  ['/', 'search'],
  ['↓ ↑', 'to what reads the selection, to what it reads'],
  ['← →', 'to the neighbours beside it'],
  ['Enter', 'fold or unfold'],
  ['Backspace', 'to the block around it'],
  ['Space', 'into a block'],
  ['e c', 'unfold everything in it, fold everything in it'],
  ['p', 'path to another: press on the first, select the second, press again'],
  ['+ − 0', 'nearer, further, all of it'],
  ['h', 'back to the beginning'],
  ['i s', 'inspector, source'],
  ['t', 'light or dark'],
  ['Alt ← →', 'back and forward'],
  ['Esc', 'clear marks, then the selection'],
  ['?', 'this help'],
];

/**
 * @param {GraphView} view
 * @param {{search: () => void, help: () => void, tab: (name: string) => void, say: (text: string) => void}} actions
 */
export function listenForKeys(view, actions) {
  const { session } = view;
  /** @type {number | null} the first end of a path */ let pathStart = null;
  /** @type {Record<string, () => void>} */
  const everywhere = {
    '/': actions.search,
    '?': actions.help,
    '+': () => view.zoomBy(1.25),
    '=': () => view.zoomBy(1.25),
    '-': () => view.zoomBy(0.8),
    0: () => view.fit(),
    h: () => view.home(),
    i: () => actions.tab('inspector'),
    s: () => actions.tab('source'),
    t: () => session.setTheme(session.theme === 'dark' ? 'light' : 'dark'),
    Escape: () => {
      view.path = [];
      pathStart = null;
      if (session.marks.size) session.mark([]);
      else session.select(null);
    },
    e: () => session.unfoldAll(branchAt(view)),
    c: () => session.foldAll(branchAt(view)),
    p: () => {
      const node = session.selection?.kind === 'node' ? session.selection.id : null;
      if (node === null) actions.say('select an operator first');
      else if (pathStart === null) {
        pathStart = node;
        actions.say('now select the other end, and press p again');
      } else {
        view.path = pathBetween(view, pathStart, node);
        actions.say(view.path.length ? `a path over ${view.path.length - 1} edges` : 'no data flows from one to the other');
        pathStart = null;
        view.refresh();
      }
    },
  };
  /** @type {Record<string, () => void>} */
  const onGraph = {
    ArrowDown: () => step(view, 'consumers'),
    ArrowUp: () => step(view, 'producers'),
    ArrowLeft: () => stepBeside(view, -1),
    ArrowRight: () => stepBeside(view, 1),
    Enter: () => {
      if (session.selection?.kind === 'branch') session.toggle(session.selection.id);
    },
    Backspace: () => {
      if (!session.selection) return;
      const item = session.itemOf(session.selection);
      const around = item >= 0 ? session.model.nodeBranch[item] : session.model.branchParent[~item];
      if (around > 0) session.select({ kind: 'branch', id: around }, { reveal: true });
    },
    ' ': () => {
      if (session.selection?.kind !== 'branch') return;
      const { id } = session.selection;
      if (session.folding[id] === FOLD.CLOSED) session.setFold(id, FOLD.OPEN);
      const first = [...session.model.itemsOf(id)].find((item) => view.arrangement.flows.count(item) > 0);
      if (first !== undefined) session.select(view.selectionOf(first), { reveal: true });
    },
  };
  document.addEventListener('keydown', (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest('input, select, textarea, dialog') || event.ctrlKey || event.metaKey || event.altKey) return;
    const isOnGraph = target === view.canvas || target === document.body;
    const action = (isOnGraph && onGraph[event.key]) || (target.closest('[role=tree], [role=listbox]') ? null : everywhere[event.key]) || (event.key === '/' || event.key === '?' ? everywhere[event.key] : null);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/** The branch that is selected, or the root. @param {GraphView} view */
function branchAt({ session }) {
  return session.selection?.kind === 'branch' ? session.selection.id : 0;
}

/** Go to the nearest of what is connected. @param {GraphView} view @param {'consumers' | 'producers'} way */
function step(view, way) {
  const { session, picture } = view;
  const current = session.selection && picture.boxOf.get(view.arrangement.shownFor(session.itemOf(session.selection)));
  if (!session.selection) {
    if (picture.boxes.length) session.select(view.selectionOf(picture.boxes[0].item), { reveal: true });
    return;
  }
  const { into, outOf } = view.emphasis;
  const { flows } = view.arrangement;
  const found = new Map();
  for (const f of way === 'consumers' ? outOf : into) {
    const node = way === 'consumers' ? flows.target[f] : flows.source[f];
    const box = picture.boxOf.get(node) ?? picture.boxOf.get(view.arrangement.shownFor(node));
    if (box && box !== current) found.set(box.item, box);
  }
  const place = view.placeOf(session.itemOf(session.selection)) ?? { x: 0, y: 0, width: 0, height: 0 };
  const from = current ?? { x: place.x + place.width / 2, y: place.y + place.height / 2 };
  const nearest = [...found.values()].sort((a, b) => distance(a, from) - distance(b, from))[0];
  if (nearest) session.select(view.selectionOf(nearest.item), { reveal: true });
}

/** @param {{x: number, y: number}} a @param {{x: number, y: number}} b */
function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

/** Go to the neighbour in program order within the branch. @param {GraphView} view @param {number} by */
function stepBeside(view, by) {
  const { session } = view;
  if (!session.selection) return;
  const { model } = session;
  let item = session.itemOf(session.selection);
  let around = item >= 0 ? model.nodeBranch[item] : model.branchParent[~item];
  if (item >= 0 && view.arrangement.isLeaf(around) && around) {
    item = ~around;
    around = model.branchParent[around];
  }
  const beside = [...model.itemsOf(Math.max(around, 0))].filter((other) => view.arrangement.flows.count(other) > 0);
  const next = beside[beside.indexOf(item) + by];
  if (next !== undefined) session.select(view.selectionOf(next), { reveal: true });
}

/** The nodes of a shortest way that data takes; none where there is no way. @param {GraphView} view
 *  @param {number} from @param {number} to @returns {number[]} */
export function pathBetween(view, from, to) {
  return wayAlong(view, from, to) || wayAlong(view, to, from) || [];
}

/** @param {GraphView} view @param {number} from @param {number} to @returns {number[] | null} */
function wayAlong({ arrangement }, from, to) {
  const { flows } = arrangement;
  const before = new Map([[from, -1]]);
  for (const node of before.keys()) {
    if (node === to) break;
    for (let at = flows.outStart[node]; at < flows.outStart[node + 1]; at++) {
      const target = flows.target[flows.outFlow[at]];
      if (!before.has(target)) before.set(target, node);
    }
  }
  if (!before.has(to)) return null;
  const path = [];
  for (let node = to; node >= 0; node = before.get(node) ?? -1) path.push(node);
  return path.reverse();
}
