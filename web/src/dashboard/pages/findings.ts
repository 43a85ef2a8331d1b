/// What the checks found, over all runs, with its pictures; each can be computed again.

import { ApiError } from '../api';
import type { Child } from '../dom';
import { h, path } from '../dom';
import { lazyFigure } from '../figure';
import { pages, select } from '../list';
import type { Overview, Visit } from '../page';
import { definePage } from '../page';
import { empty, region } from '../states';
import { badge, heading, severity, time } from '../words';

interface Found {
  run: string;
  id: string;
  check: string;
  system?: string;
  subject: string;
  severity: string;
  title: string;
  text: string;
  next_step?: string;
  started?: string;
  artifact?: string | null;
}

interface Gallery {
  total: number;
  offset?: number;
  findings: Found[];
}

const kLimit = 12;

/// Computes the finding's evidence again and says whether it came out the same, different, or not at all.
function replay(one: Found, { api, announce }: Visit, may: boolean): HTMLElement {
  const said = h('div', { class: 'replay-result', role: 'status' });
  const button = h('button', { type: 'button', class: 'quiet', disabled: !may, title: may ? null : 'needs a token with the scope admin' }, 'Replay');
  button.addEventListener('click', async () => {
    button.disabled = true;
    button.textContent = 'Computing…';
    said.replaceChildren();
    try {
      const { same, text } = await api.post<{ same: boolean; text: string }>('/api/findings/replay', { run: one.run, id: one.id });
      said.replaceChildren(badge(same ? { word: 'the same again', css: 'good', shape: 'good' } : { word: 'it differs', css: 'bad', shape: 'bad' }), h('span', { class: 'replay-text' }, text));
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') return;
      const told = error instanceof ApiError ? error : new ApiError(-1, 'page', 'the replay failed', '');
      said.replaceChildren(badge({ word: 'did not run', css: 'unsure', shape: 'error' }), h('span', { class: 'replay-text' }, told.message, told.hint && `: ${told.hint}`));
    }
    announce(said.textContent ?? '');
    button.textContent = 'Replay';
    button.disabled = false;
  });
  return h('div', { class: 'replay' }, button, !may && h('span', { class: 'muted' }, 'needs a token with the scope admin'), said);
}

function card(one: Found, visit: Visit, may: boolean): HTMLElement {
  return h('li', { class: 'card finding' },
    h('div', { class: 'finding-words' }, h('div', { class: 'head' }, severity(one.severity), h('h2', null, one.title)),
      h('p', { class: 'sub-line' }, h('span', { class: 'mono' }, one.check), one.subject && [' on ', one.subject], one.system && [' of ', one.system], ', ', h('a', { href: path('runs', one.run, { at: 'checks' }) }, 'run ', h('span', { class: 'mono' }, one.run.slice(0, 12))), one.started && [', ', time(one.started)]),
      one.text && h('p', null, one.text), one.next_step && h('p', null, h('b', null, 'Next: '), one.next_step), replay(one, visit, may)),
    one.artifact && h('div', { class: 'finding-picture' }, lazyFigure(visit.api, one.run, one.artifact, one.title)));
}

export default definePage<{ first: Gallery; checks: string[]; overview: Overview }>({
  title: 'Findings',
  load: async ({ api, query }) => {
    const [first, metrics, overview] = await Promise.all([
      api.get<Gallery>('/api/findings', { offset: Number(query.get('offset')) || 0, limit: kLimit, check: query.get('check') }),
      api.get<{ metrics: { check: string }[] }>('/api/metrics'), api.get<Overview>('/api/overview')]);
    return { first, checks: Array.from(new Set(metrics.metrics.map((one) => one.check))).sort(), overview };
  },
  render: ({ first, checks, overview }, visit) => {
    const list = h('div', null);
    const may = overview.caller.scopes.includes('admin');
    const { query } = visit;
    const draw = (data: Gallery): Child => (data.total === 0
      ? empty(query.get('check') ? 'This check found nothing in the stored runs.' : 'Nothing was found in the stored runs.', query.get('check') ? 'That is not the same as its having been looked for: the ledger of a run says whether the check ran.' : 'Findings appear here when a check of a run reports one.')
      : [h('ul', { class: 'gallery' }, data.findings.map((one) => card(one, visit, may))), pages(data.offset ?? (Number(query.get('offset')) || 0), data.findings.length, data.total, kLimit, (offset) => {
        visit.setQuery({ offset: offset || null }, 'push');
        load();
        window.scrollTo({ top: 0, behavior: 'instant' });
      })]);
    const load = (): void => void region(list, 'Loading findings', () => visit.api.get<Gallery>('/api/findings', { offset: Number(query.get('offset')) || 0, limit: kLimit, check: query.get('check') }), draw);
    void region(list, 'Loading findings', () => Promise.resolve(first), draw);
    return h('div', null, heading('Findings', 'What the checks found, over all runs, the latest first. A replay computes the evidence again with the same build and compares it bit by bit.'),
      h('div', { class: 'controls' }, select('Check', [{ value: '', words: 'every check' }, ...checks.map((one) => ({ value: one, words: one }))], query.get('check') ?? '', (value) => {
        visit.setQuery({ check: value, offset: null }, 'push');
        load();
      })), list);
  },
});
