/**
 * The program that a page shows, read from its columns.
 *
 * Nodes, branches and values are numbers. An item of a branch is a node, or a branch as `~branch`. Nodes are
 * numbered in the order of the branches, so those of a branch are a range.
 */

/** Why a node is not drawn until somebody asks, and facts about it, as bits of its flags. */
export const FLAG = { SIZES: 1, BOOKKEEPING: 2, UNUSED: 4, IDENTITY: 8, WRITES: 16, BLOCKS: 32 };
const HIDDEN = FLAG.SIZES | FLAG.BOOKKEEPING | FLAG.UNUSED | FLAG.IDENTITY;

export const PHASES = ['forward', 'backward', 'optimizer'];

/**
 * A place in the user's files or a library's.
 * @typedef {{file: string, function: string, line: number, column: number, endLine: number,
 *   endColumn: number, caller: number, isLibrary: boolean}} Place
 */

/**
 * An argument; `text` has "\x01" for each value, `isKeyword` says that it is passed by its name.
 * @typedef {{name: string, isKeyword: boolean, text: string, values: number[]}} Arg
 */

/** @typedef {{kind: string, title: string, hint: string, frame: number, nodes: number[]}} Remark */

/**
 * Numbers to colour by: one per node, NaN where there is none, and one per branch.
 * @typedef {{name: string, unit: string, isAdditive: boolean, nodes: Float64Array, branches: Float64Array}}
 *   Measure
 */

/**
 * Turn what the page holds into an object.
 * @param {string} packed gzip in base64
 * @returns {Promise<any>}
 */
export async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return JSON.parse(await new Response(stream).text());
}

/** Everything on a page: its graphs, and what they share. */
export class Program {
  /** @param {any} document as `exhibit.py` writes it */
  constructor(document) {
    /** @type {string} */ this.title = document.title;
    /** @type {string} */ this.subtitle = document.subtitle;
    /** @type {string[]} */ this.texts = document.texts;
    /** @type {string[]} */ this.families = document.families;
    /** @type {Record<string, any>} */ this.palettes = document.palettes;
    /** @type {Record<string, string>} the text of the user's files */ this.sources = document.sources;
    /** @type {Record<string, string>} */ this.stateNotes = document.stateNotes;
    /** @type {Remark[]} of the first graph */ this.remarks = document.remarks;
    this.frameColumns = document.frames;
    /** @type {GraphModel[]} the program first, then the functions that it calls */
    this.graphs = document.graphs.map((/** @type {any} */ columns) => new GraphModel(this, columns));
    /** @type {Measure[]} of the first graph */
    this.measures = document.measures.map((/** @type {any} */ m) => this.graphs[0].measure(m));
  }

  /** @param {number} number @returns {Place | null} */
  frame(number) {
    if (number < 0) return null;
    const c = this.frameColumns;
    return {
      file: this.texts[c.file[number]],
      function: this.texts[c.function[number]],
      line: c.line[number],
      column: c.column[number],
      endLine: c.endLine[number],
      endColumn: c.endColumn[number],
      caller: c.caller[number],
      isLibrary: !!c.isLibrary[number],
    };
  }

  /**
   * The innermost frame of a stack that is the user's; the innermost of all where none is.
   * @param {number} number @returns {number}
   */
  userFrame(number) {
    const { isLibrary, caller } = this.frameColumns;
    for (let at = number; at >= 0; at = caller[at]) if (!isLibrary[at]) return at;
    return number;
  }

  /** @type {Map<string, string[]>} the lines of files, once they were asked for */ #lines = new Map();

  /** @param {string} file @returns {string[]} the lines of a file; none where its text is not known */
  lines(file) {
    let lines = this.#lines.get(file);
    if (!lines) {
      const text = Object.hasOwn(this.sources, file) ? this.sources[file] : '';
      lines = text ? text.split('\n').map((line) => line.replace(/\r$/, '')) : [];
      this.#lines.set(file, lines);
    }
    return lines;
  }

  /** @param {string} name @returns {GraphModel | undefined} */
  graphNamed(name) {
    return this.graphs.slice(1).find((graph) => graph.name === name);
  }
}

