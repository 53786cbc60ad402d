/** Which nodes come from which frames and lines of the Python that ran. */

import { GraphModel, Program } from './data.js';

/**
 * The nodes whose stacks hold any of some frames. O(frames + nodes)
 * @param {GraphModel} model @param {(frame: number) => boolean} isWanted
 * @returns {number[]}
 */
export function nodesThrough(model, isWanted) {
  const { caller } = model.program.frameColumns;
  const holds = new Uint8Array(caller.length); // callers come before whom they call
  for (let f = 0; f < caller.length; f++) holds[f] = (caller[f] >= 0 && holds[caller[f]]) || isWanted(f) ? 1 : 0;
  const found = [];
  for (let n = 0; n < model.nodeCount; n++) if (model.nodeFrame(n) >= 0 && holds[model.nodeFrame(n)]) found.push(n);
  return found;
}

/**
 * Whether a frame stands on some lines of a file.
 * @param {Program} program @param {string} file @param {number} line @param {number} [last]
 * @returns {(frame: number) => boolean}
 */
export function standsOn(program, file, line, last = line) {
  const columns = program.frameColumns;
  const number = program.texts.indexOf(file);
  return (frame) => columns.file[frame] === number && columns.line[frame] >= line && columns.line[frame] <= last;
}

/**
 * What a line of a file made: the nodes whose innermost frame of the user's stands there, and how many nodes
 * have it anywhere in their stacks.
 * @typedef {{made: number[], through: number}} LineFacts
 */

/**
 * What each line of a file made. O(frames + nodes)
 * @param {GraphModel} model @param {string} file
 * @returns {Map<number, LineFacts>} by line
 */
export function lineFacts(model, file) {
  const { program } = model;
  const columns = program.frameColumns;
  const number = program.texts.indexOf(file);
  /** @type {Map<number, LineFacts>} */ const lines = new Map();
  const at = (/** @type {number} */ line) => {
    const facts = lines.get(line) ?? { made: [], through: 0 };
    lines.set(line, facts);
    return facts;
  };
  const users = userFrames(program);
  const totals = new Int32Array(columns.caller.length);
  for (let n = 0; n < model.nodeCount; n++) {
    const frame = model.nodeFrame(n);
    if (frame < 0) continue;
    totals[frame]++;
    if (columns.file[users[frame]] === number) at(columns.line[users[frame]]).made.push(n);
  }
  for (let f = totals.length - 1; f >= 0; f--) if (columns.caller[f] >= 0) totals[columns.caller[f]] += totals[f];
  for (let f = 0; f < totals.length; f++) {
    if (columns.file[f] === number && totals[f] && !recurs(columns, f)) at(columns.line[f]).through += totals[f];
  }
  return lines;
}

/** The innermost frame of the user's for each frame; the frame itself where none is. @param {Program} program */
export function userFrames(program) {
  const { caller, isLibrary } = program.frameColumns;
  const found = new Int32Array(caller.length);
  for (let f = 0; f < caller.length; f++) found[f] = !isLibrary[f] ? f : caller[f] >= 0 ? found[caller[f]] : -1;
  return found.map((user, f) => (user < 0 ? f : user));
}

/** Whether a frame was called, at any distance, from its own line. @param {any} columns @param {number} frame */
function recurs(columns, frame) {
  for (let f = columns.caller[frame]; f >= 0; f = columns.caller[f]) {
    if (columns.file[f] === columns.file[frame] && columns.line[f] === columns.line[frame]) return true;
  }
  return false;
}

/**
 * The user's files that made nodes of a graph, those that made most first, and how many each made.
 * @param {GraphModel} model
 * @returns {{file: string, count: number}[]}
 */
export function filesOf(model) {
  const { program } = model;
  const users = userFrames(program);
  /** @type {Map<number, number>} */ const counts = new Map();
  for (let n = 0; n < model.nodeCount; n++) {
    const frame = model.nodeFrame(n);
    if (frame < 0) continue;
    const file = program.frameColumns.file[users[frame]];
    counts.set(file, (counts.get(file) ?? 0) + 1);
  }
  const found = [...counts].map(([file, count]) => ({ file: program.texts[file], count }));
  const others = Object.keys(program.sources).filter((file) => !found.some((known) => known.file === file));
  return [...found.sort((a, b) => b.count - a.count), ...others.map((file) => ({ file, count: 0 }))];
}
