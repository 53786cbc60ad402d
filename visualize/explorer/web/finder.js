/**
 * Finding nodes and branches.
 *
 * Note [Each text once]
 *   The texts of a page are numbered, each once, so a word is compared with each distinct text at most once,
 *   when the first node has it; after that a node costs a look into a table.
 */

import { FLAG, GraphModel, PHASES } from './data.js';
import { anywhere, named, operatorNamed, pathed, shaped, typed } from './patterns.js';
import { nodesThrough, userFrames } from './stacks.js';

/** Where something was found, what says most first. */
export const WHERE = ['name', 'operator', 'class', 'scope', 'state', 'shape', 'source'];

/**
 * What was found: a node, or a branch as `~branch`, and where it matched first.
 * @typedef {{item: number, where: string}} Hit
 */

/**
 * `total` counts all, also what the limit leaves out; `nodes` are all nodes; `undrawn` counts nodes that match but
 * are not drawn and so were left out; `problem` says why a query cannot find anything.
 * @typedef {{hits: Hit[], total: number, nodes: number[], undrawn: number, problem: string}} Found
 */

/** @typedef {import('./patterns.js').TextTest} TextTest */

/**
 * Tests of a term: the number of where a node or a branch matches, -1 where it does not.
 * @typedef {{node: (n: number) => number, branch: (b: number) => number, problem?: string}} Tester
 */

const NOWHERE = -1;
const AT = Object.fromEntries(WHERE.map((where, number) => [where, number]));
const nothing = () => NOWHERE;

/**
 * Find once; who searches often keeps a `Finder`.
 * @param {GraphModel} model @param {import('./query.js').Query} query @param {number} limit
 * @returns {Found}
 */
export function find(model, query, limit) {
  return new Finder(model).find(query, limit);
}

/** Searches a graph. What it prepares, it prepares when first needed. */
export class Finder {
  /** @param {GraphModel} model */
  constructor(model) {
    this.model = model;
    /** @type {string[]} texts in lower case, by number; holes until needed */ this.lower = new Array(model.program.texts.length);
    /** @type {Int32Array | undefined} */ this.users = undefined;
    /** @type {Map<number, string>} the source of a frame in lower case */ this.sourceOf = new Map();
  }

