/// The style of the live pages, a file of its own that is loaded with the first of them.

let loading: Promise<void> | null = null;

export function liveStyle(): Promise<void> {
  loading ??= new Promise((done) => {
    const link = document.createElement('link');
    link.rel = 'stylesheet';
    link.href = document.querySelector<HTMLMetaElement>('meta[name="plumbline-live-style"]')?.content ?? '';
    // Without it the pages are plain and still work.
    link.addEventListener('load', () => done());
    link.addEventListener('error', () => done());
    document.head.append(link);
  });
  return loading;
}
