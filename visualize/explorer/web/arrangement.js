/**
 * Where everything stands: each unfolded branch is laid out by itself, from the inside out, and what was laid
 * out once is kept until something inside it changes. So unfolding costs what the branches around it cost.
 */

import { FOLD, Session } from './session.js';
import { Flows, inside, twinValues } from './wiring.js';
import { apart, goesPast, labelPlace, mergeEqual, portOf, spread } from './edges.js';
import { layered } from './layered.js';
import { counted, human } from './data.js';

export const FONT = {
  title: '600 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif',
  detail: '10.5px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif',
};
export const HEAD = 26; // height of the strip that holds a frame's title
const PAD = 14; // inside a frame
const STUB_SIZE = 9; // letters of the name of a value whose edge is not drawn
const MOST_LETTERS = 34;

/** @typedef {'operator' | 'end' | 'branch' | 'stack'} BoxKind  a stack is a folded run of equal neighbours */

/**
 * Something drawn as a box. Places are of its middle.
 * @typedef {{item: number, kind: BoxKind, title: string, detail: string, family: number, x: number, y: number,
 *   width: number, height: number}} Box
 */

/** An unfolded branch. Places are of its upper left corner. @typedef {{branch: number, depth: number, title: string,
 *   detail: string, isStack: boolean, x: number, y: number, width: number, height: number}} Frame */

/**
 * An edge. `points` are x, y, x, y, ...
 * @typedef {{points: Float64Array, flows: number[], label: string, labelX: number, labelY: number,
 *   style: 'flow' | 'skip' | 'write' | 'back', hasHead: boolean, isDown: boolean, count: number}} Edge
 */

/** A short end in the place of a long edge, at what reads the value. @typedef {{x: number, y: number,
 *   title: string, width: number, flows: number[]}} Stub */

/** Where a value goes into or out of a frame. @typedef {{x: number, y: number, title: string, flows: number[]}} Gate */

/**
 * Everything to draw, in places of the whole.
 * @typedef {{boxes: Box[], frames: Frame[], edges: Edge[], stubs: Stub[], gates: Gate[], width: number,
 *   height: number, boxOf: Map<number, Box>, frameOf: Map<number, Frame>}} Picture
 */

/**
 * A branch laid out by itself; places count from its upper left corner.
 * @typedef {object} Level
 * @property {import('./wiring.js').Inside} inside
 * @property {(Box | null)[]} boxes per item; null for an unfolded branch
 * @property {{x: number, y: number}[]} corners per item, of the upper left
 * @property {Edge[]} edges
 * @property {Stub[]} stubs
 * @property {Gate[]} gates
 * @property {number[]} inAt where ports in are, across, from the middle
 * @property {number[]} outAt
 * @property {Map<number, number>} inPort the port in of each value
 * @property {Map<number, number>} outPort
 * @property {number} width
 * @property {number} height
 */

/** Lays out what a session shows. */
export class Arrangement {
  /** @param {Session} session @param {(text: string, font: string) => number} measure the width of a text */
  constructor(session, measure) {
    this.session = session;
    this.measure = measure;
    /** @type {Map<string, number>} */ this.widths = new Map();
    /** @type {Map<number, Level>} */ this.levels = new Map();
    /** @type {Flows} */ this.flows = new Flows(session);
    session.watch(['graph', 'view'], () => this.forget());
    session.watch(['folding'], (event) => {
      for (const branch of event.detail.branches) {
        for (const around of session.model.branchesAround(branch)) this.levels.delete(around);
      }
    });
  }

  /** Lay out everything anew the next time. */
  forget() {
    this.levels.clear();
    this.flows = new Flows(this.session);
  }

