/// One metric over the runs, with the points where it changed.

import { clean, fill, h, path } from '../dom';
import type { Child } from '../dom';
import { interval, span } from '../interval';
import { head, select, sortable, table } from '../list';
import type { Visit } from '../page';
import { definePage } from '../page';
import { empty, region } from '../states';
import { drawTrend, exactly, sameSeries } from '../trend';
import type { Change, Series, Trend } from '../trend';
import { badge, bounds, figure, heading, plural, time } from '../words';

interface Metric {
  check: string;
  metric: string;
  subjects: string[];
  points: number;
}

const kMost = 400;
const placeWords = ({ where }: Series): string => Object.entries(where).map(([name, value]) => `${name} ${value}`).join(', ') || 'as a whole';

function sentence({ run: id, started, before_interval: before, after_interval: after, p }: Change): Child {
  const run = (of: string): Child => h('a', { href: path('runs', of) }, h('span', { class: 'mono' }, of.slice(0, 12)));
  return ['From run ', run(id), ' (', time(started), ' UTC) on it ', after.value > before.value ? 'rose' : 'fell', ' from ', h('b', null, figure(before.value)), ' ', bounds(before.low, before.high),
    ' to ', h('b', null, figure(after.value)), ' ', bounds(after.low, after.high), typeof p === 'number' ? `, p = ${figure(p)}` : '', '.'];
}

/// What was found, "no change" and "could not be decided" told apart.
function changesCard({ changes, why_not: why, method, noise, repeated, p }: Trend): HTMLElement {
  const say = (word: string, css: 'none' | 'unsure', shape: string, ...words: Child[]): HTMLElement => h('p', { class: 'change-note' }, badge({ word, css, shape }), ' ', h('span', { class: 'muted' }, ...words));
  const how = [method, noise, repeated ? `${plural(repeated, 'run')} left out that ${repeated === 1 ? 'has' : 'have'} the same evidence as the run before` : ''].filter(Boolean).join('; ');
  if (changes === null) return why ? say('could not decide', 'unsure', 'unsure', why) : say('not computed', 'none', 'none', 'This server does not look for change points.');
  if (changes.length > 0) return h('div', { class: 'card changes' }, h('h2', { class: 'small' }, `${plural(changes.length, 'change')} found`), h('ol', null, changes.map((one) => h('li', null, sentence(one)))), how && h('p', { class: 'muted' }, how));
  return say('no change found', 'none', 'ok', typeof p === 'number' ? `p = ${figure(p)}; ` : '', how);
}

function draw(trend: Trend, series: Series[], about: string, visit: Visit, again: () => void): Child {
  const { points, changes, unit } = trend;
  if (points.length === 0) return empty('No run holds this metric.', 'Choose another one above.');
  const host = h('div', { class: 'picture' });
  let width = 0;
  const plot = (): void => {
    const room = Math.floor(host.clientWidth);
    if (room < 40 || Math.abs(room - width) < 2) return;
    width = room;
    host.replaceChildren();
    drawTrend(host, room, points.map((one) => ({ ...one, run: clean(one.run), started: clean(one.started) })), changes ?? [], about, (run) => visit.go(path('runs', run)));
  };
  new ResizeObserver(plot).observe(host);
  const along = span(points);
  const rows = points.slice().reverse().map((point) => h('tr', null,
    h('td', { class: 'full' }, h('a', { class: 'row mono', href: path('runs', point.run) }, point.run.slice(0, 12))), h('td', null, time(point.started)),
    h('td', { class: 'number', 'data-v': point.value }, h('b', null, figure(point.value)), h('span', { class: 'sub' }, bounds(point.low, point.high))),
    h('td', null, interval(point, {}, unit === 'share' && along[0] >= 0, along)), h('td', { class: 'number', 'data-name': 'n', 'data-v': point.n ?? '' }, figure(point.n))));
  const shown = series.findIndex((one) => sameSeries(one, trend));
  return [series.length > 1 && h('div', { class: 'controls' }, select('Where', series.map((one, at) => ({ value: String(at), words: `${placeWords(one)} (${plural(one.points, 'figure')})` })), String(shown), (value) => {
    visit.setQuery({ where: exactly(series[Number(value)], series) }, 'push');
    again();
  })), h('figure', { class: 'wide trend' }, host), changesCard(trend),
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
      fill(controls, select('Check', options(checks), check, (value) => go({ check: value, metric: null, subject: null, where: null })()),
        select('Metric', metrics.filter((one) => one.check === check).map((one) => ({ value: one.metric, words: `${one.metric} (${plural(one.points, 'point')})` })), metric.metric, (value) => go({ check, metric: value, subject: null, where: null })()),
        metric.subjects.length > 1 && select('About', options(metric.subjects), subject, (value) => go({ check, metric: metric.metric, subject: value, where: null })()));
      if (focused >= 0) controls.querySelectorAll('select')[focused]?.focus();
      const about = clean(`${metric.metric} of ${subject || check}`);
      const asked = { check, metric: metric.metric, subject };
      const load = (): void => {
        const held = chart.contains(document.activeElement);
        void region(chart, 'Loading the trend', async () => {
          const where = query.get('where');
          // Of a question that fits one series, the answer names no other: those to choose from are asked for beside it.
          const [trend, all] = await Promise.all([visit.api.get<Trend>('/api/trend', { ...asked, where, limit: kMost }), where ? visit.api.get<Trend>('/api/trend', { ...asked, limit: 1 }) : null]);
          return { trend, series: (all ?? trend).series };
        }, ({ trend, series }) => draw(trend, series, about, visit, load)).then(() => { if (held) chart.querySelector('select')?.focus(); });
      };
      load();
    };
    update();
    return h('div', null, heading('Trends', 'A metric over the runs, and where it changed.'), controls, chart);
  },
});
