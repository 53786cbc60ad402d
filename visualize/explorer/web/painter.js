/**
 * Drawing: a picture on a canvas, as much of it as is in sight.
 */

import { FONT, HEAD } from './arrangement.js';
import { CARDS, FRAME_RADIUS, GATE_RADIUS, STUB_HEIGHT, detailOf, edgeColour, edgeDash, edgeText, frameDash, frameTint, inkOn, radiusOf, stubText, textPlaces, tintOf } from './look.js';

const TEXT_FROM = 0.38; // zoom below which nothing can be read, so no text is drawn
const SMALL_TEXT_FROM = 0.6;
const CURVES_FROM = 0.22;
const NARROWER = 1.3; // how much wider than its room a text may be, and is drawn narrower

/** @typedef {import('./arrangement.js').Picture} Picture */
/** @typedef {import('./arrangement.js').Box} Box */
/** @typedef {import('./arrangement.js').Frame} Frame */
/** @typedef {import('./arrangement.js').Edge} Edge */

/** What of a picture is in sight: the point in the upper left corner, and pixels per unit.
 * @typedef {{x: number, y: number, zoom: number}} View */

/**
 * What stands out.
 * @typedef {object} Emphasis
 * @property {number | null} selected an item as it is drawn
 * @property {number | null} hovered
 * @property {Set<number>} marked items as they are drawn
 * @property {Set<number>} into flows that what is selected reads
 * @property {Set<number>} outOf flows that it makes
 * @property {Set<number>} path items on a path that was asked for
 * @property {Set<number>} wrong items about which an error is known
 * @property {(item: number) => string | null} fill the colour of an item by a measure; null for its family's
 * @property {(item: number) => string} figure the number of an item by a measure, as text
 */

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Picture} picture
 * @param {View} view
 * @param {{width: number, height: number}} size of the canvas, in units of the page
 * @param {any} palette
 * @param {Emphasis} emphasis
 */
export function paint(context, picture, view, size, palette, emphasis) {
  const { zoom } = view;
  const sight = { left: view.x, top: view.y, right: view.x + size.width / zoom, bottom: view.y + size.height / zoom };
  context.save();
  context.fillStyle = palette.page;
  context.fillRect(0, 0, size.width, size.height);
  context.scale(zoom, zoom);
  context.translate(-view.x, -view.y);
  const brush = new Brush(context, zoom, palette, emphasis);
  const frames = picture.frames.filter((frame) => isInSight(frame.x, frame.y, frame.width, frame.height, sight));
  for (const frame of frames) brush.frame(frame);
  const edges = picture.edges.filter((edge) => edgeInSight(edge, sight));
  brush.edges(edges);
  for (const frame of frames) brush.frameTitle(frame);
  for (const box of picture.boxes) {
    if (isInSight(box.x - box.width / 2, box.y - box.height / 2, box.width, box.height, sight)) brush.box(box);
  }
  if (zoom >= TEXT_FROM) {
    for (const gate of picture.gates) if (isInSight(gate.x - 80, gate.y - 10, 240, 20, sight)) brush.gate(gate);
    for (const stub of picture.stubs) if (isInSight(stub.x, stub.y - 10, stub.width, 20, sight)) brush.stub(stub);
  }
  context.restore();
}

/** @typedef {{left: number, top: number, right: number, bottom: number}} Sight */

/** @param {number} x @param {number} y @param {number} width @param {number} height @param {Sight} sight */
function isInSight(x, y, width, height, sight) {
  return x < sight.right && x + width > sight.left && y < sight.bottom && y + height > sight.top;
}

/** @param {Edge} edge @param {Sight} sight */
function edgeInSight({ points }, sight) {
  let left = Infinity;
  let right = -Infinity;
  let top = Infinity;
  let bottom = -Infinity;
  for (let at = 0; at < points.length; at += 2) {
    left = Math.min(left, points[at]);
    right = Math.max(right, points[at]);
    top = Math.min(top, points[at + 1]);
    bottom = Math.max(bottom, points[at + 1]);
  }
  return left < sight.right && right > sight.left && top < sight.bottom && bottom > sight.top;
}

