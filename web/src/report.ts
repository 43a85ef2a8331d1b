/// The report's script. The page says everything without it; the script draws the pictures, makes the tables sortable,
/// and marks the section being read.

import { Artifact } from './artifact';
import { drawPicture } from './draw';
import { pictures } from './pictures/index';
import { enhanceTable } from './table';
import { setUpTheme } from './theme';

function drawFigure(figure: HTMLElement, artifact: Artifact): void {
  const host = figure.querySelector<HTMLElement>('.picture');
  const picture = pictures.get(artifact.kind);
  if (host && picture && artifact.length > 0) drawPicture(host, artifact, picture, (drawn) => { figure.dataset.drawn = drawn; });
}

/// Marks the entry of the contents whose section is at the top of the window.
function followReading(nav: HTMLElement): void {
  const links = new Map<Element, HTMLAnchorElement>();
  nav.querySelectorAll<HTMLAnchorElement>('a[href^="#"]').forEach((link) => {
    const section = document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (section) links.set(section, link);
  });
  const sections = Array.from(links.keys());
  const update = (): void => {
    let at = sections[0];
    for (const section of sections) if (section.getBoundingClientRect().top < 140) at = section;
    if (window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 4 && window.scrollY > 0) at = sections[sections.length - 1];
    links.forEach((link, section) => {
      if (section === at) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    });
  };
  let waiting = false;
  window.addEventListener('scroll', () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      update();
    });
  }, { passive: true });
  update();
}

/// A drawing wider than its frame shows its middle, where the top goal stands.
function centreArgument(): void {
  const frame = document.querySelector<HTMLElement>('.argument-scroll');
  if (frame) frame.scrollLeft = (frame.scrollWidth - frame.clientWidth) / 2;
}

/// A link into a closed <details> opens it first, and so does the printer, which gets only the short tables.
function openTargets(): void {
  const open = (): void => {
    const target = document.getElementById(decodeURIComponent(window.location.hash.slice(1)));
    for (let element = target; element; element = element.parentElement) if (element instanceof HTMLDetailsElement) element.open = true;
    if (target) target.scrollIntoView();
  };
  window.addEventListener('hashchange', open);
  if (window.location.hash.length > 1) open();
}

function main(): void {
  const root = document.documentElement;
  root.classList.add('scripted');
  const theme = document.querySelector<HTMLButtonElement>('#theme');
  if (theme) setUpTheme(theme);
  const nav = document.querySelector<HTMLElement>('nav.contents');
  if (nav) followReading(nav);

  const work: (() => void)[] = [];
  document.querySelectorAll<HTMLTableElement>('table[data-sort]').forEach((table) => work.push(() => enhanceTable(table, null)));
  document.querySelectorAll<HTMLElement>('figure[data-artifact]').forEach((figure) => {
    const data = figure.querySelector('script[type="application/json"]');
    if (!data) return;
    work.push(() => {
      const artifact = Artifact.fromElement(data);
      drawFigure(figure, artifact);
      const table = figure.querySelector<HTMLTableElement>('table.artifact');
      const details = figure.querySelector('details');
      if (!table) return;
      if (!details || details.open) enhanceTable(table, artifact);
      else details.addEventListener('toggle', () => enhanceTable(table, artifact), { once: true });
    });
  });
  work.push(centreArgument, openTargets);

  // A few pictures at a time, so that the page answers while the others are drawn.
  const step = (): void => {
    const start = performance.now();
    while (work.length > 0 && performance.now() - start < 12) (work.shift() as () => void)();
    if (work.length > 0) requestAnimationFrame(step);
    else root.dataset.ready = 'yes';
  };
  step();
}

main();
