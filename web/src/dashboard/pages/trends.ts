/// One metric over the runs, with the points where it changed.

import { clean, fill, h, path } from '../dom';
import type { Child } from '../dom';
import { interval } from '../interval';
import { head, select, sortable, table } from '../list';
import type { Visit } from '../page';
import { definePage } from '../page';
import { empty, region } from '../states';
import { drawTrend } from '../trend';
import type { Change, Point } from '../trend';
import { badge, bounds, figure, heading, plural, time } from '../words';

interface Metric {
  check: string;
  metric: string;
  subjects: string[];
  points: number;
}

interface Trend {
  points: Point[];
  changes: (Change & { reason?: string })[] | null;
  method: string | null;
  unit?: string;
  why_not?: string;
}

const kMost = 400;

function sentence(one: Change & { reason?: string }, points: Point[]): Child {
  const at = points[one.at];
  const moved = typeof one.before === 'number' && typeof one.after === 'number';
  return ['From run ', h('a', { href: path('runs', one.run || at?.run || '') }, h('span', { class: 'mono' }, (one.run || at?.run || '').slice(0, 12))), at ? [' (', time(at.started), ' UTC)'] : null, ' on',
    moved ? [': it ', (one.after as number) > (one.before as number) ? 'rose' : 'fell', ' from ', h('b', null, figure(one.before)), ' to ', h('b', null, figure(one.after))] : ' it is another',
    typeof one.p === 'number' ? `, p = ${figure(one.p)}` : '', '.', one.reason ? [' ', one.reason] : ''];
}

function changesCard({ changes, method, points, why_not: whyNot }: Trend): HTMLElement {
  if (changes === null) return h('p', { class: 'change-note' }, badge({ word: 'not computed', css: 'none', shape: 'none' }), ' ', whyNot || 'This server does not look for change points.');
  if (changes.length === 0) return h('p', { class: 'change-note' }, badge({ word: 'no change found', css: 'none', shape: 'ok' }), ' ', method && h('span', { class: 'muted' }, method));
  return h('div', { class: 'card changes' }, h('h2', { class: 'small' }, `${plural(changes.length, 'change')} found`), h('ol', null, changes.map((one) => h('li', null, sentence(one, points)))), method && h('p', { class: 'muted' }, method));
}

function draw(trend: Trend, about: string, visit: Visit): Child {
  const { points } = trend;
  if (points.length === 0) return empty('No run holds this metric.', 'Choose another one above.');
  const host = h('div', { class: 'picture' });
  let width = 0;
  const plot = (): void => {
    const room = Math.floor(host.clientWidth);
    if (room < 40 || Math.abs(room - width) < 2) return;
    width = room;
    host.replaceChildren();
    drawTrend(host, room, points.map((one) => ({ ...one, run: clean(one.run), started: clean(one.started) })), trend.changes ?? [], about, (run) => visit.go(path('runs', run)));
  };
  new ResizeObserver(plot).observe(host);
  const rows = points.slice().reverse().map((point) => h('tr', null,
    h('td', { class: 'full' }, h('a', { class: 'row mono', href: path('runs', point.run) }, point.run.slice(0, 12))), h('td', null, time(point.started)),
    h('td', { class: 'number', 'data-v': point.value }, h('b', null, figure(point.value)), h('span', { class: 'sub' }, bounds(point.low, point.high))),
    h('td', null, interval(point)), h('td', { class: 'number', 'data-name': 'n', 'data-v': point.n ?? '' }, figure(point.n))));
  return [h('figure', { class: 'wide trend' }, host), changesCard(trend),
    h('details', { open: points.length <= 50 && window.innerWidth > 700 }, h('summary', null, `The ${plural(points.length, 'point')} as a table, newest first`),
      sortable(table(about, [head('Run'), head('Started (UTC)'), head('Figure', 'number'), head('Interval'), head('n', 'number')], rows, 'list')))];
}

export default definePage<Metric[]>({
  title: 'Trends',
  load: async ({ api }) => (await api.get<{ metrics: Metric[] }>('/api/metrics')).metrics,
  render: (metrics, visit) => {
    if (metrics.length === 0) return h('div', null, heading('Trends'), empty('There are no figures yet.', 'Every run of ', h('code', null, 'plumbline assess'), ' adds a point to each of its metrics.'));
    const checks = Array.from(new Set(metrics.map((one) => one.check))).sort();
    const controls = h('div', { class: 'controls' });
    const chart = h('div', null);
    const { query } = visit;
    const chosen = (): { check: string; metric: Metric; subject: string } => {
      const most = metrics.reduce((best, one) => (one.points > best.points ? one : best));
      const check = checks.includes(query.get('check') ?? '') ? (query.get('check') as string) : most.check;
      const within = metrics.filter((one) => one.check === check);
      const metric = within.find((one) => one.metric === query.get('metric')) ?? within.reduce((best, one) => (one.points > best.points ? one : best));
      const subject = metric.subjects.includes(query.get('subject') ?? '') ? (query.get('subject') as string) : (metric.subjects[0] ?? '');
      return { check, metric, subject };
    };
    const update = (): void => {
      const { check, metric, subject } = chosen();
      const go = (changes: Record<string, string | null>) => (): void => {
        visit.setQuery(changes, 'push');
        update();
      };
      const active = document.activeElement instanceof HTMLElement ? controls.querySelectorAll('select') : [];
      const focused = Array.from(active).findIndex((box) => box === document.activeElement);
      const options = (all: string[]): { value: string; words: string }[] => all.map((one) => ({ value: one, words: one }));
      fill(controls, select('Check', options(checks), check, (value) => go({ check: value, metric: null, subject: null })()),
        select('Metric', metrics.filter((one) => one.check === check).map((one) => ({ value: one.metric, words: `${one.metric} (${plural(one.points, 'point')})` })), metric.metric, (value) => go({ check, metric: value, subject: null })()),
        metric.subjects.length > 1 && select('About', options(metric.subjects), subject, (value) => go({ check, metric: metric.metric, subject: value })()));
      if (focused >= 0) controls.querySelectorAll('select')[focused]?.focus();
      void region(chart, 'Loading the trend', () => visit.api.get<Trend>('/api/trend', { check, metric: metric.metric, subject, where: query.get('where'), limit: kMost }), (trend) => draw(trend, clean(`${metric.metric} of ${subject || check}`), visit));
    };
    update();
    return h('div', null, heading('Trends', 'A metric over the runs of one system, and where it changed.'), controls, chart);
  },
});