/** The same lines on a canvas, and in the path of an SVG. @param {Edge} edge @param {PathSink} sink */
export function traceEdge({ points, isDown }, sink) {
  sink.moveTo(points[0], points[1]);
  for (let at = 2; at < points.length; at += 2) {
    const [x0, y0, x, y] = [points[at - 2], points[at - 1], points[at], points[at + 1]];
    if (Math.abs(x0 - x) < 0.5 || Math.abs(y0 - y) < 0.5) sink.lineTo(x, y);
    else if (isDown) sink.bezierCurveTo(x0, (y0 + y) / 2, x, (y0 + y) / 2, x, y);
    else sink.bezierCurveTo((x0 + x) / 2, y0, (x0 + x) / 2, y, x, y);
  }
}

/** @typedef {{moveTo: (x: number, y: number) => void, lineTo: (x: number, y: number) => void,
 *   bezierCurveTo: (a: number, b: number, c: number, d: number, x: number, y: number) => void}} PathSink */

class Brush {
  /** @param {CanvasRenderingContext2D} context @param {number} zoom @param {any} palette @param {Emphasis} emphasis */
  constructor(context, zoom, palette, emphasis) {
    this.context = context;
    this.zoom = zoom;
    this.palette = palette;
    this.emphasis = emphasis;
    this.dims = emphasis.marked.size > 0;
    context.textBaseline = 'middle';
  }

  /** @param {Frame} frame */
  frame(frame) {
    const { context, palette } = this;
    const tint = frameTint(frame, palette);
    context.fillStyle = tint.fill;
    context.strokeStyle = tint.line;
    context.lineWidth = 1;
    context.setLineDash(frameDash(frame));
    rounded(context, frame.x, frame.y, frame.width, frame.height, FRAME_RADIUS);
    context.fill();
    context.stroke();
    context.setLineDash([]);
    this.#ring(~frame.branch, frame.x, frame.y, frame.width, frame.height, FRAME_RADIUS);
  }

  /** @param {Frame} frame */
  frameTitle(frame) {
    const { context, palette, zoom } = this;
    if (zoom < TEXT_FROM) {
      this.#largeTitle(frame);
      return;
    }
    const { y } = frame;
    const x = frame.x + 10;
    context.font = FONT.title;
    const width = context.measureText(frame.title).width;
    context.font = FONT.detail;
    const room = frame.width - width - 48;
    const figure = this.emphasis.figure(~frame.branch);
    const both = figure ? `${frame.detail} · ${figure}` : frame.detail;
    const detail = figure && context.measureText(both).width > room ? figure : both;
    const said = room > 0 ? Math.min(context.measureText(detail).width, room) + 12 : 0;
    context.fillStyle = frameTint(frame, palette).fill;
    context.globalAlpha = 0.9;
    context.fillRect(x - 4, y + 3, Math.min(width + 26 + said, frame.width - 8), HEAD - 6);
    context.globalAlpha = 1;
    this.#sign(x + 3, y + HEAD / 2, false);
    context.font = FONT.title;
    context.fillStyle = palette.text;
    context.fillText(frame.title, x + 14, y + HEAD / 2);
    if (!said) return;
    context.font = FONT.detail;
    context.fillStyle = palette.faint;
    context.fillText(detail, x + width + 24, y + HEAD / 2, room);
  }

