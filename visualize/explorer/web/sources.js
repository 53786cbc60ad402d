/** The program's source, with what each line made beside it. */

import { codeLine, expressionOn } from './code_line.js';
import { counted, GraphModel } from './data.js';
import { button, el } from './dom.js';
import { swatch } from './pieces.js';
import { tokensOf } from './python_tokens.js';
import { VirtualRows } from './rows.js';
import { Session } from './session.js';
import { filesOf, lineFacts, nodesThrough, standsOn } from './stacks.js';

const SOURCE_ROW = 18; // pixels
const MOST_CHIPS = 3;

/** Shows the files in an element. */
export class SourceView {
  /** @param {Session} session @param {HTMLElement} element */
  constructor(session, element) {
    this.session = session;
    this.file = '';
    /** @type {string[]} */ this.lines = [];
    /** @type {import('./python_tokens.js').Token[][]} */ this.tokens = [];
    /** @type {Map<number, import('./stacks.js').LineFacts>} */ this.facts = new Map();
    /** @type {Set<number>} lines that marked nodes come from */ this.markedLines = new Set();
    this.current = 0; // the line that steps go from
    /** @type {import('./data.js').Place | null} the frame of what is selected */ this.frame = null;
    this.picker = el('select', { 'aria-label': 'File', onchange: () => this.show(this.picker.value) });
    this.summary = el('span', { class: 'faint', title: 'Lines that made operators' });
    this.none = el('p', { class: 'sources-none' });
    this.body = el('div', { class: 'sources-body', tabindex: 0, 'aria-label': 'Source', role: 'region' });
    element.classList.add('sources');
    element.append(this.#bar(), this.none, this.body);
    this.rows = new VirtualRows(this.body, SOURCE_ROW, (index) => this.#row(index + 1));
    this.body.addEventListener('click', (event) => this.#click(event));
    this.#listen();
    this.#showGraph();
  }

  #bar() {
    return el(
      'div',
      { class: 'sources-bar' },
      this.picker,
      this.summary,
      button('↑', () => this.#step(-1), { class: 'step', title: 'To the line before that made operators' }),
      button('↓', () => this.#step(1), { class: 'step', title: 'To the next line that made operators' }),
    );
  }

  #listen() {
    const { session } = this;
    session.watch(['graph'], () => this.#showGraph());
    session.watch(['selection'], () => this.#follow());
    session.watch(['marks'], () => this.#takeMarks());
    session.watch(['theme'], () => this.rows.refresh());
    session.watch(['source'], ({ detail }) => this.show(detail.file, detail.line));
  }

  #showGraph() {
    const files = filesOf(this.session.model);
    const options = files.map(({ file, count }) => el('option', { value: file, text: count ? `${file} (${count})` : file }));
    this.picker.replaceChildren(...options);
    this.file = '';
    if (files.length) this.show(files[0].file);
    else this.#explain('No line of Python is known for any operator of this graph.');
    this.#follow();
  }

  /** Show a file, and a line of it. @param {string} file @param {number} [line] */
  show(file, line = 0) {
    if (file !== this.file) this.#open(file);
    if (line) {
      this.current = line;
      this.rows.show(line - 1, true);
    }
    this.rows.refresh();
  }

  /** @param {string} file */
  #open(file) {
    this.file = file;
    this.current = 0;
    this.facts = lineFacts(this.session.model, file);
    this.#takeMarks();
    if (![...this.picker.options].some((option) => option.value === file)) this.picker.append(el('option', { value: file, text: file }));
    this.picker.value = file;
    const lines = this.session.program.lines(file);
    this.lines = lines;
    this.tokens = tokensOf(lines);
    const made = [...this.facts.values()].filter((facts) => facts.made.length).length;
    this.summary.textContent = made ? `${counted(made, 'line')}` : '';
    if (lines.length) this.#explain('');
    else this.#explain(`The text of ${file} is not on this page: it belongs to a library, or it could not be read.`);
    const longest = lines.reduce((most, text) => Math.max(most, text.length), 0);
    this.rows.canvas.style.minWidth = `calc(${Math.min(longest, 400)}ch + 320px)`;
    this.rows.setCount(lines.length);
    this.body.scrollTo(0, 0);
    const first = Math.min(...[...this.facts].filter(([, { made }]) => made.length).map(([line]) => line));
    if (lines.length && first < Infinity) this.rows.show(first - 1, true);
  }

  /** @param {string} why there is nothing to see; empty where there is */
  #explain(why) {
    this.none.textContent = why;
    this.none.hidden = !why;
    this.body.hidden = why !== '';
  }

  /** Go to the line of what is selected. */
  #follow() {
    const { session } = this;
    const { selection, model, program } = session;
    const node = !selection || selection.kind === 'branch' ? -1 : selection.kind === 'node' ? selection.id : model.producer(selection.id);
    this.frame = node < 0 ? null : program.frame(program.userFrame(model.nodeFrame(node)));
    if (this.frame) this.show(this.frame.file, this.frame.line);
    this.rows.refresh();
  }

  #takeMarks() {
    const { marks } = this.session;
    this.markedLines = new Set();
    for (const [line, { made }] of this.facts) if (made.some((n) => marks.has(n))) this.markedLines.add(line);
    this.rows.refresh();
  }

  /** Go to the next line that made operators, or the one before. @param {number} way 1 or -1 */
  #step(way) {
    const lines = [...this.facts].filter(([, { made }]) => made.length).map(([line]) => line).sort((a, b) => way * (a - b));
    const next = lines.find((line) => way * (line - this.current) > 0);
    if (next) this.#pick(next);
  }

