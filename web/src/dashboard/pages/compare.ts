/// Two runs beside each other: verdicts that changed, then figures, before and after on one scale.

import type { Child } from '../dom';
import { h, path } from '../dom';
import { paired } from '../interval';
import type { Interval } from '../interval';
import { field, head, sortable, table } from '../list';
import type { Visit } from '../page';
import { definePage } from '../page';
import { empty } from '../states';
import type { Look } from '../words';
import { badge, bounds, figure, heading, icon, plural, standingLook, time } from '../words';
import type { RunList, RunRow } from './runs';
import { runBadge } from './runs';

interface Side {
  id: string;
  started: string;
  system: string;
}

interface Comparison {
  first: Side;
  second: Side;
  claims: { id: string; text: string; before: string | null; after: string | null }[];
  figures: { what: string; change: string; before: Interval | null; after: Interval | null }[];
  same: number;
  /// Why verdicts were not compared, where a run could not be judged; empty where they were.
  not_compared?: string[];
}

const kChange: Record<string, string> = { added: 'new', removed: 'gone' };
const kOrder = ['refuted', 'defeated', 'stale', 'not evaluated', 'undetermined', 'supported'];
const rank = (standing: string | null): number => (standing === null ? NaN : kOrder.indexOf(standing.replace(/_/g, ' ')));
const absent: Look = { word: 'not there', css: 'none', shape: 'not-applicable' };
const standing = (word: string | null): HTMLElement => badge(word === null ? absent : standingLook(word));

/// Better or worse, in words and with a shape; a claim that is new or gone is neither.
function direction(before: string | null, after: string | null): Child {
  const step = rank(after) - rank(before);
  if (Number.isNaN(step)) return before === null ? 'new' : 'gone';
  return step > 0 ? h('span', { class: 'good' }, '▲ better') : step < 0 ? h('span', { class: 'bad' }, '▼ worse') : 'other';
}

function cell(side: Interval | null): HTMLElement {
  return h('td', { class: 'number', 'data-v': side?.value ?? '' }, side ? h('b', null, figure(side.value)) : h('span', { class: 'muted' }, 'none'), side && h('span', { class: 'sub' }, bounds(side.low, side.high)));
}

function sideCard(label: string, side: Side): HTMLElement {
  return h('section', { class: 'card' }, h('h2', { class: 'small' }, label), h('p', { class: 'side-name' }, h('a', { href: path('runs', side.id) }, side.system || side.id)), h('p', { class: 'muted' }, h('span', { class: 'mono' }, side.id), ', ', time(side.started), ' UTC'));
}

/// Runs are named by typing a part of their system, name or number; the list below the field is the server's.
function chooser(latest: RunRow[], { api, query, go }: Visit): HTMLElement {
  const pick = (label: string, value: string): { row: HTMLElement; box: HTMLInputElement } => {
    const list = h('datalist', { id: `runs-${label}` });
    const box = h('input', { type: 'text', value, list: list.id, required: true, autocomplete: 'off', spellcheck: 'false', placeholder: 'Number of a run', maxlength: 64 });
    let timer = 0;
    const suggest = (): void => {
      window.clearTimeout(timer);
      timer = window.setTimeout(() => {
        api.get<RunList>('/api/runs', { query: box.value.trim(), limit: 20 }).then(({ runs }) => list.replaceChildren(...runs.map((run) => h('option', { value: run.id }, `${run.system} ${run.name} ${run.started.slice(0, 16).replace('T', ' ')}`))))
          .catch(() => list.replaceChildren());
      }, 140);
    };
    box.addEventListener('input', suggest);
    box.addEventListener('focus', suggest, { once: true });
    const row = field(label, (id) => {
      box.id = id;
      return box;
    }, 'grow');
    row.append(list);
    return { row, box };
  };
  const first = pick('Before', query.get('first') ?? '');
  const second = pick('After', query.get('second') ?? '');
  const form = h('form', { class: 'controls', on: { submit: (event: Event) => {
    event.preventDefault();
    const ids = [first.box.value.trim(), second.box.value.trim()];
    if (ids.every((id) => id !== '')) go(path('compare', ids[0], ids[1]));
  } } }, first.row, second.row, h('button', { type: 'submit', class: 'primary' }, 'Compare'));
  const as = (label: string, box: HTMLInputElement, run: RunRow): HTMLElement => h('button', { type: 'button', class: 'quiet', 'aria-label': `${label}: ${run.system} ${run.id}`, on: { click: () => { box.value = run.id; } } }, label);
  const rows = latest.filter((run) => !run.pruned).map((run) => h('tr', null,
    h('td', { class: 'full' }, h('a', { class: 'row', href: path('runs', run.id) }, run.system || run.id), ' ', h('span', { class: 'sub-line' }, run.name, ' ', h('span', { class: 'mono' }, run.id))),
    h('td', null, runBadge(run)), h('td', null, time(run.started)), h('td', null, h('div', { class: 'actions' }, as('Before', first.box, run), as('After', second.box, run)))));
  return h('div', null, form, rows.length > 0 && h('section', { 'aria-labelledby': 'latest' }, h('h2', { id: 'latest' }, 'Latest runs'),
    table('Latest runs', [head('System and run'), head('Answer'), head('Started (UTC)'), head('Choose as')], rows, 'list')));
}

