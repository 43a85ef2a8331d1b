/// Drift monitors and assertions on the stream of decisions, as the guard tells them.

import type { Child } from '../dom';
import { h } from '../dom';
import { badge } from '../words';
import type { Look } from '../words';

interface Monitor {
  name: string;
  kind: string;
  state: string;
  words: string;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '');

/// What a monitor says in the fields that every one has; an unknown form is shown by its name alone.
function monitor(of: unknown): Monitor {
  const fields = (of && typeof of === 'object' ? of : {}) as Record<string, unknown>;
  return { name: text(fields.name) || text(fields.id) || 'monitor', kind: text(fields.kind), state: text(fields.state), words: text(fields.text) || text(fields.reason) };
}

function look(state: string): Look {
  if (state === 'alarm') return { word: 'alarm', css: 'bad', shape: 'bad' };
  if (state === 'quiet' || state === 'ok') return { word: 'quiet', css: 'good', shape: 'good' };
  return { word: state || 'unknown', css: 'none', shape: 'none' };
}

export function monitorCards(monitors: readonly unknown[]): HTMLElement {
  const drawn: Child = monitors.length === 0
    ? h('p', { class: 'muted' }, 'No drift monitors or assertions watch this guard.')
    : h('ul', { class: 'monitors' }, monitors.map(monitor).map((one) => h('li', null, badge(look(one.state)), h('b', null, one.name), h('span', { class: 'muted' }, one.kind), one.words && h('span', null, one.words))));
  return h('section', { class: 'card', 'aria-labelledby': 'monitors' }, h('h2', { id: 'monitors', class: 'small' }, 'Drift and assertions'), drawn);
}
