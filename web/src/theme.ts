/// Light, dark, or as the system says. The choice is kept where the browser lets a page opened from disk keep one.

const kKey = 'plumbline-theme';

function stored(): string | null {
  try {
    return window.localStorage.getItem(kKey);
  } catch {
    return null;
  }
}

export function setUpTheme(button: HTMLButtonElement): void {
  const root = document.documentElement;
  const system = window.matchMedia('(prefers-color-scheme: dark)');
  const isDark = (): boolean => (root.dataset.theme ? root.dataset.theme === 'dark' : system.matches);
  const label = (): void => {
    button.textContent = isDark() ? 'Light' : 'Dark';
    button.setAttribute('aria-label', isDark() ? 'Switch to light colours' : 'Switch to dark colours');
  };
  const kept = stored();
  if (kept === 'light' || kept === 'dark') root.dataset.theme = kept;
  label();
  button.hidden = false;
  button.addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    try {
      window.localStorage.setItem(kKey, root.dataset.theme);
    } catch {
      // The page then keeps the choice until it is closed.
    }
    label();
  });
  system.addEventListener('change', label);
}
