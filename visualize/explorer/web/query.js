/**
 * What people type to search: words that must all be found, `"a phrase"`, `-without`, `with*stars`, and filters
 * such as `op:conv*`.
 */

/**
 * A part of a query. An empty field looks everywhere.
 * @typedef {{field: string, text: string, isNot: boolean}} Term
 */

/** @typedef {{terms: Term[], error: string}} Query  a query with an error finds nothing */

/** The filters: what they are called, an example, and what it finds. */
export const FILTERS = [
  ['op', 'op:conv*', 'operators of that name'],
  ['scope', 'scope:layer1.0', 'what stands in that scope'],
  ['class', 'class:Linear', 'modules of that class and what is in them'],
  ['shape', 'shape:1x*x56', 'results of that shape; * is any size'],
  ['dtype', 'dtype:bf16', 'results of that type'],
  ['name', 'name:hidden', 'values, inputs and outputs of that name'],
  ['state', 'state:fc.weight', 'readers of that parameter or buffer'],
  ['source', 'source:softmax', 'what was made by a line with that text'],
  ['line', 'line:net.py:41', 'what came through that line; 41-50 for several'],
  ['user', 'user:%x', 'what reads that value'],
  ['from', 'from:%x', 'all that is computed from that value'],
  ['is', 'is:write', 'input, output, write, hidden or warning'],
  ['phase', 'phase:backward', 'forward, backward or optimizer'],
];

/** @type {Record<string, string[]>} filters that take one of some words */
const CHOICES = {
  is: ['input', 'output', 'write', 'hidden', 'warning'],
  phase: ['forward', 'backward', 'optimizer'],
};
const TERM = /(-?)(?:([A-Za-z]+):(?!:))?(?:"([^"]*)"?|(\S*))/y;
const PLACE = /^[^\s:]+\.py:\d+(-\d+)?$/;

/**
 * Read a query.
 * @param {string} text
 * @returns {Query}
 */
export function parseQuery(text) {
  /** @type {Term[]} */ const terms = [];
  for (let at = skipSpace(text, 0); at < text.length; at = skipSpace(text, TERM.lastIndex)) {
    TERM.lastIndex = at;
    const [, minus, filter, phrase, word] = /** @type {RegExpExecArray} */ (TERM.exec(text));
    const isPlace = !filter && phrase === undefined && PLACE.test(word);
    const field = isPlace ? 'line' : (filter ?? '').toLowerCase();
    const term = { field, text: (phrase ?? word).toLowerCase(), isNot: minus === '-' };
    if (!term.text) continue; // somebody is still typing
    const error = mistakeIn(term);
    if (error) return { terms: [], error };
    terms.push(term);
  }
  return { terms, error: '' };
}

/** @param {string} text @param {number} at */
function skipSpace(text, at) {
  while (at < text.length && /\s/.test(text[at])) at++;
  return at;
}

/** @param {Term} term @returns {string} a sentence; empty where all is well */
function mistakeIn({ field, text }) {
  const names = FILTERS.map(([name]) => name);
  if (field && !names.includes(field)) {
    const near = nearest(field, names);
    const guess = near ? ` Did you mean ${near}:?` : ` There are ${names.map((name) => `${name}:`).join(' ')}.`;
    return `There is no filter ${field}:.${guess} To search for the text itself, write "${field}:${text}" with quotes.`;
  }
  if (Object.hasOwn(CHOICES, field) && !CHOICES[field].some((choice) => choice.startsWith(text))) {
    const near = nearest(text, CHOICES[field]);
    return `${field}: takes ${listed(CHOICES[field])}.${near ? ` Did you mean ${field}:${near}?` : ''}`;
  }
  if (field === 'line' && !/^(.+:)?\d+(-\d+)?$/.test(text)) return 'line: takes a line, line:net.py:41, or several, line:net.py:41-50.';
  return '';
}

/** @param {string[]} words */
function listed(words) {
  return `${words.slice(0, -1).join(', ')} or ${words[words.length - 1]}`;
}

/** The word most like another; empty where none is. @param {string} word @param {string[]} words */
function nearest(word, words) {
  const ranked = words.map((other) => ({ other, distance: editDistance(word, other) })).sort((a, b) => a.distance - b.distance);
  return ranked[0].distance <= Math.max(1, Math.floor(word.length / 2)) ? ranked[0].other : '';
}

/** How many letters have to be put in, left out or changed. @param {string} a @param {string} b */
function editDistance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}
