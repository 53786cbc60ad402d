/** Lines of Python as elements: coloured, with the very expression underlined. */

import { Program } from './data.js';
import { el } from './dom.js';
import { tokensOf } from './python_tokens.js';

const LONGEST_LINE = 1000; // characters of a line that are shown

/** @typedef {import('./python_tokens.js').Token} Token */
/** @typedef {[number, number]} Span  from one character up to, without, another */

/**
 * @param {string} text @param {Token[]} tokens @param {Span | null} [underline]
 * @returns {HTMLElement}
 */
export function codeLine(text, tokens, underline = null) {
  const shown = text.length > LONGEST_LINE ? `${text.slice(0, LONGEST_LINE)}…` : text;
  const [from, to] = underline ?? [0, 0];
  const edges = new Set([0, shown.length, from, to]);
  for (const { start, end } of tokens) edges.add(start).add(end);
  const cuts = [...edges].filter((at) => at >= 0 && at <= shown.length).sort((a, b) => a - b);
  const line = el('code', { class: 'code' });
  let token = 0;
  for (let i = 0; i + 1 < cuts.length; i++) {
    const [start, end] = [cuts[i], cuts[i + 1]];
    while (token < tokens.length && tokens[token].end <= start) token++;
    const kind = token < tokens.length && tokens[token].start <= start ? `code-${tokens[token].kind}` : '';
    const marked = start >= from && end <= to ? 'code-expression' : '';
    const names = [kind, marked].filter(Boolean).join(' ');
    const part = shown.slice(start, end);
    line.append(names ? el('span', { class: names, text: part }) : part);
  }
  return line;
}

/**
 * Which characters of a line belong to the expression of a frame.
 * @param {import('./data.js').Place} frame @param {number} line @param {string} text
 * @returns {Span | null}
 */
export function expressionOn(frame, line, text) {
  const last = Math.max(frame.endLine, frame.line);
  if (line < frame.line || line > last) return null;
  const indent = text.length - text.trimStart().length;
  const start = line === frame.line && frame.column ? unitsOf(text, frame.column - 1) : indent;
  const end = line === last && frame.endColumn ? unitsOf(text, frame.endColumn - 1) : text.trimEnd().length;
  return end > start ? [start, end] : null;
}

/** Where a character stands in text that JavaScript counts in halves of some. @param {string} text @param {number} count */
function unitsOf(text, count) {
  return /[\ud800-\udfff]/.test(text) ? [...text].slice(0, count).join('').length : count;
}

/**
 * Some lines around a frame, its expression underlined; null where the file's text is not known.
 * @param {Program} program @param {import('./data.js').Place} frame @param {number} context lines on each side
 */
export function snippet(program, frame, context) {
  const lines = program.lines(frame.file);
  if (frame.line < 1 || frame.line > lines.length) return null;
  const last = Math.min(Math.max(frame.endLine, frame.line), frame.line + 12);
  const from = Math.max(frame.line - context, 1);
  const to = Math.min(last + context, lines.length);
  const tokens = tokensOf(lines);
  const cut = commonIndent(lines.slice(from - 1, to));
  const rows = [];
  for (let line = from; line <= to; line++) {
    const text = lines[line - 1];
    const inner = tokens[line - 1].map(({ start, end, kind }) => ({ start: start - cut, end: end - cut, kind }));
    const span = expressionOn(frame, line, text);
    rows.push(
      el(
        'div',
        { class: line >= frame.line && line <= last ? 'snippet-line is-here' : 'snippet-line' },
        el('span', { class: 'snippet-number', text: line }),
        codeLine(text.slice(cut), inner, span && [span[0] - cut, span[1] - cut]),
      ),
    );
  }
  return el('div', { class: 'snippet' }, ...rows);
}

/** How many characters all lines are indented by. @param {string[]} lines */
function commonIndent(lines) {
  const indents = lines.filter((text) => text.trim()).map((text) => text.length - text.trimStart().length);
  return indents.length ? Math.min(...indents) : 0;
}
