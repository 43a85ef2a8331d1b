/// Detectors of drift and assertions on the stream of decisions: what each says now, and since when it cries.

import { formatNumber } from '../../artifact';
import type { Child } from '../dom';
import { h } from '../dom';
import { badge } from '../words';
import type { Look } from '../words';
import { ofDay } from './clock';
import type { Monitor } from './guard';

function look(of: Monitor): Look {
  if (of.alarm_since !== null) return { word: 'alarm', css: 'bad', shape: 'bad' };
  if (of.kind === 'assertion' && of.violations > 0) return { word: 'broken', css: of.severity === 'fail' ? 'bad' : 'unsure', shape: of.severity === 'fail' ? 'bad' : 'unsure' };
  return { word: 'quiet', css: 'good', shape: 'good' };
}

const short = (value: number): string => formatNumber(Number(value.toPrecision(3)));

/// What the statistic says in words: a capital won by betting on a change, or a share of proposals.
function says(of: Monitor): Child {
  if (of.kind === 'drift') return [`capital ${short(of.statistic)}`, of.threshold !== null && ` of ${short(of.threshold)} to cry`, `, ${formatNumber(of.violations)} alarms`];
  return `${short(100 * of.statistic)} % of proposals break it, ${formatNumber(of.violations)} in all`;
}

function row(of: Monitor): HTMLElement {
  return h('li', null, badge(look(of)), h('b', null, of.name), h('span', { class: 'tag' }, of.severity === 'fail' ? 'blocks' : of.severity),
    of.alarm_since !== null && h('span', { class: 'wrong' }, `since ${ofDay(of.alarm_since * 1000)}`), h('span', { class: 'muted' }, says(of), `; ${formatNumber(of.seen)} seen`,
      of.last !== null && `, last at ${ofDay(of.last * 1000)}`));
}

export function monitorCards(monitors: readonly Monitor[]): HTMLElement {
  const crying = monitors.filter((one) => one.alarm_since !== null);
  return h('section', { class: 'card', 'aria-labelledby': 'monitors' }, h('h2', { id: 'monitors', class: 'small' }, 'Drift and assertions'),
    monitors.length === 0 ? h('p', { class: 'muted' }, 'No drift monitors or assertions watch this guard.')
      : h('ul', { class: 'monitors' }, [...monitors].sort((a, b) => Number(b.alarm_since !== null) - Number(a.alarm_since !== null)).map(row)),
    crying.some((one) => one.severity === 'fail') && h('p', { class: 'sub-line' }, 'While one that blocks cries, the fallback is carried out. An administrator acknowledges it: ', h('code', null, 'POST /v1/monitors/acknowledge'), '.'));
}