  /** @returns {Picture} */
  picture() {
    const { model } = this.session;
    for (const branch of this.#unfolded().reverse()) {
      if (!this.levels.has(branch)) this.levels.set(branch, this.#level(branch));
    }
    /** @type {Picture} */
    const picture = { boxes: [], frames: [], edges: [], stubs: [], gates: [], width: 0, height: 0, boxOf: new Map(), frameOf: new Map() };
    const root = this.#levelOf(0);
    picture.width = root.width;
    picture.height = root.height;
    /** @type {{branch: number, x: number, y: number, depth: number}[]} */
    const pending = [{ branch: 0, x: 0, y: 0, depth: 0 }];
    for (const { branch, x, y, depth } of pending) {
      const level = this.#levelOf(branch);
      if (branch) {
        const frame = { branch, depth: depth - 1, ...this.#frameText(branch), isStack: model.kind(branch) === 'repeat', x, y, width: level.width, height: level.height };
        picture.frames.push(frame);
        picture.frameOf.set(branch, frame);
      }
      level.inside.items.forEach((item, slot) => {
        const box = level.boxes[slot];
        const corner = level.corners[slot];
        if (!box) {
          pending.push({ branch: ~item, x: x + corner.x, y: y + corner.y, depth: depth + 1 });
          return;
        }
        const placed = { ...box, x: x + corner.x + box.width / 2, y: y + corner.y + box.height / 2 };
        picture.boxes.push(placed);
        picture.boxOf.set(item, placed);
        if (item < 0 && this.isLeaf(~item)) picture.boxOf.set(this.leafOf(~item), placed);
      });
      for (const edge of level.edges) {
        const points = edge.points.map((p, at) => p + (at % 2 ? y : x));
        picture.edges.push({ ...edge, points, labelX: edge.labelX + x, labelY: edge.labelY + y });
      }
      for (const stub of level.stubs) picture.stubs.push({ ...stub, x: stub.x + x, y: stub.y + y });
      for (const gate of level.gates) picture.gates.push({ ...gate, x: gate.x + x, y: gate.y + y });
    }
    return picture;
  }

  /** The item that is drawn for one: itself, or the folded branch that holds it. @param {number} item */
  shownFor(item) {
    const { model, folding } = this.session;
    let shown = item;
    let below = item;
    const inner = item >= 0 ? model.nodeBranch[item] : model.branchParent[~item];
    for (const b of model.branchesAround(Math.max(inner, 0))) {
      // Of a run that shows its first, that is drawn in the place of the others.
      const isAnother = model.kind(b) === 'repeat' && model.itemsOf(b)[0] !== below;
      if (folding[b] === FOLD.CLOSED || (folding[b] === FOLD.OPEN && isAnother)) shown = ~b;
      below = ~b;
    }
    return shown < 0 && this.isLeaf(~shown) ? this.leafOf(~shown) : shown;
  }

  /** Whether a branch holds one drawn node and nothing else, so that it is drawn as that. @param {number} branch */
  isLeaf(branch) {
    return this.flows.count(~branch) === 1;
  }

  /** @param {number} branch a leaf @returns {number} its node */
  leafOf(branch) {
    let node = this.session.model.first[branch];
    while (!this.flows.isDrawn[node]) node++;
    return node;
  }

  /** @param {number} branch @returns {Level} */
  #levelOf(branch) {
    return /** @type {Level} */ (this.levels.get(branch));
  }

  /** The branches whose inside is drawn, each after the one around it. */
  #unfolded() {
    const { model, folding } = this.session;
    const found = [0];
    for (const branch of found) {
      const level = this.levels.get(branch);
      const isOne = folding[branch] === FOLD.OPEN && model.kind(branch) === 'repeat';
      const items = level ? level.inside.items : isOne ? [...model.itemsOf(branch).subarray(0, 1)] : [...model.itemsOf(branch)];
      for (const item of items) if (item < 0 && this.isUnfolded(~item)) found.push(~item);
    }
    return found;
  }

  /** Whether the inside of a branch is drawn, if it is in sight. @param {number} branch */
  isUnfolded(branch) {
    return this.session.folding[branch] !== FOLD.CLOSED && this.flows.count(~branch) > 1;
  }