/** One graph: a program, or a function that it calls. */
export class GraphModel {
  /** @param {Program} program @param {any} columns */
  constructor(program, columns) {
    this.program = program;
    /** @type {string} */ this.name = columns.name;
    this.c = columns;
    /** @type {number} */ this.inputCount = columns.inputs;
    /** @type {number} */ this.nodeCount = columns.nodes.operator.length;
    /** @type {number} */ this.branchCount = columns.branches.kind.length;
    /** @type {number} */ this.valueCount = columns.values.name.length;
    this.flags = Int32Array.from(columns.nodes.flags);
    this.itemStart = Int32Array.from(columns.branches.itemStart);
    this.items = Int32Array.from(columns.branches.items);
    this.branchParent = Int32Array.from(columns.branches.parent);
    this.flowStart = Int32Array.from(columns.flows.start);
    this.flowSource = Int32Array.from(columns.flows.source);
    this.flowValue = Int32Array.from(columns.flows.value);
    this.flowIsWrite = Uint8Array.from(columns.flows.isWrite);
    /** whether a flow is another origin of what the one before it brings: what either block of a node may give */
    this.flowIsOther = Uint8Array.from(columns.flows.isOther);
    this.resultStart = Int32Array.from(columns.values.resultStart);
    /** the branch that holds each node */
    this.nodeBranch = new Int32Array(this.nodeCount);
    /** the nodes of a branch at any depth: from `first[b]` up to, without, `end[b]` */
    this.first = new Int32Array(this.branchCount);
    this.end = new Int32Array(this.branchCount);
    this.depth = new Int32Array(this.branchCount);
    this.#findRanges();
    const targets = new Int32Array(this.flowSource.length);
    for (let n = 0; n < this.nodeCount; n++) targets.fill(n, this.flowStart[n], this.flowStart[n + 1]);
    /** the node that each flow goes into */
    this.flowTarget = targets;
    const [outStart, outFlow] = grouped(this.flowSource, this.nodeCount);
    this.outStart = outStart;
    this.outFlow = outFlow;
    const { start, valueStart, values } = columns.args;
    const readers = new Int32Array(values.length);
    for (let n = 0; n < this.nodeCount; n++) readers.fill(n, valueStart[start[n]], valueStart[start[n + 1]]);
    this.readers = readers;
    const [useStart, useOf] = grouped(Int32Array.from(values), this.valueCount);
    this.useStart = useStart;
    this.useOf = useOf;
    /** how many nodes of a branch, at any depth, are operators that are drawn at first */
    this.drawnCount = this.#countDrawn();
  }

