/// Times as watchers read them: of day, ago, and left.

export function ofDay(milliseconds: number): string {
  const at = new Date(milliseconds);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/// "12 s", "3 min 5 s", "2 h 5 min": whole seconds, never below zero.
export function span(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/// Time left as a person can use it: tenths where they matter.
export function left(seconds: number): string {
  if (seconds <= 0) return '0 s';
  return seconds < 9.95 ? `${(Math.ceil(seconds * 10) / 10).toFixed(1)} s` : span(Math.ceil(seconds));
}

/// A moment of this page's clock, which no change of the wall clock moves.
export const now = (): number => performance.now() / 1000;
