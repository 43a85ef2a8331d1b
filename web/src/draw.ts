/// Draws a picture at the width its place has now, and again when that width changes.

import type { Artifact } from './artifact';
import type { Picture } from './pictures/index';

/// `outcome` hears "yes", or "failed" with words in the picture's place.
export function drawPicture(host: HTMLElement, artifact: Artifact, picture: Picture, outcome: (drawn: 'yes' | 'failed') => void): void {
  let width = 0;
  const draw = (): void => {
    const room = Math.floor(host.clientWidth);
    if (room < 40 || Math.abs(room - width) < 2) return;
    width = room;
    host.replaceChildren();
    try {
      picture(host, artifact, room);
      outcome('yes');
    } catch (error) {
      host.replaceChildren();
      outcome('failed');
      const words = document.createElement('p');
      words.className = 'picture-note';
      words.textContent = 'This picture could not be drawn; its table is below.';
      host.append(words);
      console.error(artifact.id, error);
    }
  };
  draw();
  new ResizeObserver(draw).observe(host);
}
