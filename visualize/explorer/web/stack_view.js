/** A node's Python: the line that made it, and the whole stack that led there. */

import { button, el, jump } from './dom.js';
import { section } from './pieces.js';
import { Session } from './session.js';
import { snippet } from './code_line.js';
import { nodesThrough } from './stacks.js';

/** The line of the user's that made a node, with its surroundings. @param {Session} session @param {number} n */
export function sourceSection(session, n) {
  const { program, model } = session;
  const number = program.userFrame(model.nodeFrame(n));
  const frame = program.frame(number);
  if (!frame) return null;
  const lines = snippet(program, frame, 2);
  const where = `${frame.file}:${frame.line}`;
  return section(
    'Source',
    el('p', { class: 'where' }, jump(where, () => goToFrame(session, number), 'Show in the source and mark all that came through here'), frame.function && el('span', { class: 'faint', text: ` in ${frame.function}` })),
    lines ?? el('p', { class: 'faint', text: 'The text of this file is not on this page.' }),
  );
}

/** The whole stack, innermost first. @param {Session} session @param {number} n */
export function stackSection(session, n) {
  const numbers = [];
  for (let f = session.model.nodeFrame(n); f >= 0; f = session.program.frameColumns.caller[f]) numbers.push(f);
  if (!numbers.length) return null;
  const list = el('ol', { class: 'stack' });
  /** @type {number[]} */ let run = []; // library frames that follow each other
  const close = () => {
    if (run.length) list.append(libraryFrames(session, run));
    run = [];
  };
  for (const number of numbers) {
    if (session.program.frameColumns.isLibrary[number]) run.push(number);
    else {
      close();
      list.append(frameEntry(session, number));
    }
  }
  close();
  return section('Stack', list);
}

/** Frames that are hidden until asked for. @param {Session} session @param {number[]} numbers */
function libraryFrames(session, numbers) {
  const inner = el('ol', { class: 'stack' }, ...numbers.map((number) => frameEntry(session, number)));
  inner.hidden = true;
  const label = `${numbers.length} library frame${numbers.length === 1 ? '' : 's'}`;
  const toggle = button(`▸ ${label}`, () => {
    inner.hidden = !inner.hidden;
    toggle.textContent = `${inner.hidden ? '▸' : '▾'} ${label}`;
    toggle.setAttribute('aria-expanded', String(!inner.hidden));
  }, { class: 'library-toggle', 'aria-expanded': 'false' });
  return el('li', { class: 'library' }, toggle, inner);
}

/** @param {Session} session @param {number} number */
function frameEntry(session, number) {
  const frame = /** @type {import('./data.js').Place} */ (session.program.frame(number));
  const text = session.program.lines(frame.file)[frame.line - 1]?.trim() ?? '';
  return el(
    'li',
    { class: 'frame' },
    jump(frame.function || '?', () => goToFrame(session, number), 'Mark all operators that came through here'),
    el('span', { class: 'faint', text: `${frame.file}:${frame.line}` }),
    text && el('code', { class: 'frame-text', text }),
  );
}

/** Mark what came through a frame, and show its line. @param {Session} session @param {number} number */
function goToFrame(session, number) {
  const { file, line } = /** @type {import('./data.js').Place} */ (session.program.frame(number));
  session.mark(nodesThrough(session.model, (frame) => frame === number));
  session.tell('source', { file, line });
}
