/** What is seen, as files and as text: SVG, PNG, and DOT; all of what is unfolded, in the colours of the theme. */

import { FONT, HEAD } from './arrangement.js';
import { CARDS, FRAME_RADIUS, GATE_RADIUS, STUB_HEIGHT, detailOf, edgeColour, edgeDash, edgeText, frameDash, frameTint, inkOn, radiusOf, stubText, textPlaces, tintOf } from './look.js';
import { arrowHead, paint, traceEdge } from './painter.js';
import { GraphView } from './graphview.js';

const MARGIN_OUT = 16;
const MOST_PIXELS = 12000; // per side; browsers draw nothing on larger canvases

/** @param {string} text */
function escaped(text) {
  return text
    .replace(/[\x00-\x08\x0b-\x1f\ufffe\uffff]/g, '\ufffd')
    .replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? c);
}

/** An attribute for dashes. @param {number[]} dash */
function dashed(dash) {
  return dash.length ? ` stroke-dasharray="${dash.join(' ')}"` : '';
}

/** Collects the commands of a path. */
class SvgPath {
  constructor() {
    /** @type {string[]} */ this.commands = [];
  }

  /** @param {number[]} numbers */
  #round(...numbers) {
    return numbers.map((n) => Math.round(n * 10) / 10).join(' ');
  }

  /** @param {number} x @param {number} y */
  moveTo(x, y) {
    this.commands.push(`M${this.#round(x, y)}`);
  }

  /** @param {number} x @param {number} y */
  lineTo(x, y) {
    this.commands.push(`L${this.#round(x, y)}`);
  }

  /** @param {number} a @param {number} b @param {number} c @param {number} d @param {number} x @param {number} y */
  bezierCurveTo(a, b, c, d, x, y) {
    this.commands.push(`C${this.#round(a, b, c, d, x, y)}`);
  }

  closePath() {
    this.commands.push('Z');
  }

  toString() {
    return this.commands.join('');
  }
}

/** @param {GraphView} view @returns {string} */
export function toSvg(view) {
  const { picture, palette, session, emphasis } = view;
  const width = Math.ceil(picture.width + 2 * MARGIN_OUT);
  const height = Math.ceil(picture.height + 2 * MARGIN_OUT);
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="${-MARGIN_OUT} ${-MARGIN_OUT} ${width} ${height}" font-family="Helvetica, Arial, sans-serif" role="img">`,
    `<title>${escaped(session.model.name)}</title>`,
    `<rect x="${-MARGIN_OUT}" y="${-MARGIN_OUT}" width="${width}" height="${height}" fill="${palette.page}"/>`,
  ];
  const text = (/** @type {string} */ content, /** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ font, /** @type {string} */ colour, anchor = 'start') => {
    const isTitle = font === FONT.title;
    out.push(`<text x="${x.toFixed(1)}" y="${(y + 4).toFixed(1)}" font-size="${isTitle ? 12 : 10.5}"${isTitle ? ' font-weight="600"' : ''} fill="${colour}" text-anchor="${anchor}">${escaped(content)}</text>`);
  };
  for (const frame of picture.frames) {
    const tint = frameTint(frame, palette);
    out.push(`<rect x="${frame.x.toFixed(1)}" y="${frame.y.toFixed(1)}" width="${frame.width.toFixed(1)}" height="${frame.height.toFixed(1)}" rx="${FRAME_RADIUS}" fill="${tint.fill}" stroke="${tint.line}"${dashed(frameDash(frame))}/>`);
  }
  for (const edge of picture.edges) {
    const line = new SvgPath();
    traceEdge(edge, line);
    const colour = edgeColour(edge.style, palette);
    out.push(`<path d="${line}" fill="none" stroke="${colour}"${dashed(edgeDash(edge.style))}/>`);
    if (!edge.hasHead) continue;
    const head = new SvgPath();
    arrowHead(edge, head);
    out.push(`<path d="${head}" fill="${colour}"/>`);
  }
  for (const frame of picture.frames) {
    out.push(`<text x="${(frame.x + 12).toFixed(1)}" y="${(frame.y + HEAD / 2 + 4).toFixed(1)}" font-size="12" fill="${palette.text}"><tspan font-weight="600">${escaped(frame.title)}</tspan><tspan dx="10" font-size="10.5" fill="${palette.faint}">${escaped(frame.detail)}</tspan></text>`);
  }
  for (const edge of picture.edges) {
    const label = edgeText(edge);
    if (label) text(label, edge.labelX + 6, edge.labelY, FONT.detail, palette.faint);
  }
  for (const box of picture.boxes) {
    const left = box.x - box.width / 2;
    const top = box.y - box.height / 2;
    const tint = tintOf(box, palette);
    const fill = emphasis.fill(box.item) ?? tint[0];
    const radius = radiusOf(box);
    const rect = (/** @type {number} */ by) => out.push(`<rect x="${(left + by).toFixed(1)}" y="${(top + by).toFixed(1)}" width="${box.width.toFixed(1)}" height="${box.height.toFixed(1)}" rx="${radius}" fill="${fill}" stroke="${tint[1]}"/>`);
    if (box.kind === 'stack') CARDS.forEach(rect);
    rect(0);
    const ink = emphasis.fill(box.item) ? inkOn(fill) : '';
    const detail = detailOf(box, emphasis);
    const at = textPlaces(detail);
    text(box.title, box.x, box.y + at.title, FONT.title, ink || palette.text, 'middle');
    if (detail) text(detail, box.x, box.y + at.detail, FONT.detail, ink || palette.faint, 'middle');
  }
  for (const gate of picture.gates) out.push(`<circle cx="${gate.x.toFixed(1)}" cy="${gate.y.toFixed(1)}" r="${GATE_RADIUS}" fill="${palette.line}"/>`);
  for (const stub of picture.stubs) {
    out.push(`<rect x="${stub.x.toFixed(1)}" y="${(stub.y - STUB_HEIGHT / 2).toFixed(1)}" width="${stub.width.toFixed(1)}" height="${STUB_HEIGHT}" rx="${STUB_HEIGHT / 2}" fill="${palette.ends[0]}" stroke="${palette.ends[1]}" stroke-width=".6"/>`);
    text(stubText(stub), stub.x + 5, stub.y, FONT.detail, palette.faint);
  }
  out.push('</svg>');
  return out.join('\n');
}

/** @param {GraphView} view @returns {Promise<Blob>} */
export async function toPng(view) {
  const { picture } = view;
  const width = picture.width + 2 * MARGIN_OUT;
  const height = picture.height + 2 * MARGIN_OUT;
  const zoom = Math.min(2, MOST_PIXELS / width, MOST_PIXELS / height);
  const canvas = document.createElement('canvas');
  canvas.width = Math.ceil(width * zoom);
  canvas.height = Math.ceil(height * zoom);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  paint(context, picture, { x: -MARGIN_OUT, y: -MARGIN_OUT, zoom }, canvas, view.palette, view.emphasis);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('the picture is too large for a PNG'))), 'image/png');
  });
}

/** A label in DOT, in which Graphviz reads entities as HTML has them. @param {string} text */
function dotQuoted(text) {
  const plain = text.replace(/[\x00-\x08\x0b-\x1f\ufffe\uffff]/g, '\ufffd').replace(/&/g, '&amp;');
  return `"${plain.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
}

