/** The inspector: everything that is known about what is selected, each part leading on. */

import { branchPage } from './branch_page.js';
import { nodePage } from './node_page.js';
import { overviewPage } from './overview_page.js';
import { Session } from './session.js';
import { valuePage } from './value_page.js';

/** Shows the selection in an element, and the program where nothing is selected. */
export class Inspector {
  /** @param {Session} session @param {HTMLElement} element */
  constructor(session, element) {
    this.session = session;
    this.element = element;
    element.classList.add('inspector');
    session.watch(['selection', 'graph'], () => this.#show(true));
    session.watch(['theme', 'view'], () => this.#show(false));
    this.#show(true);
  }

  /** @param {boolean} isAnother whether something else is shown than before */
  #show(isAnother) {
    const page = this.#page().filter((part) => part !== null);
    const top = this.element.scrollTop;
    this.element.replaceChildren(...page);
    this.element.scrollTop = isAnother ? 0 : top;
  }

  /** @returns {(Node | null)[]} */
  #page() {
    const { selection } = this.session;
    if (!selection) return overviewPage(this.session);
    const pages = { node: nodePage, branch: branchPage, value: valuePage };
    return pages[selection.kind](this.session, selection.id);
  }
}
