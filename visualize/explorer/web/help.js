/** The help: what each key does. */

import { button, el } from './dom.js';

/**
 * A dialog that lists keys.
 * @param {[string, string][]} keys keys apart by spaces, and what they do
 * @param {string} note on the pointer
 */
export function helpDialog(keys, note) {
  const rows = keys.map(([key, what]) => el('tr', {}, el('td', {}, ...key.split(' ').map((part) => el('kbd', {}, part))), el('td', {}, what)));
  const dialog = el('dialog', {}, el('h2', {}, 'Keys'), el('table', {}, el('tbody', {}, ...rows)), el('p', {}, note));
  dialog.append(button('Close', () => dialog.close()));
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
  return dialog;
}
