/// Every page of the dashboard: its address, its place in the navigation, its file.

import type { Route } from './page';
import overview from './pages/overview';
import runs from './pages/runs';

const ready = <T>(page: T): (() => Promise<{ default: T }>) => () => Promise.resolve({ default: page });

export const routes: readonly Route[] = [
  { path: '/', nav: { label: 'Overview', key: 'o', group: 'Evidence' }, module: ready(overview) },
  { path: '/runs', nav: { label: 'Runs', key: 'r', group: 'Evidence' }, module: ready(runs) },
  { path: '/runs/:run', module: () => import('./pages/run') },
  { path: '/trends', nav: { label: 'Trends', key: 't', group: 'Evidence' }, module: () => import('./pages/trends') },
  { path: '/compare', nav: { label: 'Compare', key: 'c', group: 'Evidence' }, module: () => import('./pages/compare') },
  { path: '/compare/:first/:second', module: () => import('./pages/compare') },
  { path: '/findings', nav: { label: 'Findings', key: 'f', group: 'Evidence' }, module: () => import('./pages/findings') },
  { path: '/gauntlet', nav: { label: 'Gauntlet', key: 'g', group: 'Worlds' }, module: () => import('./pages/gauntlet') },
  { path: '/worlds', nav: { label: 'Worlds', key: 'w', group: 'Worlds' }, module: () => import('./pages/worlds') },
  { path: '/worlds/:world', module: () => import('./pages/world') },
  { path: '/guard', nav: { label: 'Live guard', key: 'l', group: 'Live' }, when: (overview) => overview.guard !== null, module: () => import('./pages/guard') },
  { path: '/answer', nav: { label: 'Answer', key: 'a', group: 'Live' }, when: (overview) => overview.guard !== null, module: () => import('./pages/answer') },
];
