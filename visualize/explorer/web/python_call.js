/** Nodes as Python: the call of torch that does what a node does. */

import { GraphModel } from './data.js';
import { PYTHON_KEYWORDS } from './python_tokens.js';

const LITERAL_WORD = /"(?:[^"\\]|\\.)*"|\x01|@?[A-Za-z_][\w.:]*/g;
const DTYPE_NAME = /^(?:([fciu])(\d+)|bf16|bool|f\d+e\w+|f4\w+|q[iu]\w+|bits\w+)$/;
const LONG_DTYPES = { f: 'float', c: 'complex', i: 'int', u: 'uint' };

/**
 * A node as a statement of Python, with the parameters and buffers in a dictionary `state`.
 * @param {GraphModel} model @param {number} n
 * @returns {string} `h = torch.ops.aten.add.Tensor(x, 1, alpha=2)`
 */
export function pythonCall(model, n) {
  if (model.isInput(n)) return `${pythonName(model, n)} = ...  # ${oneLine(model.valueType(n))}`;
  const args = model.args(n).map((arg) => (arg.isKeyword ? `${arg.name}=` : '') + pythonArg(model, arg));
  if (model.isOutput(n)) return `return ${args.join(', ')}`;
  const call = pythonOperation(model, n, args);
  const results = model.results(n).map((v) => pythonName(model, v));
  return results.length ? `${results.join(', ')} = ${call}` : call;
}

/** @param {GraphModel} model @param {number} n @param {string[]} args */
function pythonOperation(model, n, args) {
  const operator = model.operator(n);
  if (operator === 'prim::TupleConstruct') return `(${args.join(', ')}${args.length === 1 ? ',' : ''})`;
  if (operator === 'prim::ListConstruct') return `[${args.join(', ')}]`;
  if (operator === 'prim::TupleUnpack' || operator === 'prim::ListUnpack') return args[0];
  const parts = operator.match(/^(\w+)::(\w+)(?:\.(\w+))?$/);
  if (!parts || parts[1] === 'prim') return `...  # ${oneLine(model.irText(n))}`;
  return `torch.ops.${parts[1]}.${parts[2]}.${parts[3] ?? 'default'}(${args.join(', ')})`;
}

/** @param {GraphModel} model @param {import('./data.js').Arg} arg */
function pythonArg(model, arg) {
  let at = 0;
  return arg.text.replace(LITERAL_WORD, (word) => (word === '\x01' ? pythonName(model, arg.values[at++]) : pythonWord(word)));
}

/** @param {string} word */
function pythonWord(word) {
  if (word.startsWith('"')) return word;
  if (word === 'inf' || word === 'nan') return `float("${word}")`;
  if (word.startsWith('device.')) return `torch.device("${word.slice(7)}")`;
  if (word.startsWith('layout.')) return `torch.${word.slice(7)}`;
  if (word.startsWith('memory.')) return `torch.${word.slice(7)}`;
  const dtype = word.match(DTYPE_NAME);
  return dtype ? `torch.${longDtype(word, dtype)}` : word.replace('@', '');
}

/** `float32` @param {string} word @param {RegExpMatchArray} dtype */
function longDtype(word, dtype) {
  if (dtype[1]) return LONG_DTYPES[/** @type {'f' | 'c' | 'i' | 'u'} */ (dtype[1])] + dtype[2];
  if (word === 'bf16') return 'bfloat16';
  return word.replace(/^f(\d)/, 'float$1_').replace(/^q([iu])/, (_, sign) => (sign === 'i' ? 'qint' : 'quint'));
}

/** A value as a name that Python takes. @param {GraphModel} model @param {number} v */
function pythonName(model, v) {
  const name = model.valueName(v);
  if (model.isState(v)) return `state[${JSON.stringify(name)}]`;
  const plain = name.replace(/[^\p{L}\p{N}_]/gu, '_');
  const isTaken = PYTHON_KEYWORDS.has(plain) || plain === 'state' || plain === 'torch';
  return isTaken ? `${plain}_` : /^\p{N}/u.test(plain) ? `_${plain}` : plain;
}

/** @param {string} text */
function oneLine(text) {
  return text.replace(/\s+/g, ' ');
}
