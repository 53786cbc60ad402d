/** How each part of a picture looks, wherever it is drawn: on a canvas, in an SVG, as DOT. */

/** @typedef {import('./arrangement.js').Box} Box */
/** @typedef {import('./arrangement.js').Edge} Edge */
/** @typedef {import('./arrangement.js').Frame} Frame */

export const FRAME_RADIUS = 9;
export const GATE_RADIUS = 2.5;
export const STUB_HEIGHT = 14;
/** How far the cards behind a folded run stick out, the last first. */
export const CARDS = [8, 4];

const EDGE_DASH = [4, 3];
const STACK_DASH = [5, 4];

/** The colours of a box, of its inside and its border. @param {Box} box @param {any} palette @returns {[string, string]} */
export function tintOf(box, palette) {
  if (box.kind === 'end') return palette.ends;
  return box.family >= 0 ? palette.families[box.family] : palette.scope;
}

/** @param {Box} box */
export function radiusOf(box) {
  if (box.kind === 'end') return box.height / 2;
  return box.kind === 'operator' ? 6 : 8;
}

/** What stands below the title of a box: a number by which it is coloured, or else what it says.
 *  @param {Box} box @param {{figure: (item: number) => string}} emphasis */
export function detailOf(box, emphasis) {
  return emphasis.figure(box.item) || box.detail;
}

/** Where the lines of a box's text are, from its middle. @param {string} detail */
export function textPlaces(detail) {
  return { title: detail ? -7 : 0, detail: 8 };
}

/** The colours of an unfolded branch. @param {Frame} frame @param {any} palette */
export function frameTint(frame, palette) {
  const fills = palette.frames;
  return { fill: fills[Math.min(frame.depth, fills.length - 1)], line: frame.isStack ? palette.scope[1] : palette.frame };
}

/** @param {Frame} frame */
export function frameDash(frame) {
  return frame.isStack ? STACK_DASH : [];
}

/** @param {Edge['style']} style @param {any} palette @returns {string} */
export function edgeColour(style, palette) {
  return { flow: palette.line, back: palette.line, skip: palette.skip, write: palette.write }[style];
}

/** @param {Edge['style']} style */
export function edgeDash(style) {
  return style === 'back' || style === 'write' ? EDGE_DASH : [];
}

/** What an edge says: its shape where that changes, and for how many it stands. @param {Edge} edge */
export function edgeText(edge) {
  return edge.count > 1 ? [edge.label, `×${edge.count}`].filter(Boolean).join('  ') : edge.label;
}

/** @param {{title: string}} stub */
export function stubText(stub) {
  return `${stub.title} ▸`;
}

/** Black or white, whichever can be read on a colour. @param {string} colour as `rgb(r, g, b)` */
export function inkOn(colour) {
  const [r, g, b] = (colour.match(/\d+/g) ?? ['255', '255', '255']).map(Number);
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? '#111' : '#fff';
}
