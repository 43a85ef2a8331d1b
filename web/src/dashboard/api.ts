/// Talks to the server: JSON in and out, the reader's token in the header, failures as words.

export type Query = Record<string, string | number | null | undefined>;

const kKey = 'plumbline-token';

/// A failure as the server told it, or as words of our own where it told none. `status` 0: no answer came.
export class ApiError extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly hint: string) {
    super(message);
    this.name = 'ApiError';
  }
}

export const unreachable = (): ApiError => new ApiError(0, 'unreachable', 'the server does not answer', 'Check that plumbline serve is still running, then try again.');

let fallback: string | null = null;

export function token(): string | null {
  try {
    return window.sessionStorage.getItem(kKey);
  } catch {
    return fallback;
  }
}

/// Keeps the token for this tab until it is closed; null forgets it.
export function setToken(value: string | null): void {
  fallback = value;
  try {
    if (value === null) window.sessionStorage.removeItem(kKey);
    else window.sessionStorage.setItem(kKey, value);
  } catch {
    // Without storage the token lives as long as the page.
  }
}

export function address(path: string, query: Query = {}): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== null && value !== undefined && value !== '') words.set(name, String(value));
  const tail = words.toString();
  return tail ? `${path}?${tail}` : path;
}

async function failure(response: Response): Promise<ApiError> {
  const words: Record<number, [string, string]> = {
    401: ['this page needs a token', 'Enter a token that the server was started with.'],
    403: ['this token may not do that', 'Use a token with the scope that the page needs.'],
    404: ['the server has nothing of that name', 'Go back to the list and choose from there.'],
    429: ['too many requests', 'Wait a moment and try again.'],
    503: ['the server is busy or stopping', 'Wait a moment and try again.'],
  };
  const [message, hint] = words[response.status] ?? [`the server answered with status ${response.status}`, 'Try again; if it stays so, look at what the server printed.'];
  try {
    const told = ((await response.json()) as { error?: { code?: unknown; message?: unknown; hint?: unknown } }).error ?? {};
    const text = (value: unknown, absent: string): string => (typeof value === 'string' && value !== '' ? value : absent);
    return new ApiError(response.status, text(told.code, `http_${response.status}`), text(told.message, message), text(told.hint, hint));
  } catch {
    return new ApiError(response.status, `http_${response.status}`, message, hint);
  }
}

async function send(path: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
  const kept = token();
  const headers = new Headers(init.headers);
  if (kept) headers.set('Authorization', `Bearer ${kept}`);
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers, signal, credentials: 'omit', cache: 'no-store', redirect: 'error', referrerPolicy: 'no-referrer' });
  } catch (error) {
    if (signal.aborted) throw error;
    throw unreachable();
  }
  if (!response.ok) throw await failure(response);
  return response;
}

/// Requests that end when `signal` does; a request that was given up rejects with an AbortError.
export class Api {
  constructor(private readonly signal: AbortSignal) {}

  async get<T>(path: string, query: Query = {}, signal: AbortSignal = this.signal): Promise<T> {
    return Api.json<T>(await send(address(path, query), {}, signal));
  }

  async post<T>(path: string, body: unknown, signal: AbortSignal = this.signal): Promise<T> {
    return Api.json<T>(await send(path, { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }, signal));
  }

  /// The body as it came: a drawing, a page to save.
  async text(path: string): Promise<string> {
    return (await send(path, {}, this.signal)).text();
  }

  private static async json<T>(response: Response): Promise<T> {
    try {
      return (await response.json()) as T;
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') throw error;
      throw new ApiError(response.status, 'not_json', 'the server answered with something that is not JSON', 'Check that this address is that of plumbline serve.');
    }
  }
}
