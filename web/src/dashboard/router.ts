/// Addresses behind the "#": which page they name, what a visit of it is given, and what happens to the old one.

import { Api, ApiError, unreachable } from './api';
import { h } from './dom';
import type { Keys } from './keys';
import type { Page, Route, Visit } from './page';
import { failure, loading } from './states';
import { heading } from './words';

interface Place {
  route: Route;
  path: string;
  params: Record<string, string>;
  query: URLSearchParams;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/// The route that `hash` names, with the named parts of its path; null where there is none.
function match(routes: readonly Route[], hash: string): Place | null {
  const [path, tail = ''] = hash.replace(/^#/, '').split(/\?(.*)/s);
  const parts = path.split('/').filter((part) => part !== '');
  for (const route of routes) {
    const names = route.path.split('/').filter((part) => part !== '');
    if (names.length !== parts.length) continue;
    const params: Record<string, string> = {};
    if (names.every((name, at) => (name.startsWith(':') ? ((params[name.slice(1)] = decoded(parts[at])), true) : name === parts[at]))) {
      return { route, path: `/${parts.join('/')}`, params, query: new URLSearchParams(tail) };
    }
  }
  return null;
}

/// The query without what only says where on the page to look.
function shown(query: URLSearchParams): string {
  const copy = new URLSearchParams(query);
  copy.delete('at');
  return copy.toString();
}

/// A page's file may be asked for when the server is gone: that is the server's silence, not the page's fault.
async function fetched(route: Route): Promise<Page> {
  try {
    return (await route.module()).default;
  } catch {
    throw unreachable();
  }
}

export class Router {
  private controller = new AbortController();
  private current: Place | null = null;
  private first = true;
  private entry = 0;
  private readonly scrolled = new Map<number, number>();

  constructor(private readonly routes: readonly Route[], private readonly main: HTMLElement, private readonly keys: Keys,
              private readonly moved: (path: string | null) => void, private readonly progress: HTMLElement, private readonly said: HTMLElement) {
    window.history.scrollRestoration = 'manual';
    window.addEventListener('hashchange', () => this.follow());
  }

  start(): void {
    if (!window.location.hash.startsWith('#/')) window.history.replaceState(null, '', '#/');
    this.follow();
  }

  reload(): void {
    if (this.current) void this.show(this.current, false);
  }

  private follow(): void {
    const hash = window.location.hash;
    if (hash !== '' && !hash.startsWith('#/')) return;  // a place on this page
    this.scrolled.set(this.entry, window.scrollY);
    const known = (window.history.state as { entry?: unknown } | null)?.entry;
    const back = typeof known === 'number' && this.scrolled.has(known);
    if (typeof known === 'number') this.entry = known;
    else this.claim();
    const place = match(this.routes, hash || '#/');
    if (place && this.current && place.path === this.current.path && shown(place.query) === shown(this.current.query) && this.main.dataset.state === 'ready') {
      // The visit goes on, and with it the query that it may change.
      const at = place.query.get('at');
      if (at === null) this.current.query.delete('at');
      else this.current.query.set('at', at);
      this.lookAt(at);
      return;
    }
    if (place) {
      void this.show(place, true, back ? (this.scrolled.get(this.entry) ?? 0) : 0);
    } else {
      this.controller.abort();
      this.current = null;
      this.keys.leavePage();
      this.moved(null);
      document.title = 'No such page · Plumbline';
      this.main.dataset.state = 'failed';
      this.main.removeAttribute('aria-busy');
      this.progress.hidden = true;
      this.main.replaceChildren(heading('No such page'), failure(new ApiError(0, 'no_page', 'there is no page at this address', 'Choose one from the list of pages.'), null));
    }
  }

  /// Gives the entry of the history that is shown now a number of its own, by which its scroll position is found again.
  private claim(): void {
    this.entry = Math.max(this.entry, ...this.scrolled.keys()) + 1;
    window.history.replaceState({ entry: this.entry }, '');
  }

  private lookAt(id: string | null): void {
    const target = id ? document.getElementById(id) : null;
    if (!target) {
      window.scrollTo({ top: 0, behavior: 'instant' });
      return;
    }
    for (let element: HTMLElement | null = target; element; element = element.parentElement) if (element instanceof HTMLDetailsElement) element.open = true;
    target.scrollIntoView();
    const focus = target.matches('a, button, input, [tabindex]') ? target : target.querySelector<HTMLElement>('h1, h2, h3, h4');
    if (focus && !focus.matches('a, button, input, [tabindex]')) focus.tabIndex = -1;
    focus?.focus({ preventScroll: true });
  }

  private async show(place: Place, arrive: boolean, scroll = 0): Promise<void> {
    this.controller.abort();
    const controller = new AbortController();
    const { signal } = controller;
    this.controller = controller;
    this.current = place;
    this.keys.leavePage();
    this.moved(place.path);
    this.main.setAttribute('aria-busy', 'true');
    this.main.dataset.state = 'loading';
    this.progress.hidden = false;
    // What stands there stays for a moment, so that a fast answer does not flicker.
    const wait = window.setTimeout(() => this.main.replaceChildren(loading('Loading…')), this.main.childElementCount > 0 && !this.first ? 300 : 0);
    const visit = this.visit(place, controller);
    let state = 'ready';
    let title = 'This page';
    let body: Node;
    try {
      const page = await fetched(place.route);
      if (typeof page.title === 'string') title = page.title;
      const data = await page.load(visit);
      if (signal.aborted) return;
      body = await page.render(data, visit);
      if (typeof page.title !== 'string') title = page.title(data, visit);
    } catch (error) {
      if (signal.aborted) return;
      console.error(error);
      state = 'failed';
      body = h('div', null, heading(title), failure(error, () => this.reload()));
    } finally {
      window.clearTimeout(wait);
    }
    if (signal.aborted) return;
    this.main.replaceChildren(body);
    this.main.removeAttribute('aria-busy');
    this.main.dataset.state = state;
    this.progress.hidden = true;
    document.title = `${title.replace(/\s+/g, ' ').slice(0, 120)} · Plumbline`;
    const at = place.query.get('at');
    if (arrive && at && scroll === 0) {
      this.lookAt(at);
    } else if (arrive) {
      window.scrollTo({ top: scroll, behavior: 'instant' });
      // On the first page the focus stays where the browser put it, so that the skip link comes first.
      if (!this.first) (this.main.querySelector<HTMLElement>('h1') ?? this.main).focus({ preventScroll: true });
    }
    if (this.first) window.performance.mark('plumbline-ready');
    this.first = false;
    document.documentElement.dataset.ready = 'yes';
  }

  private visit(place: Place, controller: AbortController): Visit {
    const { signal } = controller;
    return {
      params: place.params, query: place.query, signal, api: new Api(signal),
      setQuery: (changes, how = 'replace') => {
        if (signal.aborted) return;
        for (const [name, value] of Object.entries(changes)) {
          if (value === null || value === '') place.query.delete(name);
          else place.query.set(name, String(value));
        }
        const tail = place.query.toString();
        const address = `#${place.path}${tail ? `?${tail}` : ''}`;
        if (address === window.location.hash) return;
        if (how === 'push') {
          this.scrolled.set(this.entry, window.scrollY);
          window.history.pushState(null, '', address);
          this.claim();
        } else {
          window.history.replaceState(window.history.state, '', address);
        }
      },
      reload: () => { if (!signal.aborted) this.reload(); },
      go: (address) => { window.location.hash = address; },
      every: (seconds, work) => {
        let busy = false;
        const timer = window.setInterval(async () => {
          if (busy || document.hidden || signal.aborted) return;
          busy = true;
          try {
            await work();
          } catch (error) {
            if (!signal.aborted) console.error(error);
          } finally {
            busy = false;
          }
        }, seconds * 1000);
        signal.addEventListener('abort', () => window.clearInterval(timer));
      },
      shortcut: (key, words, action) => { if (!signal.aborted) this.keys.addForPage(key, words, action); },
      announce: (words) => { this.said.textContent = words; },
    };
  }
}
