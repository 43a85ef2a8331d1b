/// Lists that the server pages: fields above them, the row of "earlier, later" below.

import { formatNumber } from '../artifact';
import { enhanceTable } from '../table';
import type { Child } from './dom';
import { h } from './dom';

let fields = 0;

/// A labelled field; `make` gets the id that its label names.
export function field(label: string, make: (id: string) => HTMLElement, css = ''): HTMLElement {
  fields += 1;
  const id = `field-${fields}`;
  return h('div', { class: `field ${css}`.trim() }, h('label', { for: id }, label), make(id));
}

export interface Choice {
  value: string;
  words: string;
}

export function select(label: string, choices: Choice[], value: string, change: (value: string) => void, css = ''): HTMLElement {
  return field(label, (id) => {
    const box = h('select', { id }, choices.map((one) => h('option', { value: one.value, selected: one.value === value }, one.words)));
    box.addEventListener('change', () => change(box.value));
    return box;
  }, css);
}

/// A field that is read while someone types, once they pause.
export function search(label: string, placeholder: string, value: string, change: (value: string) => void): HTMLElement {
  return field(label, (id) => {
    const box = h('input', { id, type: 'search', placeholder, value, maxlength: 200, autocomplete: 'off', spellcheck: 'false' });
    let timer = 0;
    box.addEventListener('input', () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(() => change(box.value.trim()), 140);
    });
    return box;
  }, 'grow');
}

/// Which part of a long list is shown, with the ways to the parts before and after it.
export function pages(offset: number, shown: number, total: number, limit: number, go: (offset: number) => void): HTMLElement {
  const button = (words: string, to: number, usable: boolean): HTMLElement =>
    h('button', { type: 'button', class: 'quiet', disabled: !usable, on: { click: () => go(to) } }, words);
  const range = total === 0 ? 'none' : `${formatNumber(offset + 1)} to ${formatNumber(offset + shown)} of ${formatNumber(total)}`;
  if (total <= limit && offset === 0) return h('div', { class: 'pages' }, h('span', { class: 'muted', role: 'status' }, total === 1 ? '1 in all' : `${formatNumber(total)} in all`));
  return h('nav', { class: 'pages', 'aria-label': 'Parts of the list' }, button('Previous', Math.max(0, offset - limit), offset > 0),
    button('Next', offset + limit, offset + shown < total), h('span', { class: 'muted', role: 'status' }, range),
    h('span', { class: 'spread' }), offset + shown < total && total > 4 * limit && button('Last', Math.floor((total - 1) / limit) * limit, true),
    offset > 0 && button('First', 0, true));
}

/// A table in a frame that scrolls by itself; `css` with "list" turns its rows into cards on a narrow screen.
export function table(label: string, heads: Child[], rows: Child[], css = ''): HTMLElement {
  const cards = css.split(' ').includes('list');
  return h('div', { class: cards ? 'table-scroll cards' : 'table-scroll', tabindex: cards ? null : 0, role: 'region', 'aria-label': label },
    h('table', { class: css || null, 'aria-label': label }, h('thead', null, h('tr', null, heads)), h('tbody', null, rows)));
}

/// The same table, sorted and filtered by the reader: for lists that are here as a whole.
export function sortable(frame: HTMLElement): HTMLElement {
  const host = h('div', null, frame);
  const made = frame.querySelector('table');
  if (made) enhanceTable(made, null);
  return host;
}

export const head = (words: Child, css = ''): HTMLElement => h('th', { scope: 'col', class: css || null }, words);