export default definePage<{ comparison: Comparison | null; latest: RunRow[] }>({
  title: 'Compare',
  load: async ({ api, params }) => (params.first ? { comparison: await api.get<Comparison>('/api/compare', { first: params.first, second: params.second }), latest: [] }
    : { comparison: null, latest: (await api.get<RunList>('/api/runs', { limit: 12 })).runs }),
  render: ({ comparison: data, latest }, visit) => {
    if (!data) {
      return h('div', null, heading('Compare', ['Two runs beside each other. They can also be chosen in the list of ', h('a', { href: path('runs') }, 'runs'), '.']), chooser(latest, visit));
    }
    const { first, second, claims, figures, same } = data;
    const why = (data.not_compared ?? []).join('; ');
    const steps = claims.map((claim) => rank(claim.after) - rank(claim.before));
    const worse = steps.filter((step) => step < 0).length;
    const better = steps.filter((step) => step > 0).length;
    const summary = [why ? 'Verdicts were not compared' : claims.length === 0 ? 'No verdict changed' : `${plural(claims.length, 'verdict')} changed (${better} better, ${worse} worse)`, `${plural(figures.length, 'figure')} changed`, `${plural(same, 'figure')} the same`].join(', ');
    return h('div', null,
      heading('Compare', summary, h('a', { class: 'button', href: path('compare', visit.params.second, visit.params.first) }, 'Swap'), h('a', { class: 'button', href: path('compare') }, 'Other runs')),
      h('div', { class: 'tiles-row' }, sideCard('Before', first), sideCard('After', second)),
      first.system !== second.system && h('div', { class: 'state empty' }, icon('unsure', 'unsure'), h('p', null, 'These are runs of two systems: figures of one name may not mean the same.')),
      h('section', { 'aria-labelledby': 'changed' }, h('h2', { id: 'changed' }, 'Claims whose verdict changed'),
        why ? h('div', { class: 'state empty' }, icon('unsure', 'unsure'), h('div', null, h('p', { class: 'state-title' }, 'Verdicts were not compared.'), h('p', null, why)))
          : claims.length === 0 ? empty('No verdict changed.', 'Every claim stands as it stood.')
          : table('Claims whose verdict changed', [head('Claim'), head('Before'), head('After'), head('Change')], claims.map((claim) => h('tr', null,
            h('td', { class: 'full' }, h('b', null, claim.text || claim.id), claim.text && h('span', { class: 'sub mono' }, claim.id)), h('td', null, standing(claim.before)), h('td', null, standing(claim.after)), h('td', null, direction(claim.before, claim.after)))), 'list')),
      h('section', { 'aria-labelledby': 'figures' }, h('div', { class: 'section-head' }, h('h2', { id: 'figures' }, 'Figures'), h('p', { class: 'muted' }, `${plural(same, 'figure')} the same to the bit. Before is hollow, after is full.`)),
        figures.length === 0 ? empty('No figure changed.')
          : sortable(table('Figures that changed', [head('Figure'), head('Before', 'number'), head('After', 'number'), head('Both'), head('Change', 'number')], figures.map((one) => {
            const moved = one.before && one.after ? one.after.value - one.before.value : NaN;
            return h('tr', null, h('td', { class: 'full' }, one.what), cell(one.before), cell(one.after), h('td', null, paired(one.before, one.after)),
              h('td', { class: 'number', 'data-v': Number.isNaN(moved) ? '' : moved, 'data-name': 'change' }, Number.isNaN(moved) ? (kChange[one.change] ?? one.change) : `${moved > 0 ? '+' : ''}${figure(moved)}`));
          }), 'list'))));
  },
});
