/// A figure drawn as a point and its interval, with the region that a claim allows; two of them, before and after.

import { formatNumber } from '../artifact';
import { s } from './dom';
import { bounds } from './words';

type End = number | null | undefined;

export interface Interval {
  value: number;
  low?: End;
  high?: End;
}

interface Threshold {
  atLeast?: End;
  atMost?: End;
}

const kWidth = 168;
const known = (end: End): end is number => typeof end === 'number' && Number.isFinite(end);

/// Places values in [0, kWidth], with room beside the outermost; shares never leave [0, 1]. Rows that are to be compared get the
/// same `values`.
function scale(values: End[], share: boolean): { x: (value: number) => number; from: number; to: number } | null {
  const ends = values.filter(known);
  if (ends.length === 0) return null;
  let from = Math.min(...ends);
  let to = Math.max(...ends);
  const room = to > from ? 0.18 * (to - from) : Math.max(0.05, 0.05 * Math.abs(from));
  from -= room;
  to += room;
  if (share) {
    from = Math.max(0, from);
    to = Math.min(1, to);
  }
  if (!(to > from)) to = from + 1;
  return { x: (value) => Math.min(1, Math.max(0, (value - from) / (to - from))) * kWidth, from, to };
}

function line(at: Interval, y: number, x: (value: number) => number, css: string): SVGElement[] {
  const { low, high } = at;
  const parts: SVGElement[] = [];
  if (known(low) || known(high)) {
    parts.push(s('path', { class: 'span', d: `M${(known(low) ? x(low) : 0).toFixed(1)} ${y}H${(known(high) ? x(high) : kWidth).toFixed(1)}` }),
      known(low) ? s('path', { class: 'end', d: `M${x(low).toFixed(1)} ${y - 5}v10` }) : s('path', { class: 'open', d: `M0 ${y}l7 -4v8z` }),
      known(high) ? s('path', { class: 'end', d: `M${x(high).toFixed(1)} ${y - 5}v10` }) : s('path', { class: 'open', d: `M${kWidth} ${y}l-7 -4v8z` }));
  }
  parts.push(s('circle', { class: css, cx: x(at.value).toFixed(1), cy: y, r: 4 }));
  return parts;
}

const ends = (from: number, to: number, y: number): SVGElement[] => [s('text', { x: 0, y }, formatNumber(Number(from.toPrecision(3)))), s('text', { x: kWidth, y, 'text-anchor': 'end' }, formatNumber(Number(to.toPrecision(3))))];
const said = (at: Interval): string => `${formatNumber(at.value)} ${bounds(at.low, at.high)}`.trim();

/// `along`: ends of the other rows of a table whose intervals are to stand on one scale.
export function interval(at: Interval, claim: Threshold = {}, share = false, along: End[] = []): SVGSVGElement | null {
  const { atLeast, atMost } = claim;
  const placed = scale([at.value, at.low, at.high, atLeast, atMost, ...along], share);
  if (!placed || !known(at.value)) return null;
  const { x, from, to } = placed;
  const label = [said(at), known(atLeast) && `claimed at least ${formatNumber(atLeast)}`, known(atMost) && `claimed at most ${formatNumber(atMost)}`].filter(Boolean).join(', ');
  const left = known(atLeast) ? x(atLeast) : 0;
  const right = known(atMost) ? x(atMost) : kWidth;
  return s('svg', { class: 'interval', width: kWidth, height: 30, viewBox: `0 0 ${kWidth} 30`, role: 'img', 'aria-label': label },
    (known(atLeast) || known(atMost)) && s('rect', { class: 'allowed', x: left.toFixed(1), y: 1, width: Math.max(0, right - left).toFixed(1), height: 16 }),
    s('path', { class: 'track', d: `M0 9H${kWidth}` }), line(at, 9, x, 'point'),
    [atLeast, atMost].filter(known).map((edge) => s('path', { class: 'threshold', d: `M${x(edge).toFixed(1)} 0V18` })), ends(from, to, 28));
}

/// The outermost ends of several figures, for `along`.
export function span(all: Interval[]): number[] {
  const values = all.flatMap((one) => [one.value, one.low, one.high]).filter(known);
  return values.length > 0 ? [Math.min(...values), Math.max(...values)] : [];
}

/// Before above with a hollow point, after below with a full one, on one scale.
export function paired(before: Interval | null, after: Interval | null): SVGSVGElement | null {
  const placed = scale([before?.value, before?.low, before?.high, after?.value, after?.low, after?.high], false);
  if (!placed) return null;
  const { x, from, to } = placed;
  return s('svg', { class: 'interval paired', width: kWidth, height: 42, viewBox: `0 0 ${kWidth} 42`, role: 'img', 'aria-label': `before ${before ? said(before) : 'none'}, after ${after ? said(after) : 'none'}` },
    s('path', { class: 'track', d: `M0 7H${kWidth}M0 23H${kWidth}` }), before && s('g', { class: 'before' }, line(before, 7, x, 'point hollow')), after && line(after, 23, x, 'point'), ends(from, to, 40));
}