  /**
   * @param {import('./query.js').Query} query
   * @param {number} limit how many hits to list
   * @param {{withUndrawn?: boolean}} [options] whether nodes that are not drawn at first are found too
   * @returns {Found} what says most first, then in program order
   */
  find(query, limit, { withUndrawn = false } = {}) {
    /** @type {Found} */ const found = { hits: [], total: 0, nodes: [], undrawn: 0, problem: query.error };
    if (query.error || !query.terms.length) return found;
    const testers = query.terms.map((term) => ({ isNot: term.isNot, ...this.#tester(term) }));
    found.problem = testers.find((tester) => tester.problem)?.problem ?? '';
    const listsUndrawn = withUndrawn || query.terms.some(({ field, text }) => field === 'is' && 'hidden'.startsWith(text));
    /** @type {Hit[][]} */ const ranks = WHERE.map(() => []);
    const add = (/** @type {number} */ item, /** @type {number} */ match) => {
      found.total++;
      const rank = ranks[match % WHERE.length];
      if (rank.length < limit) rank.push({ item, where: WHERE[Math.floor(match / WHERE.length)] });
    };
    const hasPositive = testers.some(({ isNot }) => !isNot);
    for (let b = 1; hasPositive && b < this.model.branchCount; b++) {
      const match = matchOf(testers, 'branch', b);
      if (match >= 0) add(~b, match);
    }
    for (let n = 0; n < this.model.nodeCount; n++) {
      const match = matchOf(testers, 'node', n);
      if (match < 0) continue;
      if (!listsUndrawn && this.model.isHidden(n)) found.undrawn++;
      else {
        add(n, match);
        found.nodes.push(n);
      }
    }
    found.hits = ranks.flat().slice(0, limit);
    return found;
  }

  /** @param {import('./query.js').Term} term @returns {Tester} */
  #tester({ field, text }) {
    /** @type {Record<string, () => Tester>} */
    const testers = {
      '': () => this.#everywhere(text),
      op: () => ({ node: this.#byOperator(this.#memo(operatorNamed(text))), branch: nothing }),
      scope: () => this.#byScope(text),
      class: () => this.#byClass(text),
      shape: () => ({ node: this.#byValue(this.model.c.values.shape, shaped(text), AT.shape), branch: nothing }),
      dtype: () => ({ node: this.#byValue(this.model.c.values.type, typed(text), AT.shape), branch: nothing }),
      name: () => this.#byName(text.replace(/^%/, '')),
      state: () => ({ node: this.#byState(this.#memo(pathed(text.replace(/^%/, '')))), branch: nothing }),
      source: () => ({ node: this.#bySource(anywhere(text)), branch: nothing }),
      line: () => this.#byLine(text),
      user: () => this.#byFlow(text, false),
      from: () => this.#byFlow(text, true),
      is: () => this.#byFact(text),
      phase: () => ({ node: (n) => (!this.model.isEnd(n) && PHASES[this.model.phase(n)].startsWith(text) ? AT.name : NOWHERE), branch: nothing }),
    };
    return testers[field]();
  }

  // Texts

  /**
   * A test of texts by number that compares each text once. See Note [Each text once].
   * @param {TextTest} test @returns {(number: number) => boolean}
   */
  #memo(test) {
    const { texts } = this.model.program;
    const known = new Uint8Array(texts.length); // 1 for yes, 2 for no
    return (number) => {
      if (!known[number]) known[number] = test((this.lower[number] ??= texts[number].toLowerCase())) ? 1 : 2;
      return known[number] === 1;
    };
  }

  /** @param {string} text @returns {Tester} */
  #everywhere(text) {
    const { nodes, branches } = this.model.c;
    const matches = this.#memo(anywhere(text));
    const names = this.#byValueName(matches);
    const operators = this.#byOperator(matches);
    const states = this.#byState(matches);
    const shapes = /\d/.test(text) ? this.#byValue(this.model.c.values.shape, shaped(text), AT.shape) : nothing;
    const sources = this.#bySource(anywhere(text));
    const classes = (/** @type {number} */ n) => (matches(nodes.scopeClass[n]) ? AT.class : NOWHERE);
    const scopes = (/** @type {number} */ n) => (matches(nodes.scope[n]) ? AT.scope : NOWHERE);
    const tests = [names, operators, classes, scopes, states, shapes, sources];
    return {
      node: (n) => firstMatch(tests, n),
      branch: (b) => (matches(branches.title[b]) ? AT.name : matches(branches.className[b]) ? AT.class : matches(branches.address[b]) ? AT.scope : NOWHERE),
    };
  }

  /** @param {(number: number) => boolean} matches */
  #byOperator(matches) {
    const { model } = this;
    const { title, operator } = model.c.nodes;
    return (/** @type {number} */ n) => (!model.isEnd(n) && (matches(title[n]) || matches(operator[n])) ? AT.operator : NOWHERE);
  }

  /** @param {string} text @returns {Tester} */
  #byScope(text) {
    const { nodes, branches } = this.model.c;
    const matches = this.#memo(pathed(text));
    return {
      node: (n) => (matches(nodes.scope[n]) ? AT.scope : NOWHERE),
      branch: (b) => (matches(branches.address[b]) || matches(branches.title[b]) ? AT.scope : NOWHERE),
    };
  }

  /** @param {string} text @returns {Tester} */
  #byClass(text) {
    const { nodes, branches } = this.model.c;
    const matches = this.#memo(named(text));
    return {
      node: (n) => (matches(nodes.scopeClass[n]) ? AT.class : NOWHERE),
      branch: (b) => (matches(branches.className[b]) ? AT.class : NOWHERE),
    };
  }

  /** @param {string} text @returns {Tester} */
  #byName(text) {
    const { branches } = this.model.c;
    const matches = this.#memo(named(text));
    return { node: this.#byValueName(matches), branch: (b) => (matches(branches.title[b]) ? AT.name : NOWHERE) };
  }

  // Values

  /** @param {(number: number) => boolean} matches */
  #byValueName(matches) {
    const { model } = this;
    const { title } = model.c.nodes;
    const { name } = model.c.values;
    return (/** @type {number} */ n) => {
      if (model.isEnd(n) && matches(title[n])) return AT.name;
      return this.#hasValue(n, (v) => matches(name[v])) ? AT.name : NOWHERE;
    };
  }

  /** @param {number[]} column of values @param {TextTest} test @param {number} where */
  #byValue(column, test, where) {
    const matches = this.#memo(test);
    return (/** @type {number} */ n) => (this.#hasValue(n, (v) => matches(column[v])) ? where : NOWHERE);
  }

  /** Whether one of the values that a node makes, or is, passes a test. @param {number} n @param {(v: number) => boolean} test */
  #hasValue(n, test) {
    const { model } = this;
    if (model.isInput(n)) return test(n);
    if (model.isOutput(n)) return test(model.c.args.values[model.c.args.valueStart[model.c.args.start[n]]]);
    for (let v = model.resultStart[n]; v < model.resultStart[n + 1]; v++) if (test(v)) return true;
    return false;
  }

  /** @param {(number: number) => boolean} matches */
  #byState(matches) {
    const { model } = this;
    const { start, valueStart, values } = model.c.args;
    const { names } = model.c.state;
    return (/** @type {number} */ n) => {
      for (let at = valueStart[start[n]]; at < valueStart[start[n + 1]]; at++) {
        if (model.isState(values[at]) && matches(names[values[at] - model.inputCount])) return AT.state;
      }
      return NOWHERE;
    };
  }

  /** The nodes that read a value, or all that follow from it. @param {string} text @param {boolean} isDeep @returns {Tester} */
  #byFlow(text, isDeep) {
    const { model } = this;
    const name = text.replace(/^%/, '');
    const { name: numbers } = model.c.values;
    const isNamed = this.#memo((other) => other === name);
    const found = new Uint8Array(model.nodeCount);
    const v = numbers.findIndex(isNamed);
    if (v < 0) return { node: nothing, branch: nothing, problem: `There is no value %${name}.` };
    const pending = model.users(v);
    for (const n of pending) found[n] = 1;
    for (const n of isDeep ? pending : []) {
      for (const next of model.consumers(n)) {
        if (!found[next]) pending.push(next);
        found[next] = 1;
      }
    }
    return { node: (n) => (found[n] ? AT.name : NOWHERE), branch: nothing };
  }

  // Places and facts

  /** @param {TextTest} test */
  #bySource(test) {
    const { model } = this;
    const users = (this.users ??= userFrames(model.program));
    const known = new Uint8Array(users.length);
    return (/** @type {number} */ n) => {
      const frame = model.nodeFrame(n);
      if (frame < 0) return NOWHERE;
      const user = users[frame];
      if (!known[user]) known[user] = test(this.#sourceLine(user)) ? 1 : 2;
      return known[user] === 1 ? AT.source : NOWHERE;
    };
  }

  /** The line of a frame in lower case. @param {number} frame @returns {string} */
  #sourceLine(frame) {
    const known = this.sourceOf.get(frame);
    if (known !== undefined) return known;
    const { file, line } = this.model.program.frameColumns;
    const text = this.model.program.lines(this.model.text(file[frame]))[line[frame] - 1]?.toLowerCase() ?? '';
    this.sourceOf.set(frame, text);
    return text;
  }

  /** @param {string} text `net.py:41`, `41-50` @returns {Tester} */
  #byLine(text) {
    const [, file, first, last] = /** @type {RegExpMatchArray} */ (text.match(/^(?:(.+):)?(\d+)(?:-(\d+))?$/));
    const columns = this.model.program.frameColumns;
    const isFile = this.#memo((path) => !file || path === file || path.endsWith(`/${file}`));
    const found = new Uint8Array(this.model.nodeCount);
    const isWanted = (/** @type {number} */ f) => columns.line[f] >= Number(first) && columns.line[f] <= Number(last ?? first) && isFile(columns.file[f]);
    for (const n of nodesThrough(this.model, isWanted)) found[n] = 1;
    return { node: (n) => (found[n] ? AT.source : NOWHERE), branch: nothing };
  }

  /** @param {string} text @returns {Tester} */
  #byFact(text) {
    const { model } = this;
    const warned = new Set();
    if (model === model.program.graphs[0]) {
      for (const remark of model.program.remarks) if (remark.kind === 'warning' || remark.kind === 'error') remark.nodes.forEach((n) => warned.add(n));
    }
    /** @type {Record<string, (n: number) => boolean>} */
    const tests = {
      input: (n) => model.isInput(n),
      output: (n) => model.isOutput(n),
      write: (n) => (model.flags[n] & FLAG.WRITES) !== 0,
      hidden: (n) => model.isHidden(n),
      warning: (n) => warned.has(n),
    };
    const test = tests[Object.keys(tests).find((name) => name.startsWith(text)) ?? 'input'];
    return { node: (n) => (test(n) ? AT.name : NOWHERE), branch: nothing };
  }
}

/** @param {((n: number) => number)[]} tests @param {number} n */
function firstMatch(tests, n) {
  for (const test of tests) {
    const where = test(n);
    if (where !== NOWHERE) return where;
  }
  return NOWHERE;
}

/**
 * @param {(Tester & {isNot: boolean})[]} testers @param {'node' | 'branch'} kind @param {number} id
 * @returns {number} where the first term matched times `WHERE.length`, and where the one did that says least;
 *   -1 if not all match
 */
function matchOf(testers, kind, id) {
  let first = NOWHERE;
  let least = 0;
  for (const tester of testers) {
    const where = tester[kind](id);
    if ((where === NOWHERE) !== tester.isNot) return NOWHERE;
    if (tester.isNot) continue;
    if (first === NOWHERE) first = where;
    least = Math.max(least, where);
  }
  return Math.max(first, 0) * WHERE.length + least;
}