  #findRanges() {
    let node = 0;
    /** @type {{branch: number, at: number}[]} */
    const walks = [{ branch: 0, at: this.itemStart[0] }];
    while (walks.length) {
      const walk = walks[walks.length - 1];
      if (walk.at === this.itemStart[walk.branch + 1]) {
        this.end[walk.branch] = node;
        walks.pop();
        continue;
      }
      const item = this.items[walk.at++];
      if (item >= 0) {
        this.nodeBranch[item] = walk.branch;
        node = item + 1;
      } else {
        this.first[~item] = node;
        this.depth[~item] = walks.length;
        walks.push({ branch: ~item, at: this.itemStart[~item] });
      }
    }
  }

  #countDrawn() {
    const before = new Int32Array(this.nodeCount + 1);
    for (let n = 0; n < this.nodeCount; n++) before[n + 1] = before[n] + (this.isEnd(n) || this.isHidden(n) ? 0 : 1);
    return this.first.map((first, branch) => before[this.end[branch]] - before[first]);
  }

  /** How many operators a branch holds at any depth, drawn at first or not. @param {number} b */
  operatorCount(b) {
    return Math.max(Math.min(this.end[b], this.nodeCount - this.c.outputs) - Math.max(this.first[b], this.inputCount), 0);
  }

  /** @param {number} number @returns {string} */
  text(number) {
    return this.program.texts[number];
  }

  // Nodes

  /** @param {number} n */
  isInput(n) {
    return n < this.inputCount;
  }

  /** @param {number} n */
  isOutput(n) {
    return n >= this.nodeCount - this.c.outputs;
  }

  /** Whether it is an input or output, not an operator. @param {number} n */
  isEnd(n) {
    return this.isInput(n) || this.isOutput(n);
  }

  /** Whether it is left out until somebody asks for everything. @param {number} n */
  isHidden(n) {
    return (this.flags[n] & HIDDEN) !== 0;
  }

  /** `aten::conv2d` @param {number} n */
  operator(n) {
    return this.text(this.c.nodes.operator[n]);
  }

  /** `conv2d`; the name of an input or output @param {number} n */
  nodeTitle(n) {
    return this.text(this.c.nodes.title[n]);
  }

  /** `64→64 3×3` @param {number} n */
  nodeDetail(n) {
    return this.text(this.c.nodes.detail[n]);
  }

  /** The number of its family; -1 for inputs and outputs. @param {number} n @returns {number} */
  family(n) {
    return this.c.nodes.family[n];
  }

  /** @param {number} n @returns {number} an index of `PHASES` */
  phase(n) {
    return this.c.nodes.phase[n];
  }

  /** The address of its scope, `layer1.0.conv1`. @param {number} n */
  scope(n) {
    return this.text(this.c.nodes.scope[n]);
  }

  /** @param {number} n */
  scopeClass(n) {
    return this.text(this.c.nodes.scopeClass[n]);
  }

  /** The innermost frame of its stack; -1 for none. @param {number} n @returns {number} */
  nodeFrame(n) {
    return this.c.nodes.frame[n];
  }

  /** Gradient modes and autocast; empty where they are the usual ones. @param {number} n */
  modes(n) {
    return this.text(this.c.nodes.modes[n]);
  }

  /** The name of the function that it calls; empty for others. @param {number} n */
  callee(n) {
    return this.text(this.c.nodes.callee[n]);
  }

  /** The values that it makes. @param {number} n @returns {number[]} */
  results(n) {
    return range(this.resultStart[n], this.resultStart[n + 1]);
  }

  /** @param {number} n @returns {Arg[]} */
  args(n) {
    const { start, name, isKeyword, text, valueStart, values } = this.c.args;
    return range(start[n], start[n + 1]).map((at) => ({
      name: this.text(name[at]),
      isKeyword: !!isKeyword[at],
      text: this.text(text[at]),
      values: values.slice(valueStart[at], valueStart[at + 1]),
    }));
  }

  /** The nodes that what it reads comes from, each once. @param {number} n @returns {number[]} */
  producers(n) {
    return [...new Set(this.flowSource.subarray(this.flowStart[n], this.flowStart[n + 1]))];
  }

  /** The nodes that read what it makes, each once. @param {number} n @returns {number[]} */
  consumers(n) {
    const found = new Set();
    for (let at = this.outStart[n]; at < this.outStart[n + 1]; at++) found.add(this.flowTarget[this.outFlow[at]]);
    return [...found];
  }

  // Values

  /** @param {number} v */
  valueName(v) {
    return this.text(this.c.values.name[v]);
  }

  /** The whole type. @param {number} v */
  valueType(v) {
    return this.text(this.c.values.type[v]);
  }

  /** The type in short, for an edge: `1×64×56×56`. @param {number} v */
  valueShape(v) {
    return this.text(this.c.values.shape[v]);
  }

  /** The node that it comes from, for a block's input the node that owns the block; -1 for state. @param {number} v */
  producer(v) {
    return /** @type {number} */ (this.c.values.producer[v]);
  }

  /** The nodes that read it, each once. @param {number} v @returns {number[]} */
  users(v) {
    const found = new Set();
    for (let at = this.useStart[v]; at < this.useStart[v + 1]; at++) found.add(this.readers[this.useOf[at]]);
    return [...found];
  }

  /** Whether it is a parameter, buffer or constant. @param {number} v */
  isState(v) {
    return v >= this.inputCount && v < this.inputCount + this.c.state.kind.length;
  }

  /** @param {number} v a value of the state @returns {{names: string[], kind: string, elements: number}} */
  state(v) {
    const at = v - this.inputCount;
    const { names, kind, elements } = this.c.state;
    return { names: this.text(names[at]).split('\n'), kind: this.text(kind[at]), elements: elements[at] };
  }

  // Branches

  /** `module`, `function`, `operator`, `backward`, `optimizer`, `region`, `root`, `control`, `block`, `repeat`,
   *  `turn` or `section` @param {number} b */
  kind(b) {
    return this.text(this.c.branches.kind[b]);
  }

  /** @param {number} b */
  branchTitle(b) {
    return this.text(this.c.branches.title[b]);
  }

  /** @param {number} b */
  className(b) {
    return this.text(this.c.branches.className[b]);
  }

  /** @param {number} b */
  address(b) {
    return this.text(this.c.branches.address[b]);
  }

  /** How the likes of a repeat share weights; which operators are in what has no name. @param {number} b */
  note(b) {
    return this.text(this.c.branches.note[b]);
  }

  /** @param {number} b @returns {number} */
  parameters(b) {
    return this.c.branches.parameters[b];
  }

  /** @param {number} b @returns {boolean} */
  isChain(b) {
    return !!this.c.branches.isChain[b];
  }

  /** @param {number} b @returns {boolean} */
  isOpenAtFirst(b) {
    return !!this.c.branches.isOpen[b];
  }

  /** @param {number} b @returns {Int32Array} nodes, and branches as `~branch` */
  itemsOf(b) {
    return this.items.subarray(this.itemStart[b], this.itemStart[b + 1]);
  }

  /** The branch and those around it, from the innermost to the root. @param {number} b @returns {number[]} */
  branchesAround(b) {
    const found = [];
    for (let at = b; at >= 0; at = this.branchParent[at]) found.push(at);
    return found;
  }

  /** The branch of an address; -1 where there is none. @param {string} address */
  branchAt(address) {
    for (let b = 0; b < this.branchCount; b++) if (this.address(b) === address) return b;
    return -1;
  }

  // Text

  /** An argument as people write it, with the names of its values. @param {Arg} arg */
  argText(arg) {
    let at = 0;
    return arg.text.replace(/\x01/g, () => `%${this.valueName(arg.values[at++])}`);
  }

  /** The node as a line of the graph's text. @param {number} n */
  irText(n) {
    if (this.isInput(n)) return `input %${this.valueName(n)} : ${this.valueType(n)}`;
    const results = this.results(n).map((v) => `%${this.valueName(v)} : ${this.valueType(v)}`);
    const args = this.args(n).map((arg) => (arg.isKeyword ? `${arg.name}=` : '') + this.argText(arg));
    if (this.isOutput(n)) return `return ${args[0]}`;
    const made = results.length > 1 ? `${results.join(', ')}` : results.join('');
    const call = `${this.operator(n)}(${args.join(', ')})`;
    const frame = this.program.frame(this.program.userFrame(this.nodeFrame(n)));
    const place = frame ? `    # ${frame.file}:${frame.line}` : '';
    return (made ? `${made} = ${call}` : call) + place;
  }

  /** @param {any} m @returns {Measure} */
  measure(m) {
    const nodes = new Float64Array(this.nodeCount).fill(NaN);
    m.nodes.forEach((/** @type {number} */ n, /** @type {number} */ at) => (nodes[n] = m.numbers[at]));
    return { name: m.name, unit: m.unit, isAdditive: m.isAdditive, nodes, branches: this.#ofBranches(nodes, m.isAdditive) };
  }

  /** @param {Float64Array} nodes @param {boolean} isAdditive */
  #ofBranches(nodes, isAdditive) {
    const found = new Float64Array(this.branchCount).fill(NaN);
    for (let n = 0; n < this.nodeCount; n++) {
      if (Number.isNaN(nodes[n])) continue;
      const b = this.nodeBranch[n];
      found[b] = Number.isNaN(found[b]) ? nodes[n] : isAdditive ? found[b] + nodes[n] : Math.max(found[b], nodes[n]);
    }
    for (let b = this.branchCount - 1; b > 0; b--) {
      const p = this.branchParent[b];
      if (Number.isNaN(found[b])) continue;
      found[p] = Number.isNaN(found[p]) ? found[b] : isAdditive ? found[p] + found[b] : Math.max(found[p], found[b]);
    }
    return found;
  }
}

