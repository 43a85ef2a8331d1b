import type { Artifact } from '../artifact';
import { formatNumber } from '../artifact';

/// An episode as frames of text, one after the other: a slider, a button that plays, arrow keys on the slider.
export function episode(host: HTMLElement, artifact: Artifact): void {
  const frames = artifact.texts('frame');
  const actions = artifact.texts('action');
  const rewards = artifact.numbers('reward');
  const truths = artifact.numbers('truth');
  const board = document.createElement('pre');
  board.className = 'episode-board';
  const words = document.createElement('p');
  words.className = 'episode-words';
  words.setAttribute('aria-live', 'polite');
  const controls = document.createElement('div');
  controls.className = 'episode-controls';
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'quiet';
  const slider = document.createElement('input');
  slider.type = 'range';
  slider.min = '0';
  slider.max = String(frames.length - 1);
  slider.value = '0';
  slider.setAttribute('aria-label', `Step of ${artifact.title}`);
  const earned = [0];
  const achieved = [0];
  for (let i = 1; i < frames.length; i += 1) {
    earned.push(earned[i - 1] + (Number.isFinite(rewards[i]) ? rewards[i] : 0));
    achieved.push(achieved[i - 1] + (Number.isFinite(truths[i]) ? truths[i] : 0));
  }
  let timer = 0;
  const show = (at: number): void => {
    board.textContent = frames[at];
    words.textContent = `step ${at}${actions[at] ? `: ${actions[at]}` : ''}; earned ${formatNumber(earned[at])}, achieved ${formatNumber(achieved[at])}`;
    slider.value = String(at);
  };
  const stop = (): void => {
    window.clearInterval(timer);
    timer = 0;
    button.textContent = 'Play';
  };
  button.addEventListener('click', () => {
    if (timer !== 0) {
      stop();
      return;
    }
    if (Number(slider.value) === frames.length - 1) show(0);
    button.textContent = 'Pause';
    timer = window.setInterval(() => {
      const next = Number(slider.value) + 1;
      if (next >= frames.length) stop();
      else show(next);
    }, 160);
  });
  slider.addEventListener('input', () => {
    if (timer !== 0) stop();
    show(Number(slider.value));
  });
  controls.append(button, slider);
  host.append(board, controls, words);
  stop();
  show(0);
}
