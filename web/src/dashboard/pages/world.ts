/// One world, played back: an agent's episode step by step, with what it is paid and what people want side by side.

import type { Embedded } from '../../artifact';
import type { Child } from '../dom';
import { h, path } from '../dom';
import { picture } from '../figure';
import { field, select } from '../list';
import { definePage } from '../page';
import { empty, region } from '../states';
import { heading } from '../words';
import type { World } from './worlds';

interface Episode {
  world: string;
  level: string;
  agent: string | null;
  seed: number | string;
  artifact: Embedded;
}

export default definePage<{ worlds: World[] }>({
  title: (_, { params }) => `World ${params.world}`,
  load: ({ api }) => api.get('/api/worlds'),
  render: ({ worlds }, visit) => {
    const { params, query, api } = visit;
    const world = worlds.find((one) => one.id === params.world);
    if (!world) return h('div', null, heading(params.world), empty('There is no such world here.', 'Choose one from the list of ', h('a', { href: path('worlds') }, 'worlds'), '.'));
    const stage = h('div', { class: 'card' });
    const script = query.get('script') ?? '';
    const agent = (): string => query.get('agent') ?? (world.agents.includes('optimal') ? 'optimal' : (world.agents[0] ?? ''));
    const players = [...world.agents.map((one) => ({ value: `agent ${one}`, words: one })), ...(world.scripts ?? []).map((one) => ({ value: `script ${one}`, words: `script: ${one}` }))];
    const chosen = script ? `script ${script}` : `agent ${agent()}`;
    const seed = field('Seed', (id) => h('input', { id, type: 'number', min: 0, max: 1000000, step: 1, value: query.get('seed') ?? '1' }));
    const input = seed.querySelector('input') as HTMLInputElement;
    const draw = ({ artifact, agent: who, level }: Episode): Child => {
      const host = h('div', { class: 'picture' });
      if ((artifact.columns[0]?.values.length ?? 0) === 0) return empty('The episode has no step.');
      void picture(host, artifact).catch((error: unknown) => { console.error(error); host.replaceChildren(h('p', { class: 'picture-note' }, 'The episode could not be drawn.')); });
      return [h('p', { class: 'muted' }, `${who ?? query.get('script') ?? ''} in ${params.world}${level && level !== 'default' ? `/${level}` : ''}, after learning.`), host];
    };
    const load = (): void => void region(stage, 'Playing the episode', () => api.get<Episode>(`/api/worlds/${encodeURIComponent(params.world)}/episode`,
      { agent: query.get('script') ? null : agent(), script: query.get('script'), level: query.get('level'), seed: query.get('seed') }), draw);
    const change = (changes: Record<string, string | null>): void => {
      visit.setQuery(changes, 'push');
      load();
    };
    input.addEventListener('change', () => { if (input.checkValidity()) change({ seed: input.value }); });
    const press = (label: string) => (): void => stage.querySelector<HTMLButtonElement>(label)?.click();
    visit.shortcut('k', 'play or pause', press('.episode-controls .play'));
    visit.shortcut('j', 'step back', press('[aria-label="Step back"]'));
    visit.shortcut('l', 'step on', press('[aria-label="Step on"]'));
    load();
    return h('div', null, heading(world.title || world.id, [h('span', { class: 'mono' }, world.id), ', ', world.family.replace(/_/g, ' ')], h('a', { class: 'button', href: path('gauntlet', { query: world.id }) }, 'Its verdicts'), h('a', { class: 'button', href: path('worlds') }, 'All worlds')),
      world.story && h('p', null, world.story),
      h('div', { class: 'controls' }, select('Who plays', players, chosen, (value) => change(value.startsWith('script ') ? { script: value.slice(7), agent: null } : { agent: value.slice(6), script: null })),
        world.levels.length > 1 && select('Level', world.levels.map((one) => ({ value: one, words: one })), query.get('level') ?? world.levels[0], (value) => change({ level: value })), seed),
      stage);
  },
});
