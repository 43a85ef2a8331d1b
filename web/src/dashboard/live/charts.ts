/// Small pictures of a running guard: a stacked strip over time and histograms. Drawn by hand, a path a series, so that a
/// picture a second costs next to nothing and no library is loaded for it.

import { formatNumber } from '../../artifact';
import type { Child } from '../dom';
import { h, s } from '../dom';

export interface Series {
  name: string;
  css: string;  ///< class that brings the colour
  values: number[];
}

/// Columns of `values` on top of `below`, as one path; both in units of the picture.
function columns(values: number[], below: number[], width: number, height: number, most: number): string {
  const step = width / values.length;
  let path = '';
  values.forEach((value, at) => {
    if (value <= 0) return;
    const low = height * (1 - below[at] / most);
    const high = height * (1 - (below[at] + value) / most);
    path += `M${(at * step).toFixed(2)} ${low.toFixed(2)}V${high.toFixed(2)}h${(step * 0.86).toFixed(2)}V${low.toFixed(2)}z`;
  });
  return path;
}

/// 1, 2 or 5 times a power of ten, at least `value`.
export function roundUp(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const lead = value / power;
  return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

const kWidth = 720;
const kHeight = 150;

/// Counts a step of time, the newest on the right, series on top of each other.
export function strip(series: readonly Series[], stepSeconds: number, words: string): HTMLElement {
  const steps = series[0]?.values.length ?? 0;
  const sums = Array.from({ length: steps }, (_, at) => series.reduce((sum, one) => sum + (one.values[at] ?? 0), 0));
  const most = roundUp(Math.max(1, ...sums));
  const below = new Array<number>(steps).fill(0);
  const paths = series.map((one) => {
    const path = columns(one.values, below, kWidth, kHeight, most);
    one.values.forEach((value, at) => { below[at] += value; });
    return s('path', { class: `area ${one.css}`, d: path || 'M0 0' });
  });
  const minutes = Math.round((steps * stepSeconds) / 60);
  const lines = [0.25, 0.5, 0.75].map((at) => s('path', { class: 'grid', d: `M0 ${(at * kHeight).toFixed(1)}H${kWidth}` }));
  const picture = s('svg', { class: 'strip-chart', viewBox: `0 0 ${kWidth} ${kHeight}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': words }, lines, paths,
    s('path', { class: 'ground', d: `M0 ${kHeight}H${kWidth}` }));
  return h('div', { class: 'strip-frame' }, h('span', { class: 'strip-most muted', 'aria-hidden': 'true' }, `${formatNumber(most / stepSeconds)}/s`), picture,
    h('div', { class: 'strip-axis muted', 'aria-hidden': 'true' }, h('span', null, `${minutes} min ago`), h('span', null, `${Math.round(minutes / 2)} min`), h('span', null, 'now')));
}

export function legend(series: readonly Series[], totals: readonly Child[]): HTMLElement {
  return h('ul', { class: 'legend' }, series.map((one, at) => h('li', null,
    s('svg', { width: 14, height: 14, 'aria-hidden': 'true', focusable: 'false' }, s('rect', { class: `area ${one.css}`, width: 14, height: 14, rx: 3 })), one.name, h('b', null, totals[at]))));
}

export interface Distribution {
  low: number;
  high: number;
  counts: number[];
  median: number;
  n: number;
}

/// How values spread over [0, high] in so many bins; `high` at least 1e-9.
export function distribution(values: readonly number[], high: number, bins: number): Distribution {
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) counts[Math.min(bins - 1, Math.max(0, Math.floor((value / high) * bins)))] += 1;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = sorted.length === 0 ? NaN : sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { low: 0, high, counts, median, n: values.length };
}

export function histogram(of: Distribution, words: string, css: string): HTMLElement {
  const width = 240;
  const height = 64;
  const most = Math.max(1, ...of.counts);
  const zero = new Array<number>(of.counts.length).fill(0);
  return h('div', { class: 'histogram' },
    s('svg', { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': words },
      s('path', { class: `area ${css}`, d: columns(of.counts, zero, width, height - 1, most) || 'M0 0' }), s('path', { class: 'ground', d: `M0 ${height - 0.5}H${width}` })),
    h('div', { class: 'strip-axis muted', 'aria-hidden': 'true' }, h('span', null, '0'), h('span', null, formatNumber(of.high))));
}
