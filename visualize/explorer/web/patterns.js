/** Tests of texts, made from what people type. All text is in lower case. */

/** @typedef {(text: string) => boolean} TextTest */

/**
 * A text anywhere; `*` is any characters.
 * @param {string} pattern @returns {TextTest}
 */
export function anywhere(pattern) {
  if (!pattern.includes('*')) return (text) => text.includes(pattern);
  const found = starred(pattern, '.*');
  return (text) => found.test(text);
}

/**
 * A name: anywhere in a text without `*`, the whole of it with.
 * @param {string} pattern @returns {TextTest}
 */
export function named(pattern) {
  if (!pattern.includes('*')) return (text) => text.includes(pattern);
  const whole = starred(pattern, '.*', '^', '$');
  return (text) => whole.test(text);
}

/**
 * An operator: its name with or without what stands before `::`.
 * @param {string} pattern @returns {TextTest}
 */
export function operatorNamed(pattern) {
  const test = named(pattern);
  return (text) => test(text) || test(text.replace(/^.*::/, ''));
}

/**
 * A path: as a name, but `h.1` is not found in `h.11`.
 * @param {string} pattern @returns {TextTest}
 */
export function pathed(pattern) {
  if (pattern.includes('*')) return named(pattern);
  const found = starred(pattern, '', ...numberEdges(pattern));
  return (text) => text.includes(pattern) && found.test(text);
}

/**
 * A shape, `1x3` or `1×3`, whole sizes of it; `*` is any size.
 * @param {string} pattern @returns {TextTest}
 */
export function shaped(pattern) {
  const plain = pattern.replace(/(?<=[\w*])\s*[x×,]\s*(?=[\w*])/g, '×').replace(/^[[(]|[\])]$/g, '');
  const found = starred(plain, '[^×\\s]+', '(?<![^×\\s])', '(?![^×\\s])');
  return (text) => found.test(text);
}

/** @type {Record<string, string>} */
const DTYPE_NAMES = {
  float: 'f32', double: 'f64', half: 'f16', bfloat16: 'bf16', int: 'i32', long: 'i64', short: 'i16', byte: 'u8',
};

/**
 * The type of a tensor's elements, by torch's name or the short one.
 * @param {string} pattern @returns {TextTest}
 */
export function typed(pattern) {
  const bare = pattern.replace(/^torch\./, '');
  const short = DTYPE_NAMES[bare] ?? bare.replace(/^float(\d)/, 'f$1').replace(/^complex(\d)/, 'c$1').replace(/^uint(\d)/, 'u$1').replace(/^int(\d)/, 'i$1');
  const found = starred(short, '\\w*', '(?<!\\w)', '(?!\\w)');
  return (text) => found.test(text);
}

/** @param {string} pattern @returns {[string, string]} what keeps numbers at its ends whole */
function numberEdges(pattern) {
  return [/^\d/.test(pattern) ? '(?<!\\d)' : '', /\d$/.test(pattern) ? '(?!\\d)' : ''];
}

/** @param {string} pattern @param {string} star what `*` stands for @param {string} [before] @param {string} [after] */
function starred(pattern, star, before = '', after = '') {
  const parts = pattern.split(/\*+/).map((part) => part.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'));
  return new RegExp(before + parts.join(star) + after, 's');
}
