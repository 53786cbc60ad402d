/**
 * Which edges there are: what flows between drawn nodes, and between the items of one branch.
 */

import { GraphModel, FLAG, grouped } from './data.js';
import { FOLD, Session } from './session.js';

const MOST_PORTS = 6; // values that go into or out of a branch above which those that go the same way are one

/**
 * Flows between drawn nodes. One through a node that is not drawn and hands on what it gets, such as a cast
 * that changes nothing, comes from where that got it.
 */
export class Flows {
  /** @param {Session} session */
  constructor(session) {
    const { model } = session;
    this.model = model;
    this.isDrawn = new Uint8Array(model.nodeCount);
    /** how many drawn nodes there are before each */
    this.drawnBefore = new Int32Array(model.nodeCount + 1);
    for (let n = 0; n < model.nodeCount; n++) {
      this.isDrawn[n] = session.isDrawn(n) ? 1 : 0;
      this.drawnBefore[n + 1] = this.drawnBefore[n] + this.isDrawn[n];
    }
    const passesOn = session.showsAll ? new Uint8Array(model.nodeCount) : model.flags.map((f) => f & FLAG.IDENTITY);
    /** @type {number[]} */ const source = [];
    /** @type {number[]} */ const target = [];
    /** @type {number[]} */ const value = [];
    /** @type {number[]} */ const isWrite = [];
    /** @type {number[]} */ const isOther = [];
    for (let n = 0; n < model.nodeCount; n++) {
      if (!this.isDrawn[n]) continue;
      for (let f = model.flowStart[n]; f < model.flowStart[n + 1]; f++) {
        let at = f;
        while (passesOn[model.flowSource[at]] && model.flowStart[model.flowSource[at] + 1] > model.flowStart[model.flowSource[at]]) {
          at = model.flowStart[model.flowSource[at]];
        }
        if (!this.isDrawn[model.flowSource[at]]) continue;
        source.push(model.flowSource[at]);
        target.push(n);
        value.push(model.flowValue[at]);
        isWrite.push(model.flowIsWrite[f]);
        isOther.push(model.flowIsOther[f]);
      }
    }
    this.source = Int32Array.from(source);
    this.target = Int32Array.from(target);
    this.value = Int32Array.from(value);
    this.isWrite = Uint8Array.from(isWrite);
    this.isOther = Uint8Array.from(isOther);
    /** flows are sorted by their targets */
    this.inStart = grouped(this.target, model.nodeCount)[0];
    const [outStart, outFlow] = grouped(this.source, model.nodeCount);
    this.outStart = outStart;
    this.outFlow = outFlow;
  }

  /** How many drawn nodes an item holds. @param {number} item a node, or a branch as `~branch` */
  count(item) {
    if (item >= 0) return this.isDrawn[item];
    return this.drawnBefore[this.model.end[~item]] - this.drawnBefore[this.model.first[~item]];
  }
}

/**
 * The node in the place of one in the first of equal neighbours; itself outside.
 * @param {GraphModel} model @param {number} branch the run of neighbours @param {number} node
 */
export function twinOf(model, branch, node) {
  if (node < model.first[branch] || node >= model.end[branch]) return node;
  const items = model.itemsOf(branch);
  const start = (/** @type {number} */ item) => (item >= 0 ? item : model.first[~item]);
  const holder = items.findLast((item) => start(item) <= node) ?? items[0];
  return start(items[0]) + (node - start(holder));
}

/**
 * The values as which a flow leaves and reaches the first of equal neighbours, which stands for all: what the
 * last makes is drawn as what the first makes, and so is what any of them reads.
 * @param {Flows} flows @param {number} branch the run of neighbours @param {number} flow
 * @returns {[number, number]}
 */
export function twinValues(flows, branch, flow) {
  const { model } = flows;
  const value = flows.value[flow];
  const [from, to] = [flows.source[flow], flows.target[flow]];
  const [source, target] = [twinOf(model, branch, from), twinOf(model, branch, to)];
  const isMade = model.producer(value) === from && source !== from;
  const made = isMade ? model.resultStart[source] + (value - model.resultStart[from]) : value;
  const twin = flows.inStart[target] + (flow - flows.inStart[to]);
  return [made, twin < flows.inStart[target + 1] ? flows.value[twin] : value];
}

/**
 * Values that go into or out of a branch by one way; `named` are those that it is called by, which for equal
 * neighbours that are shown by their first are that one's.
 * @typedef {{values: number[], named: number[], flows: number[]}} Port
 */

/** @typedef {{value: number, named: number, slot: number, flows: number[]}} Crossing */

