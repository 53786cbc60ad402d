/**
 * Making elements. Whatever a program's names hold becomes text: nothing here reads markup.
 */

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [props] attributes; `on...` is a listener, `text` what it says; what is false,
 *   null or undefined is left out
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === 'text') made.textContent = value;
    else if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? '' : String(value));
  }
  appendChildren(made, children);
  return made;
}

/** @param {Element} parent @param {Child[]} children */
export function appendChildren(parent, children) {
  for (const child of children) if (child || child === '') parent.append(child);
}

/**
 * @param {string} text @param {() => void} press @param {Record<string, any>} [props]
 * @returns {HTMLButtonElement}
 */
export function button(text, press, props = {}) {
  return el('button', { type: 'button', text, onclick: press, ...props });
}

/**
 * A button that reads as a link: it leads to another part of the page.
 * @param {string} text @param {() => void} press @param {string} [title]
 */
export function jump(text, press, title = '') {
  return button(text, press, { class: 'jump', title: title || null });
}

/**
 * A button that copies, and says so for a moment.
 * @param {string} label @param {() => string} text @param {string} title
 */
export function copyButton(label, text, title) {
  const made = button(label, () => copy().then(say), { class: 'copy', title });
  const copy = () => copyText(text());
  const say = (/** @type {boolean} */ isDone) => {
    made.textContent = isDone ? 'Copied' : 'Not allowed here';
    setTimeout(() => (made.textContent = label), 1200);
  };
  return made;
}

/** A button that copies the address of what is seen; none where a page has no address, as in a notebook. */
export function linkButton() {
  if (!/^(https?|file):$/.test(location.protocol)) return null;
  return copyButton('Copy link', () => location.href, 'Copy the address of this view');
}

/**
 * Put text on the clipboard; pages of files and frames may not use the newer way.
 * @param {string} text @returns {Promise<boolean>} whether it is there
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = el('textarea', { class: 'offscreen' });
    field.value = text;
    document.body.append(field);
    field.select();
    const isDone = document.execCommand('copy');
    field.remove();
    return isDone;
  }
}

/** Run something with the next picture, once however often it is asked for. @param {() => void} run */
export function perFrame(run) {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      run();
    });
  };
}
