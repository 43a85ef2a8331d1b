/// The worlds, by family.

import { fill, h, path } from '../dom';
import { arrows } from '../keys';
import { search } from '../list';
import { definePage } from '../page';
import { empty } from '../states';
import { heading, plural } from '../words';

export interface World {
  id: string;
  title: string;
  family: string;
  story?: string;
  levels: string[];
  agents: string[];
  scripts: string[];
}

export default definePage<{ worlds: World[] }>({
  title: 'Worlds',
  load: ({ api }) => api.get('/api/worlds'),
  render: ({ worlds }, visit) => {
    const host = h('div', null);
    const draw = (): void => {
      const words = (visit.query.get('query') ?? '').toLowerCase();
      const shown = worlds.filter((one) => `${one.id} ${one.title} ${one.family}`.toLowerCase().includes(words));
      // A family of one is no group: those stand together at the end.
      const members = (family: string): World[] => shown.filter((one) => one.family === family);
      const families = Array.from(new Set(shown.map((one) => one.family)));
      const groups = families.filter((family) => members(family).length > 1).map((family): [string, World[]] => [family.replace(/_/g, ' '), members(family)]);
      const alone = families.filter((family) => members(family).length === 1).flatMap(members);
      if (alone.length > 0) groups.push(['on their own', alone]);
      fill(host, shown.length === 0 ? empty('No world matches.', 'Loosen the filter above.')
        : groups.map(([family, of]) => h('section', { 'aria-label': family }, h('h2', { class: 'family' }, family), h('ul', { class: 'worlds' }, of.map((one) =>
          h('li', null, h('a', { class: 'row', href: path('worlds', one.id) }, h('b', null, one.title || one.id), h('span', { class: 'mono' }, one.id), h('span', { class: 'muted' }, plural(one.levels.length, 'level')))))))));
    };
    draw();
    arrows(host, 'a.row');
    return h('div', null, heading('Worlds', 'Each has a reward that is paid and a truth that is wanted. Choose one to watch an agent in it.'),
      h('div', { class: 'controls' }, search('Find', 'Name or family', visit.query.get('query') ?? '', (value) => {
        visit.setQuery({ query: value });
        draw();
      })), host);
  },
});
