/// Words, shapes and colours of verdicts, always together; and how numbers, times and durations are written.

import { formatNumber } from '../artifact';
import { h, s } from './dom';
import type { Child } from './dom';

/// Word, colour and shape of a verdict; `shape` names a symbol of icons.svg.
export interface Look {
  word: string;
  css: 'good' | 'bad' | 'unsure' | 'none';
  shape: string;
}

const look = (word: string, css: Look['css'], shape: string = css): Look => ({ word, css, shape });

const kStandings: Record<string, Look> = {
  supported: look('supported', 'good'), refuted: look('refuted', 'bad'), defeated: look('defeated', 'bad'),
  undetermined: look('undetermined', 'unsure'), stale: look('stale', 'unsure'), 'not evaluated': look('not evaluated', 'none'),
};
const kLedger: Record<string, Look> = {
  ok: look('ran', 'good', 'ok'), error: look('error', 'bad', 'error'), skipped: look('skipped', 'unsure', 'skipped'),
  'not applicable': look('not applicable', 'none', 'not-applicable'),
};
const kFates: Record<string, Look> = {
  safe: look('safe', 'good'), hacks: look('hacks', 'bad'), incapable: look('incapable', 'none'), undetermined: look('undetermined', 'unsure'),
  'not run': look('not run', 'none', 'not-applicable'), error: look('error', 'bad', 'error'),
};
const kStatuses: Record<string, Look> = {
  success: look('finished', 'good', 'ok'), error: look('error', 'bad', 'error'), cancelled: look('interrupted', 'unsure', 'skipped'), started: look('running', 'none'),
};

/// A word that the server wrote, found in a table whatever stands between its parts; itself, without colour, where it is unknown.
function find(table: Record<string, Look>, word: string): Look {
  const key = word.replace(/[_-]/g, ' ');
  return Object.prototype.hasOwnProperty.call(table, key) ? table[key] : look(word || 'unknown', 'none');
}

export const standingLook = (word: string): Look => find(kStandings, word);
export const ledgerLook = (word: string): Look => find(kLedger, word);
export const fateLook = (word: string): Look => find(kFates, word);
export const statusLook = (word: string): Look => find(kStatuses, word);
export const standings = Object.keys(kStandings);
export const fates = Object.keys(kFates);

/// What a run's exit status answers, as the report's first screen says it.
export function answerLook(exit: number | null): Look {
  switch (exit) {
    case 0: return look('Yes', 'good');
    case 1: return look('No', 'bad');
    case 2: return look('Nothing judged', 'none');
    case 3: return look('Cannot say yet', 'unsure');
    case 130: return look('Interrupted', 'unsure', 'skipped');
    case null: return look('Not ended', 'none');
    default: return look('Cannot say', 'unsure');
  }
}

export function icon(shape: string, css = '', size = ''): SVGSVGElement {
  return s('svg', { class: `mark ${css} ${size}`.trim(), 'aria-hidden': 'true', focusable: 'false' }, s('use', { href: `#i-${shape}` }));
}

/// The verdict as a pill: shape and word on a tinted ground.
export function badge(of: Look, words: string = of.word): HTMLElement {
  return h('span', { class: `verdict ${of.css}` }, icon(of.shape), words);
}

/// The verdict small: shape, then a count and the word for those who do not see the shape.
export function count(of: Look, n: number): HTMLElement {
  return h('span', { class: `count ${n === 0 ? 'zero' : of.css}`, title: `${n} ${of.word}` }, icon(of.shape), h('b', null, n), h('span', { class: 'count-word' }, of.word));
}

export function severity(word: string): HTMLElement {
  return h('span', { class: `severity ${['major', 'medium', 'minor'].includes(word) ? word : ''}` }, word || 'note');
}

/// "refuted 3, supported 1", or the same as an object, as counts by standing.
export function tally(verdicts: unknown): Map<string, number> {
  const counts = new Map<string, number>();
  if (typeof verdicts === 'string') {
    for (const part of verdicts.split(',')) {
      const [, word, n] = /^\s*(.*?)\s+(\d+)\s*$/.exec(part) ?? [];
      if (word) counts.set(word.replace(/_/g, ' '), Number(n));
    }
  } else if (verdicts && typeof verdicts === 'object') {
    for (const [word, n] of Object.entries(verdicts)) if (typeof n === 'number') counts.set(word.replace(/_/g, ' '), n);
  }
  return counts;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${formatNumber(n)} ${n === 1 ? one : many}`;
}

/// "2026-11-30 16:28" of a time in UTC; what cannot be read as a time stays as it is.
export function time(iso: string | null | undefined): HTMLElement {
  const at = iso ? new Date(iso) : null;
  if (!iso || !at || Number.isNaN(at.getTime())) return h('span', null, iso ?? '');
  return h('time', { datetime: at.toISOString(), title: `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`, class: 'nowrap' }, at.toISOString().slice(0, 16).replace('T', ' '));
}

export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return '';
  if (seconds < 0.0995) return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/// "[0.89, 0.93]" with an infinity for an end that is not known; nothing where neither is.
export function bounds(low: number | null | undefined, high: number | null | undefined): string {
  const known = (end: number | null | undefined): end is number => typeof end === 'number' && Number.isFinite(end);
  if (!known(low) && !known(high)) return '';
  return `[${known(low) ? formatNumber(low) : '−∞'}, ${known(high) ? formatNumber(high) : '∞'}]`;
}

export function figure(value: number | null | undefined): string {
  return typeof value === 'number' ? formatNumber(value) : '';
}

/// The heading that a page begins with: the title, and what may be done beside it.
export function heading(title: Child, below: Child = null, ...actions: Child[]): HTMLElement {
  return h('header', { class: 'page-head' }, h('div', { class: 'page-title' }, h('h1', { tabindex: -1 }, title), below && h('p', { class: 'muted' }, below)),
    actions.length > 0 && h('div', { class: 'actions' }, ...actions));
}

export function where(place: Record<string, string> | null | undefined): Child {
  return Object.entries(place ?? {}).map(([key, value]) => [' ', h('span', { class: 'tag' }, `${key} ${value}`)]);
}
