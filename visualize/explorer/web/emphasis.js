/**
 * What stands out in the graph: what is selected and what that reads and makes, what was found, and the
 * colours of a measure.
 */

import { GraphView } from './graphview.js';
import { quantity } from './outline.js';

// Blue to yellow in even steps of lightness, which the colour-blind can tell apart as well.
const RAMP = [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [253, 231, 37]];

/** @param {GraphView} view @returns {import('./painter.js').Emphasis} */
export function emphasisOf(view) {
  const { session, arrangement } = view;
  const { selection } = session;
  const shown = (/** @type {number} */ item) => onScreen(view, item);
  const { into, outOf } = touching(view);
  const colours = session.colours ?? measureColours(view);
  const node = (/** @type {number} */ item) => (item < 0 && arrangement.isLeaf(~item) ? arrangement.leafOf(~item) : item);
  return {
    selected: selection ? shown(session.itemOf(selection)) : null,
    hovered: view.hovered,
    marked: new Set([...session.marks].filter((n) => arrangement.flows.isDrawn[n]).map(shown)),
    path: new Set(view.path.map(shown)),
    wrong: new Set(wrongNodes(session).map(shown)),
    into,
    outOf,
    fill: (item) => (colours ? colours.colour(node(item)) : null),
    figure: (item) => (colours ? colours.text(node(item)) : ''),
  };
}

/** The colours of the measure that is chosen. @param {GraphView} view @returns {import('./session.js').ItemColours | null} */
function measureColours({ session }) {
  const scale = scaleOf(session);
  if (!scale) return null;
  const { nodes, branches } = scale.measure;
  const number = (/** @type {number} */ item) => (item >= 0 ? nodes[item] : branches[~item]);
  return { colour: (item) => scale.colour(number(item)), text: (item) => scale.text(number(item)) };
}

/** The nodes of errors; there are none in functions. @param {import('./session.js').Session} session */
function wrongNodes({ program, model }) {
  return model === program.graphs[0] ? program.remarks.flatMap((r) => (r.kind === 'error' ? r.nodes : [])) : [];
}

/** The item of the box or frame in which an item is seen. */
function onScreen(/** @type {GraphView} */ view, /** @type {number} */ item) {
  const { picture, arrangement } = view;
  if (item < 0 && picture.frameOf.has(~item)) return item;
  return picture.boxOf.get(item)?.item ?? picture.boxOf.get(arrangement.shownFor(item))?.item ?? arrangement.shownFor(item);
}

/** The flows that what is selected reads, and those that it makes. @param {GraphView} view */
function touching({ session, arrangement }) {
  const { model, selection } = session;
  const { flows } = arrangement;
  /** @type {Set<number>} */ const into = new Set();
  /** @type {Set<number>} */ const outOf = new Set();
  if (!selection) return { into, outOf };
  if (selection.kind === 'value') {
    for (let f = 0; f < flows.value.length; f++) if (flows.value[f] === selection.id) outOf.add(f);
    return { into, outOf };
  }
  const [low, high] = selection.kind === 'node' ? [selection.id, selection.id + 1] : [model.first[selection.id], model.end[selection.id]];
  const isInside = (/** @type {number} */ n) => n >= low && n < high;
  for (let f = flows.inStart[low]; f < flows.inStart[high]; f++) if (!isInside(flows.source[f])) into.add(f);
  for (let at = flows.outStart[low]; at < flows.outStart[high]; at++) {
    if (!isInside(flows.target[flows.outFlow[at]])) outOf.add(flows.outFlow[at]);
  }
  return { into, outOf };
}

/**
 * The colours of the measure that is chosen, as far as it is one of the graph that is shown.
 * @param {import('./session.js').Session} session
 */
export function scaleOf(session) {
  const measure = session.program.measures[session.measure];
  if (!measure || session.model !== session.program.graphs[0]) return null;
  const known = [...measure.nodes].filter((n) => !Number.isNaN(n));
  const least = known.reduce((a, b) => Math.min(a, b), Infinity);
  const most = known.reduce((a, b) => Math.max(a, b), -Infinity);
  const isSpread = least > 0 ? most / least > 100 : most > 100 && least >= 0;
  // What spans orders of magnitude is told apart by its logarithm.
  const level = (/** @type {number} */ n) => (isSpread ? Math.log(Math.max(n, 0) + 1) : n);
  const low = level(least);
  const width = level(most) - low || 1;
  return {
    measure,
    least,
    most,
    isSpread,
    missing: measure.nodes.length - known.length,
    /** @param {number} number @returns {string | null} */
    colour: (number) => (Number.isNaN(number) ? null : rampColour(Math.min(Math.max((level(number) - low) / width, 0), 1))),
    /** @param {number} number */
    text: (number) => (Number.isNaN(number) ? '' : quantity(number, measure.unit)),
  };
}

/** @param {number} at from 0 to 1 */
export function rampColour(at) {
  const place = at * (RAMP.length - 1);
  const k = Math.min(Math.floor(place), RAMP.length - 2);
  const [r, g, b] = RAMP[k].map((c, channel) => Math.round(c + (RAMP[k + 1][channel] - c) * (place - k)));
  return `rgb(${r}, ${g}, ${b})`;
}
