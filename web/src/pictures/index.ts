/// The picture of each kind of artifact (docs/developer/artifacts.md). A kind that is not here is shown as its table.

import type { Artifact } from '../artifact';
import { bars, histogram } from './bars';
import { episode } from './episode';
import { gallery } from './gallery';
import { confusion, fates, grid } from './grid';
import { curve, reliability, roc } from './lines';
import { network } from './network';
import { treemap } from './treemap';

export type Picture = (host: HTMLElement, artifact: Artifact, width: number) => void;

export const pictures: ReadonlyMap<string, Picture> = new Map<string, Picture>([
  ['reliability', reliability],
  ['roc', roc],
  ['grid', grid],
  ['fates', fates],
  ['episode', episode],
  ['treemap', treemap],
  ['network', network],
  ['gallery', gallery],
  ['histogram', histogram],
  ['curve', curve],
  ['bars', bars],
  ['confusion', confusion],
]);
