/** The search: a field, what it finds, grouped by scope, and marks in the graph while one types. */

import { counted } from './data.js';
import { button, el, perFrame } from './dom.js';
import { Finder } from './finder.js';
import { FILTERS, parseQuery } from './query.js';
import { swatch } from './pieces.js';
import { Session } from './session.js';

const MOST_LISTED = 200;

/** Shows the search in an element. */
export class SearchBox {
  /** @param {Session} session @param {HTMLElement} element */
  constructor(session, element) {
    this.session = session;
    /** @type {Map<import('./data.js').GraphModel, Finder>} */ this.finders = new Map();
    /** @type {import('./finder.js').Hit[]} in the order of the list */ this.hits = [];
    this.chosen = -1;
    this.searched = ''; // what the list answers
    this.input = el('input', {
      type: 'text',
      class: 'finder-input',
      role: 'combobox',
      placeholder: 'Search  /',
      spellcheck: 'false',
      autocomplete: 'off',
      'aria-label': 'Search operators, scopes, values, shapes and source',
      'aria-expanded': 'false',
      'aria-controls': 'finder-list',
      'aria-autocomplete': 'list',
    });
    this.count = el('span', { class: 'finder-count', 'aria-live': 'polite' });
    this.clearButton = button('×', () => this.clear(), { class: 'finder-clear', title: 'Clear the search and its marks', 'aria-label': 'Clear', hidden: true });
    this.list = el('div', { class: 'finder-list', id: 'finder-list', role: 'listbox', 'aria-label': 'Results' });
    this.panel = el('div', { class: 'finder-panel', hidden: true }, this.list);
    this.help = this.#helpPanel();
    element.classList.add('finder');
    element.append(el('div', { class: 'finder-bar' }, this.input, this.count, this.clearButton, this.#helpButton()), this.panel, this.help);
    this.search = perFrame(() => this.#searchNow());
    this.#listen(element);
  }

  /** Let people type. */
  focus() {
    this.input.focus();
    this.input.select();
  }

  /** Forget the search and its marks. */
  clear() {
    this.input.value = '';
    this.#searchNow();
    this.#close();
  }

  /** @param {HTMLElement} element */
  #listen(element) {
    this.input.addEventListener('input', this.search);
    this.input.addEventListener('focus', () => this.hits.length && this.#open());
    this.input.addEventListener('keydown', (event) => this.#key(event));
    element.addEventListener('focusout', (event) => {
      if (!(event.relatedTarget instanceof Node && element.contains(event.relatedTarget))) this.#close();
    });
    // The field keeps the focus while the list is clicked.
    this.panel.addEventListener('mousedown', (event) => event.preventDefault());
    this.help.addEventListener('mousedown', (event) => event.preventDefault());
    this.session.watch(['graph'], () => this.clear());
    this.session.watch(['view'], () => this.input.value && !this.panel.hidden && this.search());
  }

  #helpButton() {
    const made = button('?', () => this.#toggleHelp(), { class: 'finder-help-button', title: 'What can be searched for', 'aria-expanded': 'false' });
    this.helpButton = made;
    return made;
  }

  /** @param {boolean} [isShown] */
  #toggleHelp(isShown = this.help.hidden !== false) {
    this.help.hidden = !isShown;
    this.helpButton?.setAttribute('aria-expanded', String(isShown));
    if (isShown) {
      this.panel.hidden = true;
      this.input.focus();
    }
  }

  #helpPanel() {
    const rows = FILTERS.flatMap(([name, example, what]) => [
      el('dt', {}, button(example, () => this.#addFilter(`${name}:`), { class: 'jump', title: `Add ${name}: to the search` })),
      el('dd', { text: what }),
    ]);
    const words = el('p', { class: 'faint', text: 'All words must be found. "Quotes" keep words together, -word leaves out, * is anything.' });
    const panel = el('div', { class: 'finder-panel finder-help' }, words, el('dl', {}, ...rows));
    panel.hidden = true;
    return panel;
  }

  /** @param {string} filter */
  #addFilter(filter) {
    this.input.value = `${this.input.value.trimEnd()} ${filter}`.trimStart();
    this.#toggleHelp(false);
    this.input.focus();
  }

  // Searching

  #searchNow() {
    const { session } = this;
    this.searched = this.input.value;
    const query = parseQuery(this.searched);
    const found = this.#finder().find(query, MOST_LISTED, { withUndrawn: session.showsAll });
    this.clearButton.hidden = !this.input.value;
    this.chosen = -1;
    session.mark(found.nodes);
    this.#list(found);
    this.count.textContent = query.terms.length && !found.problem ? found.total.toLocaleString('en') : '';
    this.#toggleHelp(false);
    if (query.terms.length || found.problem) this.#open();
    else this.#close();
  }

  #finder() {
    const { model } = this.session;
    const finder = this.finders.get(model) ?? new Finder(model);
    this.finders.set(model, finder);
    return finder;
  }

  /** @param {import('./finder.js').Found} found */
  #list(found) {
    /** @type {Map<string, import('./finder.js').Hit[]>} */ const groups = new Map();
    for (const hit of found.hits) {
      const group = groups.get(this.#scopeOf(hit.item));
      if (group) group.push(hit);
      else groups.set(this.#scopeOf(hit.item), [hit]);
    }
    this.hits = [...groups.values()].flat();
    const rows = [];
    let index = 0;
    for (const [scope, hits] of groups) {
      rows.push(el('div', { class: 'finder-scope', role: 'presentation', text: scope || this.session.model.branchTitle(0) }));
      for (const hit of hits) rows.push(this.#entry(hit, index++));
    }
    this.list.replaceChildren(...rows, ...this.#footer(found));
    this.input.removeAttribute('aria-activedescendant');
    this.list.scrollTop = 0;
  }

  /** What is said below the results. @param {import('./finder.js').Found} found */
  #footer({ total, undrawn, problem }) {
    const left = total - this.hits.length;
    const lines = [];
    if (problem) lines.push(el('p', { class: 'finder-note is-problem', role: 'alert', text: problem }));
    else if (!total) lines.push(el('p', { class: 'finder-note', text: 'Nothing found. ? tells what can be searched for.' }));
    if (left > 0) lines.push(el('p', { class: 'finder-note', text: `and ${left.toLocaleString('en')} more; all operators found are marked in the graph` }));
    if (undrawn > 0) {
      const show = button('draw everything', () => this.session.setShowsAll(true), { class: 'jump' });
      lines.push(el('p', { class: 'finder-note' }, `${undrawn.toLocaleString('en')} more among what is not drawn: `, show));
    }
    return lines;
  }

  /** The address of the scope that an item stands in. @param {number} item */
  #scopeOf(item) {
    const { model } = this.session;
    if (item >= 0) return model.scope(item);
    const outer = model.branchesAround(~item).slice(1).find((b) => model.address(b));
    return outer === undefined ? '' : model.address(outer);
  }

  /** @param {import('./finder.js').Hit} hit @param {number} index */
  #entry({ item, where }, index) {
    const { session } = this;
    const { model } = session;
    const title = item < 0 ? model.branchTitle(~item) : model.nodeTitle(item);
    const faint = item < 0 ? [model.className(~item), counted(model.drawnCount[~item], 'op')].filter(Boolean).join(' · ') : this.#nodeWords(item);
    return el(
      'div',
      { class: 'finder-hit', role: 'option', id: `finder-hit-${index}`, 'aria-selected': 'false', onclick: () => this.#take(index), onmousemove: () => this.#choose(index, false) },
      item < 0 ? el('span', { class: 'finder-branch', 'aria-hidden': 'true', text: '▸' }) : swatch(session, model.family(item)),
      el('span', { class: 'finder-title', text: title }),
      el('span', { class: 'faint finder-detail', text: faint }),
      where && el('span', { class: 'badge', text: where }),
    );
  }

  /** @param {number} n */
  #nodeWords(n) {
    const { model } = this.session;
    if (model.isEnd(n)) return `${model.operator(n)} ${model.nodeDetail(n)}`;
    const [first] = model.results(n);
    return [model.nodeDetail(n), first !== undefined && `%${model.valueName(first)} ${model.valueShape(first)}`].filter(Boolean).join(' · ');
  }

  // Choosing

  /** @param {KeyboardEvent} event */
  #key(event) {
    const last = this.hits.length - 1;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowDown: () => this.#choose(this.panel.hidden ? Math.max(this.chosen, 0) : this.chosen >= last ? 0 : this.chosen + 1),
      ArrowUp: () => this.#choose(this.chosen <= 0 ? last : this.chosen - 1),
      Enter: () => {
        if (this.input.value !== this.searched) this.#searchNow(); // one typed faster than a frame
        this.#take(Math.max(this.chosen, 0));
      },
      Escape: () => this.#escape(),
    };
    if (!Object.hasOwn(keys, event.key)) return;
    keys[event.key]();
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number} index @param {boolean} [scrolls] */
  #choose(index, scrolls = true) {
    if (!this.hits.length || index === this.chosen) return;
    this.#open();
    this.#entryAt(this.chosen)?.setAttribute('aria-selected', 'false');
    this.chosen = index;
    const entry = this.#entryAt(index);
    entry?.setAttribute('aria-selected', 'true');
    if (scrolls) entry?.scrollIntoView({ block: 'nearest' });
    this.input.setAttribute('aria-activedescendant', `finder-hit-${index}`);
  }

  /** @param {number} index */
  #entryAt(index) {
    return this.list.querySelector(`#finder-hit-${index}`);
  }

  /** Select a hit and show it; the marks stay. @param {number} index */
  #take(index) {
    const hit = this.hits[index];
    if (!hit) return;
    this.#choose(index);
    const { item } = hit;
    this.session.select(item < 0 ? { kind: 'branch', id: ~item } : { kind: 'node', id: item }, { reveal: true });
    this.#close();
  }

  /** Close what is open; then forget the search; then leave. */
  #escape() {
    if (!this.help.hidden) this.#toggleHelp(false);
    else if (!this.panel.hidden) this.#close();
    else if (this.input.value) this.clear();
    else this.input.blur();
  }

  #open() {
    this.panel.hidden = false;
    this.input.setAttribute('aria-expanded', 'true');
  }

  #close() {
    this.panel.hidden = true;
    this.input.setAttribute('aria-expanded', 'false');
    if (!this.help.hidden) this.#toggleHelp(false);
  }
}
