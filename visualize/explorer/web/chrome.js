/** The bar at the top of the page: what is shown of the program, and how. */

import { counted, PHASES } from './data.js';
import { Session } from './session.js';
import { GraphView } from './graphview.js';
import { rampColour, scaleOf } from './emphasis.js';
import { quantity } from './outline.js';
import { download, toDot, toPng, toSvg } from './exports.js';
import { button, copyText, el } from './dom.js';

const MODULES = ['module', 'region', 'backward', 'repeat', 'turn'];
const FUNCTIONS = [...MODULES, 'function', 'control', 'block', 'optimizer', 'section'];
/** Up to which kinds of branches each level unfolds. @type {[string, string[]][]} */
const LEVELS = [
  ['modules', MODULES],
  ['functions', FUNCTIONS],
  ['all operators', [...FUNCTIONS, 'operator']],
];

/** @param {GraphView} view @param {(text: string) => void} say tells a person something in words */
export function toolbar(view, say) {
  const { session } = view;
  const bar = el('div', { class: 'bar-tools' });
  bar.append(graphPicker(session), levelPicker(session, say), phaseToggles(session), measurePicker(session));
  const everything = button('Everything', () => session.setShowsAll(!session.showsAll), { title: 'Draw size arithmetic, counters and unread results too' });
  const across = button('→', () => session.setDirection(session.direction === 'TB' ? 'LR' : 'TB'), { title: 'Direction' });
  const theme = button('◐', () => session.setTheme(session.theme === 'dark' ? 'light' : 'dark'), { title: 'Light or dark', 'aria-label': 'Light or dark' });
  const update = () => {
    everything.setAttribute('aria-pressed', `${session.showsAll}`);
    across.textContent = session.direction === 'TB' ? '→' : '↓';
    across.title = session.direction === 'TB' ? 'Let data flow to the right' : 'Let data flow down';
    across.setAttribute('aria-label', across.title);
  };
  session.watch(['view'], update);
  update();
  bar.append(everything, across, exportMenu(view, say), theme);
  return bar;
}

/** @param {string} label @param {string[]} options @param {(at: number) => void} choose */
function picker(label, options, choose) {
  const select = el('select', { title: label });
  select.setAttribute('aria-label', label);
  select.append(...options.map((option, at) => el('option', { value: `${at}` }, option)));
  select.addEventListener('change', () => choose(Number(select.value)));
  return select;
}

/** @param {Session} session */
function graphPicker(session) {
  const { graphs } = session.program;
  const select = picker('Graph', graphs.map((graph) => graph.name), (at) => session.showGraph(graphs[at]));
  select.hidden = graphs.length < 2;
  session.watch(['graph'], () => (select.value = `${graphs.indexOf(session.model)}`));
  return select;
}

/** @param {Session} session @param {(text: string) => void} say */
function levelPicker(session, say) {
  const names = ['Unfold…', 'nothing', ...LEVELS.map(([name]) => `to ${name}`), 'as at first'];
  const select = picker('Unfold to a level', names, (at) => {
    select.value = '0';
    if (at === 1) session.foldAll();
    else if (at === names.length - 1) resetFolding(session);
    else if (at) {
      const kinds = LEVELS[at - 2][1];
      const left = session.unfoldAll(0, (b) => kinds.includes(session.model.kind(b)));
      if (left) say(`${counted(left, 'block')} left folded: too much for one picture`);
    }
  });
  return select;
}

/** @param {Session} session */
export function resetFolding(session) {
  const { model, folding } = session;
  for (let b = 0; b < model.branchCount; b++) folding[b] = Number(model.isOpenAtFirst(b));
  session.tell('folding', { branches: Array.from(folding.keys()), anchor: null });
}

/** @param {Session} session */
function phaseToggles(session) {
  const group = el('span', { class: 'bar-group' });
  const update = () => {
    const { model } = session;
    const present = PHASES.map((_, phase) => model.c.nodes.phase.includes(phase));
    group.replaceChildren();
    group.hidden = present.filter(Boolean).length < 2;
    PHASES.forEach((name, phase) => {
      if (!present[phase]) return;
      const toggle = button(name, () => session.showPhase(phase, session.hiddenPhases.has(phase)), { title: `Draw the ${name}, or leave it out` });
      toggle.setAttribute('aria-pressed', `${!session.hiddenPhases.has(phase)}`);
      group.append(toggle);
    });
  };
  session.watch(['graph', 'view'], update);
  update();
  return group;
}

/** @param {Session} session */
function measurePicker(session) {
  const { measures } = session.program;
  const select = picker('Colour by', ['Colour: kind', ...measures.map((m) => `Colour: ${m.name}`)], (at) => session.setMeasure(at - 1));
  select.hidden = !measures.length;
  session.watch(['view'], () => (select.value = `${session.measure + 1}`));
  return select;
}

/** @param {GraphView} view @param {(text: string) => void} say */
function exportMenu(view, say) {
  const name = view.session.model.name || 'graph';
  const choices = ['Export…', 'SVG file', 'PNG file', 'DOT file', 'copy the DOT text', 'copy the graph as text'];
  const select = picker('Export', choices, async (at) => {
    select.value = '0';
    if (at === 1) download(new Blob([toSvg(view)], { type: 'image/svg+xml' }), `${name}.svg`);
    else if (at === 2) {
      try {
        download(await toPng(view), `${name}.png`);
      } catch (error) {
        say(`${error instanceof Error ? error.message : error}; export an SVG instead`);
      }
    } else if (at === 3) download(new Blob([toDot(view)], { type: 'text/vnd.graphviz' }), `${name}.dot`);
    else if (at === 4) copy(toDot(view), say);
    else if (at === 5) {
      const { model } = view.session;
      copy(Array.from({ length: model.nodeCount }, (_, n) => model.irText(n)).join('\n'), say);
    }
  });
  return select;
}

/** @param {string} text @param {(text: string) => void} say */
async function copy(text, say) {
  say((await copyText(text)) ? 'copied' : 'the browser does not let this page write to the clipboard');
}

/** What the colours mean. @param {Session} session */
export function legend(session) {
  const box = el('div', { class: 'legend' });
  const update = () => {
    box.replaceChildren();
    const scale = scaleOf(session);
    if (scale) {
      const ramp = el('span', { class: 'legend-ramp' });
      ramp.style.background = `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map(rampColour).join(', ')})`;
      const words = [`${scale.measure.name}  ${quantity(scale.least, scale.measure.unit)}`];
      const more = scale.isSpread ? ' (logarithmic)' : '';
      box.append(el('span', {}, words[0]), ramp, el('span', {}, `${quantity(scale.most, scale.measure.unit)}${more}`));
      return;
    }
    const { program, model } = session;
    const used = new Set(model.c.nodes.family);
    const palette = program.palettes[session.theme];
    program.families.forEach((family, at) => {
      if (!used.has(at)) return;
      const dot = el('span', { class: 'legend-dot' });
      dot.style.background = palette.families[at][0];
      dot.style.borderColor = palette.families[at][1];
      box.append(el('span', { class: 'legend-item' }, dot, family));
    });
  };
  session.watch(['graph', 'view', 'theme'], update);
  update();
  return box;
}
