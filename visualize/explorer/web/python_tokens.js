/** The words of Python code, as far as colours need them. */

/**
 * A stretch of a line: `keyword`, `string`, `comment`, `number`, `definition` (what is being named) or
 * `decorator`.
 * @typedef {{start: number, end: number, kind: string}} Token
 */

export const PYTHON_KEYWORDS = new Set(
  ('False None True and as assert async await break class continue def del elif else except finally for from ' +
    'global if import in is lambda nonlocal not or pass raise return try while with yield').split(' '),
);
const SOFT_KEYWORDS = new Set(['match', 'case']); // names unless a line begins with them
const PYTHON_WORD = /[\p{L}_][\p{L}\p{N}_]*/uy;
const PYTHON_QUOTE = /[rbfutRBFUT]{0,2}("""|'''|"|')/y;
const PYTHON_NUMBER = /0[xXbBoO][\da-fA-F_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?j?/y;
const PYTHON_DECORATOR = /@[\p{L}_][\p{L}\p{N}_.]*/uy;

/** The words of files, by their lines, which never change. @type {WeakMap<string[], Token[][]>} */
const KNOWN_TOKENS = new WeakMap();

/**
 * The words of a whole file, found once.
 * @param {string[]} lines @returns {Token[][]} those of each line, in order
 */
export function tokensOf(lines) {
  let tokens = KNOWN_TOKENS.get(lines);
  if (!tokens) KNOWN_TOKENS.set(lines, (tokens = pythonTokens(lines)));
  return tokens;
}

/**
 * @param {string[]} lines
 * @returns {Token[][]} those of each line, in order
 */
export function pythonTokens(lines) {
  let open = ''; // the quotes of a string that goes on over lines
  return lines.map((line) => {
    const scanned = scanLine(line, open);
    open = scanned.open;
    return scanned.tokens;
  });
}

/** @param {string} line @param {string} open @returns {{tokens: Token[], open: string}} */
function scanLine(line, open) {
  /** @type {Token[]} */ const tokens = [];
  const add = (/** @type {number} */ start, /** @type {number} */ end, /** @type {string} */ kind) => {
    tokens.push({ start, end, kind });
    return end;
  };
  let at = 0;
  if (open) {
    const end = endOfString(line, 0, open);
    at = add(0, end < 0 ? line.length : end, 'string');
    if (end < 0) return { tokens, open };
  }
  let names = false; // whether the next word is what `def` or `class` names
  while (at < line.length) {
    const quotes = matchAt(PYTHON_QUOTE, line, at);
    const word = quotes ? '' : matchAt(PYTHON_WORD, line, at)?.[0];
    if (line[at] === '#') at = add(at, line.length, 'comment');
    else if (quotes) {
      const end = endOfString(line, at + quotes[0].length, quotes[1]);
      add(at, end < 0 ? line.length : end, 'string');
      if (end < 0) return { tokens, open: quotes[1].length === 3 ? quotes[1] : '' };
      at = end;
    } else if (word) {
      const isKeyword = PYTHON_KEYWORDS.has(word) || (SOFT_KEYWORDS.has(word) && isSoftKeyword(line, at, word));
      if (names || isKeyword) add(at, at + word.length, names ? 'definition' : 'keyword');
      names = word === 'def' || word === 'class';
      at += word.length;
    } else {
      const number = matchAt(PYTHON_NUMBER, line, at)?.[0];
      const decorator = line.slice(0, at).trim() ? '' : matchAt(PYTHON_DECORATOR, line, at)?.[0];
      if (number) at = add(at, at + number.length, 'number');
      else if (decorator) at = add(at, at + decorator.length, 'decorator');
      else at++;
    }
  }
  return { tokens, open: '' };
}

/** @param {RegExp} pattern a sticky one @param {string} text @param {number} at */
function matchAt(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** Where a string ends; -1 if not in this line. @param {string} line @param {number} at @param {string} quotes */
function endOfString(line, at, quotes) {
  for (let i = at; i < line.length; i++) {
    if (line[i] === '\\') i++;
    else if (line.startsWith(quotes, i)) return i + quotes.length;
  }
  return -1;
}

/** @param {string} line @param {number} at @param {string} word */
function isSoftKeyword(line, at, word) {
  return !line.slice(0, at).trim() && /^\s+[^=\s)].*:\s*(#.*)?$/.test(line.slice(at + word.length));
}