  /** @param {number} branch @returns {Level} */
  #level(branch) {
    const { session, flows } = this;
    const content = inside(flows, branch, session.folding[branch]);
    const isDown = session.direction === 'TB';
    const shift = content.inPorts.length;
    const sizes = content.items.map((item) => {
      if (item < 0 && this.isUnfolded(~item)) return this.#levelOf(~item);
      return this.#box(item);
    });
    const labels = this.#labels(content);
    const across = [...content.inPorts.map(() => 10), ...sizes.map((s) => (isDown ? s.width : s.height)), ...content.outPorts.map(() => 10)];
    const along = [...content.inPorts.map(() => 0), ...sizes.map((s) => (isDown ? s.height : s.width)), ...content.outPorts.map(() => 0)];
    const edges = content.edges.map((edge) => this.#ends(branch, edge, content, sizes));
    const merged = mergeEqual(edges, this.flows.isOther);
    const isBack = merged.map((edge) => edge.from > edge.to);
    const hasLabels = labels.some((label) => label);
    const alongGap = isDown ? (hasLabels ? 36 : 26) : hasLabels ? 76 : 34;
    const out = layered({
      across,
      along,
      edges: merged.map((edge, e) => (isBack[e] ? { from: edge.to, to: edge.from, fromAt: edge.toAt, toAt: edge.fromAt } : edge)),
      firstCount: shift,
      lastCount: content.outPorts.length,
      acrossGap: isDown ? 20 : 14,
      alongGap,
      firstGap: (isDown ? HEAD : 8) + 12,
      lastGap: 16,
    });
    return this.#framed(branch, content, sizes, merged, isBack, out, labels, isDown);
  }

