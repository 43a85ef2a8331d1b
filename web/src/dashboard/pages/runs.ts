/// Every run of the stores: found by words, status and verdict, newest first, two of them chosen to compare.

import type { Child } from '../dom';
import { fill, h, path } from '../dom';
import { arrows } from '../keys';
import { head, pages, search, select, table } from '../list';
import type { Visit } from '../page';
import { definePage } from '../page';
import { empty, region } from '../states';
import { answerLook, badge, count, duration, figure, heading, standingLook, standings, statusLook, tally, time } from '../words';

export interface RunRow {
  id: string;
  store: string;
  name: string;
  status: string;
  system: string;
  started: string;
  seconds: number | null;
  evidence: number;
  verdicts: unknown;
  exit_status: number | null;
  pruned: boolean;
}

export interface RunList {
  total: number;
  offset: number;
  runs: RunRow[];
}

const kLimit = 50;
/// Verdicts that the store keeps; stale and defeated come about when a run is opened.
const kSearched = ['supported', 'refuted', 'undetermined', 'not evaluated'];

/// The run's answer, or how it ended where it gave none.
export function runBadge(run: RunRow): HTMLElement {
  if (run.pruned) return badge({ word: 'pruned', css: 'none', shape: 'none' });
  return badge(run.status === 'success' || run.exit_status !== null ? answerLook(run.exit_status) : statusLook(run.status));
}

export function verdictCounts(verdicts: unknown, css = ''): Child {
  const counts = tally(verdicts);
  if (counts.size === 0) return h('span', { class: 'muted' }, 'no claims');
  const known = standings.filter((word) => counts.has(word));
  return h('span', { class: `counts ${css}`.trim() }, [...known, ...Array.from(counts.keys()).filter((word) => !known.includes(word))].map((word) => count(standingLook(word), counts.get(word) ?? 0)));
}

function row(run: RunRow, chosen: Set<string>, pick: (run: RunRow, on: boolean) => void, stores: boolean): HTMLElement {
  const box = h('input', { type: 'checkbox', checked: chosen.has(run.id), disabled: run.pruned, 'aria-label': `Choose ${run.system} ${run.id} to compare` });
  box.addEventListener('change', () => pick(run, box.checked));
  return h('tr', null,
    h('td', { class: 'pick' }, box),
    h('td', { class: 'full' }, h('a', { class: 'row', href: path('runs', run.id) }, run.system || run.id), ' ',
      h('span', { class: 'sub-line' }, run.name && [run.name, ' '], h('span', { class: 'mono' }, run.id.slice(0, 12)))),
    h('td', null, runBadge(run)),
    h('td', null, verdictCounts(run.verdicts)),
    h('td', null, time(run.started)),
    h('td', { class: 'number', 'data-name': 'took' }, duration(run.seconds)),
    h('td', { class: 'number', 'data-name': 'figures' }, figure(run.evidence)),
    stores && h('td', { class: 'mono', 'data-name': 'store' }, run.store));
}

/// The part of the list that the address names.
function fetchRuns({ api, query }: Visit, signal?: AbortSignal): Promise<RunList> {
  const asked = Object.fromEntries(['query', 'status', 'verdict', 'sort'].map((name) => [name, query.get(name)]));
  return api.get<RunList>('/api/runs', { offset: Number(query.get('offset')) || 0, limit: kLimit, ...asked }, signal);
}

export default definePage<RunList>({
  title: 'Runs',
  load: (visit) => fetchRuns(visit),
  render: (first, visit) => {
    const list = h('div', { class: 'list-host' });
    const bar = h('div', { class: 'chosen', role: 'status', hidden: true });
    const chosen = new Set<string>();
    const names = new Map<string, string>();
    const pick = (run: RunRow, on: boolean): void => {
      if (on) chosen.add(run.id);
      else chosen.delete(run.id);
      names.set(run.id, `${run.system} ${run.id.slice(0, 8)}`);
      const ids = Array.from(chosen);
      bar.hidden = ids.length === 0;
      bar.replaceChildren(h('span', null, ids.length === 1 ? `${names.get(ids[0])} is chosen: choose a second run to compare it with.` : ids.length === 2 ? `${names.get(ids[0])} and ${names.get(ids[1])}` : `${ids.length} runs are chosen: two can be compared.`),
        ...(ids.length === 2 ? [h('a', { class: 'button', href: path('compare', ids[0], ids[1]) }, 'Compare the two')] : []));
    };
    const draw = (data: RunList): Child => {
      const filtered = ['query', 'status', 'verdict'].some((name) => visit.query.get(name));
      if (data.total === 0) {
        return filtered ? empty('No run matches.', 'Loosen the filter above.') : empty('No run is stored yet.', 'Runs appear here when ', h('code', null, 'plumbline assess'), ' has written them to a store that this server was started with.');
      }
      const stores = new Set(data.runs.map((run) => run.store)).size > 1;
      const drawn = table('Runs', [h('th', { class: 'pick', scope: 'col' }, h('span', { class: 'visually-hidden' }, 'Choose')), head('System and run'), head('Answer'), head('Claims'), head('Started (UTC)'), head('Took', 'number'), head('Figures', 'number'), stores && head('Store')],
        data.runs.map((run) => row(run, chosen, pick, stores)), 'list');
      arrows(drawn, 'a.row');
      return [drawn, pages(data.offset, data.runs.length, data.total, kLimit, (offset) => {
        visit.setQuery({ offset: offset || null }, 'push');
        load().then(() => list.querySelector<HTMLElement>('a.row')?.focus()).catch(() => undefined);
        window.scrollTo({ top: 0, behavior: 'instant' });
      })];
    };
    // A request that a later one overtakes is given up.
    let request = new AbortController();
    visit.signal.addEventListener('abort', () => request.abort());
    const load = (): Promise<void> => {
      request.abort();
      request = new AbortController();
      const signal = request.signal;
      return region(list, 'Loading runs', () => fetchRuns(visit, signal), draw);
    };
    const filter = (name: string) => (value: string): void => {
      visit.setQuery({ [name]: value, offset: null });
      void load();
    };
    fill(list, draw(first));
    return h('div', null, heading('Runs', 'Every assessment that was stored, newest first.'),
      h('div', { class: 'controls', role: 'search', 'aria-label': 'Find runs' },
        search('Find', 'System, name or number of the run', visit.query.get('query') ?? '', filter('query')),
        select('Claims', [{ value: '', words: 'any verdict' }, ...kSearched.map((word) => ({ value: word, words: `some ${word}` }))], visit.query.get('verdict') ?? '', filter('verdict')),
        select('Ended', [{ value: '', words: 'in any way' }, ...['success', 'error', 'cancelled', 'started'].map((word) => ({ value: word, words: statusLook(word).word }))], visit.query.get('status') ?? '', filter('status')),
        select('Order', [{ value: '', words: 'newest first' }, { value: 'started', words: 'oldest first' }, { value: '-seconds', words: 'longest first' }, { value: 'system', words: 'by system' }, { value: '-evidence', words: 'most figures first' }], visit.query.get('sort') ?? '', filter('sort'))),
      list, bar);
  },
});