/**
 * The inside of a branch: what stands in it, by slots. Slots are ports in, then items, then ports out.
 * @typedef {object} Inside
 * @property {number[]} items
 * @property {Port[]} inPorts
 * @property {Port[]} outPorts
 * @property {{from: number, to: number, flows: number[]}[]} edges one per pair of slots and value
 */

/**
 * @param {Flows} flows @param {number} branch @param {number} fold how the branch is shown
 * @returns {Inside}
 */
export function inside(flows, branch, fold) {
  const { model } = flows;
  const all = model.itemsOf(branch);
  const isOne = fold === FOLD.OPEN && model.kind(branch) === 'repeat';
  const items = [...(isOne ? all.subarray(0, 1) : all)].filter((item) => flows.count(item) > 0);
  const low = model.first[branch];
  const high = model.end[branch];
  const slots = new Int32Array(high - low).fill(isOne ? 0 : -1);
  items.forEach((item, slot) => {
    if (item >= 0) slots[item - low] = slot;
    else slots.fill(slot, model.first[~item] - low, model.end[~item] - low);
  });
  /** @type {Map<string, {from: number, to: number, flows: number[]}>} */ const edges = new Map();
  /** @type {Map<string, Crossing>} */ const entering = new Map();
  /** @type {Map<string, Crossing>} */ const leaving = new Map();
  const note = (/** @type {Map<string, Crossing>} */ into, /** @type {number} */ slot, /** @type {number} */ flow) => {
    const value = flows.value[flow];
    const key = `${value} ${slot}`;
    const known = into.get(key);
    const named = isOne ? twinValues(flows, branch, flow)[into === entering ? 1 : 0] : value;
    if (known) known.flows.push(flow);
    else into.set(key, { value, named, slot, flows: [flow] });
  };
  for (let n = low; n < high; n++) {
    const slot = slots[n - low];
    if (!flows.isDrawn[n] || slot < 0) continue;
    for (let f = flows.inStart[n]; f < flows.inStart[n + 1]; f++) {
      const source = flows.source[f];
      if (source < low || source >= high) {
        note(entering, slot, f);
        continue;
      }
      const from = slots[source - low];
      if (from === slot || from < 0) continue;
      const key = `${from} ${slot} ${flows.value[f]}`;
      const known = edges.get(key);
      if (known) known.flows.push(f);
      else edges.set(key, { from, to: slot, flows: [f] });
    }
    for (let at = flows.outStart[n]; at < flows.outStart[n + 1]; at++) {
      const target = flows.target[flows.outFlow[at]];
      if (target < low || target >= high) note(leaving, slot, flows.outFlow[at]);
    }
  }
  const into = ports([...entering.values()]);
  const outOf = ports([...leaving.values()]);
  const shift = into.ports.length;
  const first = shift + items.length;
  return {
    items,
    inPorts: into.ports,
    outPorts: outOf.ports,
    edges: [
      ...into.ends.map(({ port, slot, flows: some }) => ({ from: port, to: shift + slot, flows: some })),
      ...[...edges.values()].map((edge) => ({ ...edge, from: edge.from + shift, to: edge.to + shift })),
      ...outOf.ends.map(({ port, slot, flows: some }) => ({ from: shift + slot, to: first + port, flows: some })),
    ],
  };
}

/**
 * A port per value, by what it is called; where there are many, one for all that have the same slots inside.
 * @param {Crossing[]} crossing
 * @returns {{ports: Port[], ends: {port: number, slot: number, flows: number[]}[]}}
 */
function ports(crossing) {
  /** @type {Map<number, typeof crossing>} */
  const byValue = new Map();
  for (const end of crossing) byValue.set(end.named, [...(byValue.get(end.named) ?? []), end]);
  const isMany = byValue.size > MOST_PORTS;
  /** @type {Map<string, number>} */ const known = new Map();
  /** @type {Port[]} */ const found = [];
  /** @type {Map<string, {port: number, slot: number, flows: number[]}>} */ const ends = new Map();
  for (const [named, some] of byValue) {
    const key = isMany ? [...new Set(some.map((end) => end.slot))].sort().join() : `${named}`;
    const port = known.get(key) ?? found.length;
    if (port === found.length) {
      known.set(key, port);
      found.push({ values: [], named: [], flows: [] });
    }
    found[port].named.push(named);
    found[port].values.push(...new Set(some.map((end) => end.value)));
    for (const end of some) {
      found[port].flows.push(...end.flows);
      const at = `${port} ${end.slot}`;
      const end2 = ends.get(at);
      if (end2) end2.flows.push(...end.flows);
      else ends.set(at, { port, slot: end.slot, flows: [...end.flows] });
    }
  }
  return { ports: found, ends: [...ends.values()] };
}
