/// The first page: what this server looks at, and the latest runs.

import { formatNumber } from '../../artifact';
import { h, path } from '../dom';
import { head, table } from '../list';
import type { Overview } from '../page';
import { definePage } from '../page';
import { arrows } from '../keys';
import { empty } from '../states';
import { badge, heading, plural, time } from '../words';
import type { RunList } from './runs';
import { runBadge, verdictCounts } from './runs';

export default definePage<{ overview: Overview; latest: RunList }>({
  title: 'Overview',
  load: async ({ api }) => {
    const [overview, latest] = await Promise.all([api.get<Overview>('/api/overview'), api.get<RunList>('/api/runs', { limit: 8 })]);
    return { overview, latest };
  },
  render: ({ overview, latest }) => {
    const runs = overview.stores.reduce((sum, store) => sum + store.runs, 0);
    const tile = (title: string, big: string, below: (Node | string)[], href: string | null): HTMLElement => h('section', { class: 'card' },
      h('h2', { class: 'small' }, title), h('p', { class: 'fact-big' }, href ? h('a', { href }, big) : big), h('p', { class: 'muted' }, below));
    const rows = latest.runs.map((run) => h('tr', null,
      h('td', { class: 'full' }, h('a', { class: 'row', href: path('runs', run.id) }, run.system || run.id), ' ', h('span', { class: 'sub-line' }, run.name)),
      h('td', null, runBadge(run)), h('td', null, verdictCounts(run.verdicts, 'words')), h('td', null, time(run.started))));
    const list = table('Latest runs', [head('System'), head('Answer'), head('Claims'), head('Started (UTC)')], rows, 'list');
    arrows(list, 'a.row');
    return h('div', null, heading('Overview', overview.caller.name ? `You read as ${overview.caller.name}.` : null),
      h('div', { class: 'tiles-row' },
        tile('Runs', formatNumber(runs), [overview.stores.length === 1 ? `in ${overview.stores[0].name}` : `in ${plural(overview.stores.length, 'store')}`], path('runs')),
        tile('Gauntlet', plural(overview.gauntlet, 'table'), ['agents in worlds, judged by what was truly achieved'], path('gauntlet')),
        tile('Guard', overview.guard ? 'connected' : 'none', [overview.guard ? overview.guard.url : 'start the server with --guard to look at one'], overview.guard ? path('guard') : null)),
      h('section', { 'aria-labelledby': 'latest' }, h('div', { class: 'section-head' }, h('h2', { id: 'latest' }, 'Latest runs'), h('a', { href: path('runs') }, `All ${formatNumber(latest.total)}`)),
        rows.length > 0 ? list : empty('No run is stored yet.', 'Write one with ', h('code', null, 'plumbline assess'), '.')),
      overview.stores.length > 1 && h('section', { 'aria-labelledby': 'stores' }, h('h2', { id: 'stores' }, 'Stores'),
        table('Stores', [head('Store'), head('Runs', 'number')], overview.stores.map((store) => h('tr', null, h('td', { class: 'full mono' }, store.name), h('td', { class: 'number', 'data-name': 'runs' }, formatNumber(store.runs)))), 'list')),
      h('p', { class: 'muted' }, 'Plumbline ', overview.version, '. ', overview.tokens ? badge({ word: 'tokens are on', css: 'none', shape: 'ok' }) : 'Everybody on this machine may read.'));
  },
});
