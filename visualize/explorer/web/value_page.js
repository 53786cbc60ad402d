/** The inspector's page of a value. */

import { copyButton, el, linkButton } from './dom.js';
import { stateEntry } from './node_page.js';
import { facts, limitedList, placedNodeLink, section } from './pieces.js';
import { Session } from './session.js';

/** @param {Session} session @param {number} v @returns {(Node | null)[]} */
export function valuePage(session, v) {
  const { model } = session;
  const producer = model.producer(v);
  const users = model.users(v);
  return [
    el(
      'header',
      { class: 'insp-head' },
      el('h2', {}, `%${model.valueName(v)}`, el('span', { class: 'detail', text: model.valueShape(v) })),
      el('p', { class: 'mono faint', text: model.valueType(v) }),
      el(
        'div',
        { class: 'insp-actions' },
        copyButton('Copy name', () => `%${model.valueName(v)}`, 'Copy its name in the graph'),
        copyButton('Copy type', () => model.valueType(v), 'Copy its type'),
        linkButton(),
      ),
    ),
    facts([
      ['Made by', producer >= 0 && placedNodeLink(session, producer)],
      ['Shape', model.valueShape(v)],
    ]),
    model.isState(v) ? section('Parameter or buffer', stateEntry(session, v)) : null,
    section(
      users.length ? `Used by (${users.length.toLocaleString('en')})` : 'Used by',
      users.length ? limitedList(users, (n) => placedNodeLink(session, n)) : el('p', { class: 'faint', text: 'Nothing uses it.' }),
    ),
  ];
}
