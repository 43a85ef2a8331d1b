/// The dashboard's frame: top bar, navigation, keys, and the router that fills the rest.

import { setUpTheme } from '../theme';
import { Api, setToken, token } from './api';
import { fill, h, path } from './dom';
import { Keys } from './keys';
import type { Overview, Route } from './page';
import { Router } from './router';
import { routes } from './routes';
import { plural } from './words';

function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/// The pages by group; what needs something that this server lacks is left out.
function drawNavigation(nav: HTMLElement, overview: Overview | null): void {
  const groups = new Map<string, Route[]>();
  for (const route of routes) {
    if (!route.nav || (route.when && !(overview && route.when(overview)))) continue;
    groups.set(route.nav.group, [...(groups.get(route.nav.group) ?? []), route]);
  }
  fill(nav, Array.from(groups, ([group, members]) => [h('p', { class: 'nav-title' }, group),
    h('ul', null, members.map((route) => h('li', null, h('a', { href: `#${route.path}`, 'data-section': route.path.split('/')[1] }, route.nav?.label))))]));
}

function main(): void {
  setUpTheme(element<HTMLButtonElement>('theme'));
  const keys = new Keys();
  const nav = element('nav');
  const place = element('main');
  const of = element('of');
  const signOut = element<HTMLButtonElement>('sign-out');
  let section = '';
  const mark = (): void => nav.querySelectorAll<HTMLAnchorElement>('a').forEach((link) => {
    if (link.dataset.section !== section) {
      link.removeAttribute('aria-current');
      return;
    }
    link.setAttribute('aria-current', 'page');
    // On a narrow screen the pages are a strip that scrolls sideways.
    if (nav.scrollWidth > nav.clientWidth) nav.scrollLeft = link.offsetLeft - (nav.clientWidth - link.offsetWidth) / 2;
  });
  // Which pages there are depends on what the server stands before; the first page does not wait for it, and where it was not
  // told (no token yet, no answer) it is asked again with the next page.
  let told = false;
  let asking = false;
  const ask = async (): Promise<void> => {
    if (told || asking) return;
    asking = true;
    try {
      const overview = await new Api(new AbortController().signal).get<Overview>('/api/overview');
      const runs = overview.stores.reduce((sum, store) => sum + store.runs, 0);
      of.textContent = `${plural(overview.stores.length, 'store')}, ${plural(runs, 'run')}`;
      of.title = `Plumbline ${overview.version}`;
      drawNavigation(nav, overview);
      mark();
      told = true;
    } catch {
      // The page itself says what failed.
    }
    asking = false;
  };
  const moved = (at: string | null): void => {
    section = at === null ? 'nowhere' : (at.split('/')[1] ?? '');
    signOut.hidden = token() === null;
    mark();
    void ask();
  };
  const router = new Router(routes, place, keys, moved, element('progress'), element('said'));

  drawNavigation(nav, null);
  for (const route of routes) if (route.nav?.key) keys.add(`g ${route.nav.key}`, `go to ${route.nav.label}`, () => { window.location.hash = `#${route.path}`; });
  keys.add('/', 'filter the list', () => {
    const filter = place.querySelector<HTMLInputElement>('input[type="search"]');
    filter?.focus();
    filter?.select();
  });
  element('help').addEventListener('click', () => keys.help());
  element('skip').addEventListener('click', (event) => {
    event.preventDefault();
    place.focus();
  });
  signOut.addEventListener('click', () => {
    setToken(null);
    window.location.hash = path();
    window.location.reload();
  });
  router.start();
}

main();