  /** From far away, a frame says what it is in letters that can be read, if there is room. @param {Frame} frame */
  #largeTitle(frame) {
    const size = 11 / this.zoom;
    if (frame.width < size * 4 || frame.height < size * 1.6) return;
    const { context, palette } = this;
    context.font = `600 ${size}px system-ui, sans-serif`;
    if (context.measureText(frame.title).width > frame.width - size) return;
    context.fillStyle = palette.faint;
    context.fillText(frame.title, frame.x + size * 0.6, frame.y + size);
  }

  /** The sign of what can be folded or unfolded. @param {number} x @param {number} y @param {boolean} isFolded */
  #sign(x, y, isFolded) {
    const { context, palette } = this;
    context.strokeStyle = palette.faint;
    context.lineWidth = 1.3;
    context.beginPath();
    if (isFolded) {
      context.moveTo(x - 2, y - 4);
      context.lineTo(x + 2, y);
      context.lineTo(x - 2, y + 4);
    } else {
      context.moveTo(x - 4, y - 2);
      context.lineTo(x, y + 2);
      context.lineTo(x + 4, y - 2);
    }
    context.stroke();
  }

  /** @param {Edge[]} edges */
  edges(edges) {
    const { emphasis, palette } = this;
    /** @type {Map<Edge['style'], Edge[]>} */
    const plain = new Map();
    /** @type {[Edge, string][]} */ const special = [];
    const isAsked = emphasis.into.size + emphasis.outOf.size > 0;
    for (const edge of edges) {
      const colour = !isAsked ? '' : edge.flows.some((f) => emphasis.into.has(f)) ? palette.into : edge.flows.some((f) => emphasis.outOf.has(f)) ? palette.outOf : '';
      if (colour) special.push([edge, colour]);
      else plain.set(edge.style, [...(plain.get(edge.style) ?? []), edge]);
    }
    for (const [style, some] of plain) {
      this.context.globalAlpha = this.dims ? 0.35 : isAsked ? 0.6 : 1;
      this.#strokes(some, edgeColour(style, palette), style === 'skip' ? 1.3 : 1, edgeDash(style));
    }
    this.context.globalAlpha = 1;
    for (const [edge, colour] of special) this.#strokes([edge], colour, 2.2, edge.style === 'back' ? edgeDash('back') : []);
    if (this.zoom >= SMALL_TEXT_FROM) for (const edge of edges) if (edgeText(edge)) this.#edgeText(edge);
  }

  /** @param {Edge[]} edges @param {string} colour @param {number} width @param {number[]} dash */
  #strokes(edges, colour, width, dash) {
    const { context, zoom } = this;
    context.strokeStyle = colour;
    context.fillStyle = colour;
    context.lineWidth = Math.max(width, 0.7 / zoom);
    context.setLineDash(dash);
    context.beginPath();
    for (const edge of edges) {
      if (zoom >= CURVES_FROM) traceEdge(edge, context);
      else {
        const { points } = edge;
        context.moveTo(points[0], points[1]);
        for (let at = 2; at < points.length; at += 2) context.lineTo(points[at], points[at + 1]);
      }
    }
    context.stroke();
    context.setLineDash([]);
    if (zoom < TEXT_FROM) return;
    context.beginPath();
    for (const edge of edges) if (edge.hasHead) arrowHead(edge, context);
    context.fill();
  }

  /** @param {Edge} edge */
  #edgeText(edge) {
    const { context, palette } = this;
    const text = edgeText(edge);
    context.font = FONT.detail;
    const width = context.measureText(text).width;
    context.fillStyle = palette.page;
    context.globalAlpha = 0.75;
    context.fillRect(edge.labelX + 4, edge.labelY - 7, width + 4, 13);
    context.globalAlpha = this.dims ? 0.35 : 1;
    context.fillStyle = palette.faint;
    context.fillText(text, edge.labelX + 6, edge.labelY);
    context.globalAlpha = 1;
  }

  /** @param {Box} box */
  box(box) {
    const { context, palette, zoom, emphasis } = this;
    const left = box.x - box.width / 2;
    const top = box.y - box.height / 2;
    const tint = tintOf(box, palette);
    const radius = radiusOf(box);
    context.globalAlpha = this.dims && !emphasis.marked.has(box.item) ? 0.35 : 1;
    const fill = emphasis.fill(box.item);
    context.fillStyle = fill ?? tint[0];
    context.strokeStyle = tint[1];
    context.lineWidth = box.kind === 'branch' || box.kind === 'stack' ? 1.2 : 0.9;
    if (emphasis.wrong.has(box.item)) {
      context.strokeStyle = palette.write;
      context.lineWidth = 3;
    }
    if (box.kind === 'stack') {
      for (const by of CARDS) {
        rounded(context, left + by, top + by, box.width, box.height, radius);
        context.fill();
        context.stroke();
      }
    }
    rounded(context, left, top, box.width, box.height, radius);
    context.fill();
    context.stroke();
    this.#ring(box.item, left, top, box.width, box.height, radius);
    if (zoom >= TEXT_FROM) this.#boxText(box, fill ? inkOn(fill) : '');
    context.globalAlpha = 1;
  }

  /** @param {Box} box @param {string} ink the colour of text on a measure's colour; else empty */
  #boxText(box, ink) {
    const { context, palette } = this;
    const canUnfold = box.kind === 'branch' || box.kind === 'stack';
    const x = box.x + (canUnfold ? 5 : 0);
    if (canUnfold) this.#sign(box.x - box.width / 2 + 10, box.y, true);
    context.textAlign = 'center';
    context.font = FONT.title;
    context.fillStyle = ink || palette.text;
    const detail = detailOf(box, this.emphasis);
    const at = textPlaces(detail);
    context.fillText(box.title, x, box.y + at.title, box.width - 8);
    if (detail) {
      context.font = FONT.detail;
      context.fillStyle = ink || palette.faint;
      context.fillText(fitted(context, detail, box.width - 8), x, box.y + at.detail, box.width - 8);
    }
    context.textAlign = 'start';
  }

  /** @param {import('./arrangement.js').Gate} gate */
  gate(gate) {
    const { context, palette, emphasis } = this;
    const colour = gate.flows.some((f) => emphasis.into.has(f)) ? palette.into : gate.flows.some((f) => emphasis.outOf.has(f)) ? palette.outOf : palette.line;
    context.fillStyle = colour;
    context.beginPath();
    context.arc(gate.x, gate.y, GATE_RADIUS, 0, 7);
    context.fill();
  }

  /** @param {import('./arrangement.js').Stub} stub */
  stub(stub) {
    const { context, palette, emphasis } = this;
    const isAsked = stub.flows.some((f) => emphasis.into.has(f) || emphasis.outOf.has(f));
    context.font = FONT.detail;
    context.fillStyle = palette.ends[0];
    context.strokeStyle = isAsked ? palette.outOf : palette.ends[1];
    context.lineWidth = isAsked ? 1.6 : 0.6;
    rounded(context, stub.x, stub.y - STUB_HEIGHT / 2, stub.width, STUB_HEIGHT, STUB_HEIGHT / 2);
    context.fill();
    context.stroke();
    context.fillStyle = palette.faint;
    context.fillText(stubText(stub), stub.x + 5, stub.y + 0.5);
  }

  /** @param {number} item @param {number} x @param {number} y @param {number} width @param {number} height
   *  @param {number} radius */
  #ring(item, x, y, width, height, radius) {
    const { context, palette, emphasis, zoom } = this;
    const colour = emphasis.selected === item ? palette.selected : emphasis.path.has(item) ? palette.outOf : emphasis.marked.has(item) ? palette.mark : emphasis.hovered === item ? palette.line : '';
    if (!colour) return;
    const thick = Math.max(emphasis.hovered === item && emphasis.selected !== item ? 1 : 2.4, 1.5 / zoom);
    context.strokeStyle = colour;
    context.lineWidth = thick;
    rounded(context, x - thick, y - thick, width + 2 * thick, height + 2 * thick, radius + thick);
    context.stroke();
  }
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} width
 *  @param {number} height @param {number} radius */
function rounded(context, x, y, width, height, radius) {
  context.beginPath();
  context.roundRect(x, y, width, height, Math.min(radius, width / 2, height / 2));
}

/** @param {Edge} edge @param {{moveTo: PathSink['moveTo'], lineTo: PathSink['lineTo'], closePath: () => void}} sink */
export function arrowHead({ points, style, isDown }, sink) {
  const x = points[points.length - 2];
  const y = points[points.length - 1];
  const back = style === 'back' ? -6.5 : 6.5; // such an edge comes from below
  sink.moveTo(x, y);
  if (isDown) {
    sink.lineTo(x - 3.4, y - back);
    sink.lineTo(x + 3.4, y - back);
  } else {
    sink.lineTo(x - back, y - 3.4);
    sink.lineTo(x - back, y + 3.4);
  }
  sink.closePath();
}

/**
 * A text that can be read in some room: drawn a little narrower it may be, and is cut where that is not enough.
 * @param {CanvasRenderingContext2D} context @param {string} text @param {number} room
 */
export function fitted(context, text, room) {
  const most = room * NARROWER;
  if (context.measureText(text).width <= most) return text;
  let length = text.length;
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > most) length--;
  return `${text.slice(0, length).trimEnd()}…`;
}