/** What is unfolded, as DOT text. @param {GraphView} view @returns {string} */
export function toDot(view) {
  const { picture, session, palette } = view;
  const { model } = session;
  const flows = view.arrangement.flows;
  const name = new Map(picture.boxes.map((box, at) => [box.item, `n${at}`]));
  const out = ['digraph opscope {', `  rankdir=${session.direction}`, '  node [shape=box style="rounded,filled" fontname="Helvetica" fontsize=10]'];
  /** @type {Map<number, number[]>} the boxes directly in each branch that is unfolded */
  const inBranch = new Map();
  for (const box of picture.boxes) {
    const parent = box.item >= 0 ? model.nodeBranch[box.item] : model.branchParent[~box.item];
    inBranch.set(parent, [...(inBranch.get(parent) ?? []), box.item]);
  }
  /** @type {number[]} */
  const around = [];
  const close = (/** @type {number} */ branch) => {
    while (around.length && !model.branchesAround(branch).includes(around[around.length - 1])) {
      around.pop();
      out.push('}');
    }
  };
  const boxes = (/** @type {number} */ branch) => {
    for (const item of inBranch.get(branch) ?? []) {
      const box = /** @type {import('./arrangement.js').Box} */ (picture.boxOf.get(item));
      const tint = tintOf(box, palette);
      const label = [box.title, box.detail].filter(Boolean).join('\n');
      out.push(`${name.get(item)} [label=${dotQuoted(label)} fillcolor=${dotQuoted(tint[0])} color=${dotQuoted(tint[1])}]`);
    }
  };
  boxes(0);
  for (const frame of [...picture.frames].sort((a, b) => model.first[a.branch] - model.first[b.branch] || a.depth - b.depth)) {
    close(frame.branch);
    around.push(frame.branch);
    out.push(`subgraph cluster_${frame.branch} {`, `label=${dotQuoted(frame.title)}`);
    boxes(frame.branch);
  }
  while (around.pop() !== undefined) out.push('}');
  const edges = new Set();
  for (let f = 0; f < flows.source.length; f++) {
    const ends = [flows.source[f], flows.target[f]].map((n) => name.get(picture.boxOf.get(view.arrangement.shownFor(n))?.item ?? n));
    if (ends[0] && ends[1] && ends[0] !== ends[1]) edges.add(`${ends[0]} -> ${ends[1]}`);
  }
  return [...out, ...edges, '}'].join('\n');
}

/** Hand a file to the browser. @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name.replace(/[^\w.-]+/g, '_');
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