  // Drawing

  /** @param {number} line */
  #row(line) {
    const text = this.lines[line - 1];
    const facts = this.facts.get(line);
    const underline = this.frame?.file === this.file ? expressionOn(this.frame, line, text) : null;
    const classes = ['source-line', facts && 'has-nodes', underline && 'is-here', this.markedLines.has(line) && 'is-marked'];
    return el(
      'div',
      { class: classes.filter(Boolean).join(' '), title: facts ? aboutLine(this.session.model, facts) : null },
      el('div', { class: 'source-gutter' }, el('span', { text: line }), facts && this.#count(facts)),
      codeLine(text, this.tokens[line - 1], underline),
      facts && this.#chips(facts.made),
    );
  }

  /** @param {import('./stacks.js').LineFacts} facts */
  #count({ made, through }) {
    return el('span', { class: made.length ? 'source-count' : 'source-count is-passing', text: made.length || `(${through})` });
  }

  /** The operators that a line made. @param {number[]} made */
  #chips(made) {
    const { model } = this.session;
    const titles = byTitle(model, made);
    const shown = [...titles].slice(0, MOST_CHIPS);
    const chips = shown.map(([title, nodes]) =>
      el(
        'button',
        { type: 'button', class: 'chip', onclick: (/** @type {Event} */ event) => this.#pickNodes(event, nodes) },
        swatch(this.session, model.family(nodes[0])),
        nodes.length > 1 ? `${title} ×${nodes.length}` : title,
      ),
    );
    const rest = titles.size - shown.length;
    return el('span', { class: 'chips' }, ...chips, rest > 0 && el('span', { class: 'faint', text: `+${rest}` }));
  }

  // Acting

  /** @param {MouseEvent} event */
  #click(event) {
    const index = this.rows.at(event.clientY);
    if (index >= 0 && !String(getSelection() ?? '')) this.#pick(index + 1);
  }

  /** Mark what came through a line; select it where it is one. @param {number} line */
  #pick(line) {
    const { session } = this;
    this.current = line;
    const nodes = nodesThrough(session.model, standsOn(session.program, this.file, line));
    session.mark(nodes);
    if (nodes.length === 1) session.select({ kind: 'node', id: nodes[0] }, { reveal: true });
    this.rows.show(line - 1, true);
  }

  /** @param {Event} event @param {number[]} nodes */
  #pickNodes(event, nodes) {
    event.stopPropagation();
    this.session.mark(nodes);
    this.session.select({ kind: 'node', id: nodes[0] }, { reveal: true });
  }
}

/** Nodes by their titles. @param {GraphModel} model @param {number[]} nodes @returns {Map<string, number[]>} */
function byTitle(model, nodes) {
  const titles = new Map();
  for (const n of nodes) {
    const likes = titles.get(model.nodeTitle(n));
    if (likes) likes.push(n);
    else titles.set(model.nodeTitle(n), [n]);
  }
  return titles;
}

/** What a line made, in words. @param {GraphModel} model @param {import('./stacks.js').LineFacts} facts */
function aboutLine(model, { made, through }) {
  const names = [...byTitle(model, made)].map(([title, nodes]) => (nodes.length > 1 ? `${title} ×${nodes.length}` : title));
  const lines = [made.length ? `Made ${counted(made.length, 'operator')}: ${names.join(', ')}` : ''];
  if (through > made.length) lines.push(`${counted(through, 'operator')} came through here`);
  return lines.filter(Boolean).join('\n');
}
