/// The three ways in which a page has nothing to show, never to be mistaken for each other: still loading, nothing there, failed.

import { ApiError, setToken } from './api';
import type { Child } from './dom';
import { fill, h } from './dom';
import { icon } from './words';

export function loading(words: string): HTMLElement {
  return h('div', { class: 'state loading', role: 'status' }, h('span', { class: 'visually-hidden' }, words),
    h('div', { class: 'bone title' }), h('div', { class: 'bone' }), h('div', { class: 'bone' }), h('div', { class: 'bone short' }));
}

/// Nothing is there, and that is no failure: what would be here, and how it gets here.
export function empty(title: string, ...how: Child[]): HTMLElement {
  return h('div', { class: 'state empty' }, icon('none', 'none'), h('div', null, h('p', { class: 'state-title' }, title), how.length > 0 && h('p', { class: 'muted' }, ...how)));
}

function sentence(words: string): string {
  const text = words.trim();
  const first = text.split(' ')[0] ?? '';
  const start = /[._/:@-]/.test(first) ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}

/// A request or a drawing failed: what happened, what to do, and a way to try again. A missing token is asked for.
export function failure(error: unknown, again: (() => void) | null): HTMLElement {
  const told = error instanceof ApiError ? error : new ApiError(-1, 'page', 'this page could not be drawn', 'The server answered in a form that this page does not know; check that both are of one version.');
  if (told.status === 401 && again) return signIn(told, again);
  return h('div', { class: 'state failure', role: 'alert' }, icon('error', 'bad'),
    h('div', null, h('p', { class: 'state-title' }, sentence(told.message)), told.hint && h('p', null, sentence(told.hint)),
      h('p', { class: 'muted' }, h('code', null, told.code), told.status > 0 && `, status ${told.status}`),
      again && h('button', { type: 'button', class: 'quiet', on: { click: () => again() } }, 'Try again')));
}

function signIn(error: ApiError, again: () => void): HTMLElement {
  const input = h('input', { type: 'password', id: 'token', autocomplete: 'current-password', required: true, spellcheck: 'false', maxlength: 4096 });
  const form = h('form', { class: 'sign-in', on: { submit: (event: Event) => {
    event.preventDefault();
    const value = input.value.trim();
    if (value === '') return;
    setToken(value);
    again();
  } } }, h('label', { for: 'token' }, 'Token'), input, h('button', { type: 'submit', class: 'primary' }, 'Sign in'));
  return h('div', { class: 'state failure sign', role: 'alert' }, icon('skipped', 'unsure'),
    h('div', null, h('p', { class: 'state-title' }, sentence(error.message)), h('p', null, sentence(error.hint)), form,
      h('p', { class: 'muted' }, 'It is kept in this tab only and forgotten when the tab is closed.')));
}

const latest = new WeakMap<HTMLElement, symbol>();

/// A place in a page that loads by itself: `load` and `draw` run when it is called, and again after a failure. What stands there
/// stays until the answer comes; of two calls only the later one draws.
export async function region<T>(host: HTMLElement, words: string, load: () => Promise<T>, draw: (data: T) => Child): Promise<void> {
  const mine = Symbol(words);
  latest.set(host, mine);
  const wait = window.setTimeout(() => fill(host, loading(words)), host.childElementCount > 0 ? 600 : 0);
  host.setAttribute('aria-busy', 'true');
  let shown: Child;
  try {
    shown = draw(await load());
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') {
      window.clearTimeout(wait);
      return;
    }
    if (!(error instanceof ApiError)) console.error(error);
    shown = failure(error, () => void region(host, words, load, draw));
  }
  window.clearTimeout(wait);
  if (latest.get(host) !== mine) return;
  host.removeAttribute('aria-busy');
  // Whoever stood on a link stands on the same link afterwards, where it is still there.
  const held = host.contains(document.activeElement) ? document.activeElement?.getAttribute('href') : null;
  fill(host, shown);
  if (held) host.querySelector<HTMLElement>(`a[href="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}