/**
 * Sort positions by their keys, those of a key in their order.
 * @param {Int32Array} keys @param {number} count of keys that there may be
 * @returns {[Int32Array, Int32Array]} where the positions of each key start, and the positions
 */
export function grouped(keys, count) {
  const start = new Int32Array(count + 1);
  for (const key of keys) if (key >= 0) start[key + 1]++;
  for (let k = 0; k < count; k++) start[k + 1] += start[k];
  const at = start.slice();
  const positions = new Int32Array(start[count]);
  keys.forEach((key, position) => {
    if (key >= 0) positions[at[key]++] = position;
  });
  return [start, positions];
}

/** @param {number} from @param {number} to @returns {number[]} */
export function range(from, to) {
  return Array.from({ length: Math.max(to - from, 0) }, (_, i) => from + i);
}

/** `25.6M`, `1.2e-5` @param {number} count */
export function human(count) {
  for (const [size, unit] of /** @type {[number, string][]} */ ([[1e12, 'T'], [1e9, 'B'], [1e6, 'M'], [1e3, 'k']])) {
    if (Math.abs(count) >= size * 0.9995) return `${Number((count / size).toPrecision(3))}${unit}`;
  }
  const rounded = Number(count.toPrecision(3));
  return count && Math.abs(count) < 1e-3 ? rounded.toExponential() : `${rounded}`;
}

/** `1 op`, `42 ops` @param {number} count @param {string} noun */
export function counted(count, noun) {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}
