/** What a branch holds, reads and makes, counted. */

import { GraphModel, range } from './data.js';

/**
 * The nodes of a branch at any depth that are operators.
 * @param {GraphModel} model @param {number} b @returns {number[]}
 */
export function operatorsIn(model, b) {
  return range(model.first[b], model.end[b]).filter((n) => !model.isEnd(n));
}

/**
 * The operators of a branch by how many there are, the most frequent first.
 * @param {GraphModel} model @param {number} b
 * @returns {{operator: string, nodes: number[]}[]}
 */
export function operatorCounts(model, b) {
  /** @type {Map<string, number[]>} */ const found = new Map();
  for (const n of operatorsIn(model, b)) {
    if (model.isHidden(n)) continue;
    const nodes = found.get(model.operator(n));
    if (nodes) nodes.push(n);
    else found.set(model.operator(n), [n]);
  }
  return [...found].map(([operator, nodes]) => ({ operator, nodes })).sort((x, y) => y.nodes.length - x.nodes.length);
}

/**
 * The values that go in and out of a branch, and the state that is read inside. O(its size)
 * @param {GraphModel} model @param {number} b
 * @returns {{inputs: number[], outputs: number[], state: number[]}} values, each once, in program order
 */
export function borders(model, b) {
  const [first, end] = [model.first[b], model.end[b]];
  const isInside = (/** @type {number} */ n) => n >= first && n < end;
  const { start, valueStart, values } = model.c.args;
  const inputs = new Set();
  const state = new Set();
  for (const v of values.slice(valueStart[start[first]], valueStart[start[end]])) {
    if (model.isState(v)) state.add(v);
    else if (!isInside(model.producer(v))) inputs.add(v);
  }
  const outputs = range(model.resultStart[first], model.resultStart[end]).filter((v) => {
    for (let at = model.useStart[v]; at < model.useStart[v + 1]; at++) if (!isInside(model.readers[model.useOf[at]])) return true;
    return false;
  });
  return { inputs: [...inputs], outputs, state: [...state] };
}