  /** Put a frame around what was laid out, and everything into x and y. */
  #framed(
    /** @type {number} */ branch,
    /** @type {import('./wiring.js').Inside} */ content,
    /** @type {(Box | Level)[]} */ sizes,
    /** @type {import('./edges.js').MergedEdge[]} */ merged,
    /** @type {boolean[]} */ isBack,
    /** @type {import('./layered.js').LayerOutput} */ out,
    /** @type {string[]} */ labels,
    /** @type {boolean} */ isDown,
  ) {
    const shift = content.inPorts.length;
    const isRoot = branch === 0;
    const titleWidth = isRoot ? 0 : this.#titleWidth(branch);
    const before = { across: isRoot ? 0 : isDown ? PAD : HEAD + 4, along: isRoot || shift ? 0 : isDown ? HEAD + 4 : PAD };
    const after = { across: isRoot ? 0 : PAD, along: isRoot || content.outPorts.length ? 0 : PAD };
    let width = isDown ? out.acrossSize + before.across + after.across : out.alongSize + before.along + after.along;
    const height = isDown ? out.alongSize + before.along + after.along : out.acrossSize + before.across + after.across;
    let spare = Math.max(titleWidth - width, 0);
    width += spare;
    // Ports stand on the border, so along the flow room for a title can only be added where there are none.
    const dx = isDown ? before.across + spare / 2 : before.along + (shift ? 0 : spare / 2);
    const dy = isDown ? before.along : before.across;
    if (!isDown && content.outPorts.length && spare) {
      width -= spare;
      spare = 0;
    }
    if (isDown && !isRoot) {
      merged.forEach((edge, e) => {
        if (edge.first < 0 || !labels[edge.first] || !out.routes[e]) return;
        const end = out.across[edge.from] + edge.fromAt + dx + 12 + this.#width(labels[edge.first], FONT.detail);
        width = Math.max(width, end + 4);
      });
    }
    const x = (/** @type {number} */ a, /** @type {number} */ l) => (isDown ? a : l) + dx;
    const y = (/** @type {number} */ a, /** @type {number} */ l) => (isDown ? l : a) + dy;
    const middle = (isDown ? width : height) / 2;
    const acrossShift = isDown ? dx : dy;
    /** @type {Level} */
    const level = {
      inside: content,
      boxes: sizes.map((size) => ('item' in size ? size : null)),
      corners: sizes.map((size, slot) => {
        const m = shift + slot;
        return { x: x(out.across[m], out.along[m]) - size.width / 2, y: y(out.across[m], out.along[m]) - size.height / 2 };
      }),
      edges: [],
      stubs: [],
      gates: [],
      inAt: content.inPorts.map((_, port) => out.across[port] + acrossShift - middle),
      outAt: content.outPorts.map((_, port) => out.across[shift + sizes.length + port] + acrossShift - middle),
      inPort: portOf(content.inPorts),
      outPort: portOf(content.outPorts),
      width,
      height,
    };
    const isPort = (/** @type {number} */ m) => m < shift || m >= shift + sizes.length;
    content.inPorts.forEach((port, p) => level.gates.push(this.#gate(port, x(out.across[p], out.along[p]), y(out.across[p], out.along[p]))));
    content.outPorts.forEach((port, p) => {
      const m = shift + sizes.length + p;
      level.gates.push(this.#gate(port, x(out.across[m], out.along[m]), y(out.across[m], out.along[m])));
    });
    const layer = new Map(out.along.entries());
    merged.forEach((edge, e) => {
      const route = out.routes[e];
      if (!route) {
        level.stubs.push(this.#stub(edge, shift, level, sizes));
        return;
      }
      const points = new Float64Array(route.length);
      for (let at = 0; at < route.length; at += 2) {
        const to = isBack[e] ? route.length - 2 - at : at;
        points[to] = x(route[at], route[at + 1]);
        points[to + 1] = y(route[at], route[at + 1]);
      }
      const isWrite = edge.flows.some((f) => this.flows.isWrite[f]);
      const isSkip = !isWrite && route.length > 8 && goesPast(merged, edge, layer);
      level.edges.push({
        points,
        flows: edge.flows,
        label: edge.first < 0 ? '' : labels[edge.first],
        ...labelPlace(points, isDown),
        style: isBack[e] ? 'back' : isWrite ? 'write' : isSkip ? 'skip' : 'flow',
        hasHead: !isPort(edge.to) && !('inside' in sizes[edge.to - shift] && edge.toPort >= 0),
        isDown,
        count: edge.count,
      });
    });
    apart(level.edges, merged.filter((_, e) => out.routes[e]));
    spread(level.edges, merged.filter((_, e) => out.routes[e]), isBack.filter((_, e) => out.routes[e]), sizes, shift, isDown);
    return level;
  }

  /** Where an edge meets its ends: the ports of unfolded branches. */
  #ends(
    /** @type {number} */ branch,
    /** @type {import('./wiring.js').Inside['edges'][number]} */ edge,
    /** @type {import('./wiring.js').Inside} */ content,
    /** @type {(Box | Level)[]} */ sizes,
  ) {
    const shift = content.inPorts.length;
    const from = sizes[edge.from - shift];
    const to = sizes[edge.to - shift];
    const [flow] = edge.flows;
    const value = this.flows.value[flow];
    const isOfFirst = this.session.model.kind(branch) === 'repeat' && this.session.folding[branch] === FOLD.OPEN;
    const [made, read] = isOfFirst ? twinValues(this.flows, branch, flow) : [value, value];
    const fromPort = from && 'inside' in from ? from.outPort.get(made) ?? -1 : -1;
    const toPort = to && 'inside' in to ? to.inPort.get(read) ?? -1 : -1;
    return {
      from: edge.from,
      to: edge.to,
      flows: edge.flows,
      fromPort,
      toPort,
      fromAt: from && 'inside' in from && fromPort >= 0 ? from.outAt[fromPort] : 0,
      toAt: to && 'inside' in to && toPort >= 0 ? to.inAt[toPort] : 0,
    };
  }

  /** The shape on each edge where it is another than that of what its source got; empty on others. */
  #labels(/** @type {import('./wiring.js').Inside} */ content) {
    const { model } = this.session;
    const { flows } = this;
    /** @type {Map<number, Set<string>>} */
    const got = new Map();
    const shape = (/** @type {{flows: number[]}} */ edge) => model.valueShape(flows.value[edge.flows[0]]);
    for (const edge of content.edges) {
      const known = got.get(edge.to) ?? new Set();
      known.add(shape(edge));
      got.set(edge.to, known);
    }
    const shift = content.inPorts.length;
    const last = shift + content.items.length;
    /** @type {Set<string>} */
    const said = new Set();
    return content.edges.map((edge) => {
      if (edge.to >= last || edge.from < shift) return '';
      const source = content.items[edge.from - shift];
      if (source >= 0 && model.isInput(source)) return ''; // which says so itself
      const text = shape(edge);
      if (got.get(edge.from)?.has(text) || said.has(`${edge.from} ${text}`)) return '';
      if (source >= 0 && model.nodeDetail(source).includes(text)) return '';
      said.add(`${edge.from} ${text}`);
      return text;
    });
  }

  /** @param {import('./wiring.js').Port} port @param {number} x @param {number} y @returns {Gate} */
  #gate(port, x, y) {
    return { x, y, title: this.#valuesText(port.named), flows: port.flows };
  }

  /** @param {number[]} values */
  #valuesText(values) {
    const { model } = this.session;
    if (values.length > 1) return counted(values.length, 'value');
    const name = model.valueName(values[0]);
    const shape = model.valueShape(values[0]);
    return /^\d+$/.test(name) ? shape : `${shortened(name, 20)}  ${shape}`;
  }

  /** @returns {Stub} */
  #stub(/** @type {import('./edges.js').MergedEdge} */ edge, /** @type {number} */ shift, /** @type {Level} */ level, /** @type {(Box | Level)[]} */ sizes) {
    const { model } = this.session;
    const value = this.flows.value[edge.flows[0]];
    const producer = model.producer(value);
    const name = model.valueName(value);
    const title = shortened(/^\d+$/.test(name) && producer >= 0 ? model.nodeTitle(producer) : name, STUB_SIZE);
    const corner = level.corners[edge.to - shift];
    const size = sizes[edge.to - shift];
    const width = this.#width(title, FONT.detail) + 16;
    return { x: corner.x + Math.min(size.width * 0.12, 12), y: corner.y - 9, title, width, flows: edge.flows };
  }

  /** @param {number} item @returns {Box} */
  #box(item) {
    const text = this.boxText(item);
    const width = Math.max(this.#width(text.title, FONT.title), this.#width(text.detail, FONT.detail)) + (text.kind === 'operator' ? 20 : 28);
    return { item, ...text, x: 0, y: 0, width: Math.max(Math.ceil(width), 44), height: text.detail || this.session.colours || this.session.measure >= 0 ? 38 : 26 };
  }

  /** What a box says. @param {number} item @returns {{kind: BoxKind, title: string, detail: string, family: number}} */
  boxText(item) {
    const { model } = this.session;
    if (item >= 0) {
      const kind = model.isEnd(item) ? 'end' : 'operator';
      return { kind, title: shortened(model.nodeTitle(item), MOST_LETTERS), detail: shortened(model.nodeDetail(item), MOST_LETTERS + 4), family: model.family(item) };
    }
    const branch = ~item;
    const title = shortened(model.branchTitle(branch), MOST_LETTERS);
    if (this.isLeaf(branch)) {
      const node = this.leafOf(branch);
      const detail = [title, model.nodeDetail(node)].filter(Boolean).join(' · ');
      return { kind: 'operator', title: shortened(model.nodeTitle(node), MOST_LETTERS), detail: shortened(detail, MOST_LETTERS + 8), family: model.family(node) };
    }
    const text = this.#frameText(branch);
    const isStack = model.kind(branch) === 'repeat';
    return { kind: isStack ? 'stack' : 'branch', title: shortened(text.title, MOST_LETTERS + 6), detail: shortened(text.detail, MOST_LETTERS + 14), family: -1 };
  }

  /** What a branch says of itself, folded or not. @param {number} branch */
  #frameText(branch) {
    const { model } = this.session;
    const size = model.itemStart[branch + 1] - model.itemStart[branch];
    const isOfEnds = model.isEnd(model.first[branch]) && model.isEnd(model.end[branch] - 1) && branch !== 0;
    const ops = isOfEnds ? '' : counted(this.flows.count(~branch), 'op');
    if (model.kind(branch) === 'repeat') {
      const words = [model.className(branch), model.isChain(branch) ? '' : 'in parallel', model.note(branch), ops];
      return { title: `${model.branchTitle(branch)}  ×${size}`, detail: words.filter(Boolean).join(' · ') };
    }
    const parameters = model.parameters(branch);
    const words = [model.className(branch), model.note(branch), parameters ? human(parameters) : '', model.note(branch) ? '' : ops];
    return { title: model.branchTitle(branch), detail: words.filter(Boolean).join(' · ') };
  }

  /** @param {number} branch */
  #titleWidth(branch) {
    const text = this.#frameText(branch);
    return this.#width(text.title, FONT.title) + this.#width(text.detail, FONT.detail) + 54;
  }

  /** @param {string} text @param {string} font */
  #width(text, font) {
    const key = font + text;
    let width = this.widths.get(key);
    if (width === undefined) this.widths.set(key, (width = this.measure(text, font)));
    return width;
  }
}

/** @param {string} text @param {number} limit */
export function shortened(text, limit) {
  return text.length <= limit ? text : `${text.slice(0, limit - 1).trimEnd()}…`;
}
