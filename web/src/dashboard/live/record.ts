/// One decision in full, as it is logged.

import { formatNumber } from '../../artifact';
import type { Child } from '../dom';
import { h } from '../dom';
import { region } from '../states';
import type { Detail, GuardApi, Reading } from './guard';
import { neighbours, readingsList, uncertainties } from './looks';

type Record_ = Record<string, unknown>;

const list = <T>(value: unknown): T[] => (Array.isArray(value) ? (value as T[]) : []);
const text = (value: unknown): string => (typeof value === 'string' ? value : typeof value === 'number' ? formatNumber(value) : '');

function probabilities(record: Record_): Child {
  const actions = list<string>(record.actions);
  const chances = list<number>(record.probabilities);
  if (actions.length === 0 || chances.length !== actions.length) return null;
  return h('dl', { class: 'chances' }, actions.map((action, at) => h('div', null, h('dt', null, action, action === record.action && h('span', { class: 'tag' }, 'drawn')),
    h('dd', null, h('span', { class: 'level', 'aria-hidden': 'true' }, h('span', { css: { width: `${(100 * Math.min(1, Math.max(0, Number(chances[at])))).toFixed(1)}%` } })), formatNumber(Number(Number(chances[at]).toPrecision(3)))))));
}

function context(record: Record_): Child {
  const fields = record.context && typeof record.context === 'object' ? Object.entries(record.context as Record_) : [];
  return fields.length > 0 && h('dl', { class: 'looks-values' }, fields.map(([name, value]) => h('div', null, h('dt', null, name), h('dd', null, text(value)))));
}

function drawn(detail: Detail, record: Record_): Child {
  const actions = list<string>(record.actions);
  const facts: [string, Child][] = [
    ['carried out', detail.carry_out ?? h('span', { class: 'muted' }, 'nothing')], ['kind', `${text(record.kind) || 'act'}, by ${text(record.cause) || 'policy'}`], ['unit', text(record.unit)],
    ['propensity', text(record.propensity)], ['rung', text(record.rung)], ['policy', text(record.policy)], ['model', text(record.model)], ['case', text(record.case)],
    ['accepted', list<string>(record.accepted).join(', ')], ['reward', text(record.reward)],
  ];
  return [h('p', { class: 'record-reason' }, text(record.reason)),
    h('div', { class: 'record-parts' },
      h('div', null, h('h3', null, 'Uncertainty'), uncertainties(detail, actions.length), readingsList(list<Reading>(record.readings))),
      h('div', null, h('h3', null, 'Possible actions'), probabilities(record) || h('p', { class: 'muted' }, 'none are logged'), context(record) && [h('h3', null, 'Input'), context(record)]),
      h('div', null, h('h3', null, 'As logged'), h('dl', { class: 'provenance' }, facts.filter(([, value]) => value !== '').map(([name, value]) => [h('dt', null, name), h('dd', null, value)])))),
    detail.nearest && detail.nearest.length > 0 && [h('h3', null, 'Nearest training examples'), neighbours(detail.nearest)],
    h('details', null, h('summary', null, 'The record as JSON'), h('pre', { class: 'json', tabindex: 0 }, JSON.stringify({ detail, record }, null, 1)))];
}

/// Shows the decision `id` in `host`; `closed` runs when the reader closes it.
export async function recordPanel(host: HTMLElement, guard: GuardApi, id: string, closed: () => void): Promise<void> {
  const body = h('div', null);
  const title = h('h2', { tabindex: -1 }, 'Decision ', h('code', null, id));
  const close = (): void => {
    host.replaceChildren();
    closed();
  };
  host.replaceChildren(h('section', { class: 'card record', 'aria-label': 'A decision in full' },
    h('header', { class: 'section-head' }, title, h('button', { type: 'button', class: 'quiet', on: { click: close } }, 'Close')), body));
  title.focus({ preventScroll: true });
  host.querySelector('section')?.scrollIntoView({ block: 'nearest' });
  await region(body, 'Loading the decision', () => guard.decision(id), ({ detail, record }) => drawn(detail ?? {}, record ?? {}));
}
