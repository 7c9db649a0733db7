// Requests to our own server: the key, deadlines, and errors as objects that say what, why and what to do.
import { text } from '../text.ts';
import { key, endSession } from './session.ts';

export class ApiError extends Error {
  constructor(
    readonly status: number, // 0: no answer at all
    message: string,
    readonly hint = '',
  ) {
    super(message);
  }
  get away(): boolean {
    return this.status === 0;
  }
}

export interface Options {
  method?: string;
  body?: unknown;
  signal?: AbortSignal;
  timeoutMs?: number; // until the headers have come
}

/** The response, once its status is known to be good. Throws ApiError; an abort by the caller's own signal is thrown as it is. */
export async function request(path: string, options: Options = {}): Promise<Response> {
  const headers = new Headers({ Accept: 'application/json' });
  if (key()) headers.set('Authorization', `Bearer ${key()}`);
  if (options.body !== undefined) headers.set('Content-Type', 'application/json');
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), options.timeoutMs ?? 15_000);
  const chain = () => deadline.abort();
  options.signal?.addEventListener('abort', chain);
  let response: Response;
  try {
    response = await fetch(path, {
      method: options.method ?? 'GET', headers, signal: deadline.signal, cache: 'no-store', credentials: 'omit', redirect: 'error',
      body: options.body === undefined ? null : JSON.stringify(options.body),
    });
  } catch (e) {
    if (options.signal?.aborted) throw e;
    throw new ApiError(0, deadline.signal.aborted ? text.errors.slow : text.errors.away, text.errors.awayHint);
  } finally {
    clearTimeout(timer);
  }
  if (response.ok) return response;
  if (response.status === 401 && key()) endSession();
  throw await problem(response);
}

export async function json<T>(path: string, options: Options = {}): Promise<T> {
  const response = await request(path, options);
  try {
    return (await response.json()) as T;
  } catch {
    throw new ApiError(response.status, text.errors.unreadable, text.errors.unreadableHint);
  }
}

/** RFC 9457 problem details of the control plane, or the OpenAI shape of /v1. */
async function problem(response: Response): Promise<ApiError> {
  let said: Record<string, unknown> = {};
  try {
    said = (await response.json()) as Record<string, unknown>;
  } catch {
    // a proxy's page, or nothing: the status has to do
  }
  const inner = (said.error ?? said) as Record<string, unknown>;
  const pick = (...names: string[]) => names.map((n) => inner[n]).find((v): v is string => typeof v === 'string' && v !== '');
  return new ApiError(response.status, pick('detail', 'message', 'title') ?? text.errors.status(response.status), pick('hint') ?? '');
}
