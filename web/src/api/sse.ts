// Server-sent events read from a fetch body, so that they can carry an Authorization header. The rules are WHATWG HTML's: CR, LF and CRLF end a line,
// data lines join with LF, a comment is skipped, an event without its closing blank line is dropped.
export interface SseEvent {
  event: string;
  data: string;
}

const EVENT_CHARS_MAX = 4 * 1024 * 1024;

/** Takes text as it comes, gives the events that are complete. */
export class SseParser {
  private buffer = '';
  private event = '';
  private data: string[] = [];

  push(chunk: string): SseEvent[] {
    const out: SseEvent[] = [];
    this.buffer += chunk;
    if (this.buffer.length > EVENT_CHARS_MAX) throw new Error('an event is too long');
    for (;;) {
      const end = this.buffer.search(/[\r\n]/);
      if (end < 0) break;
      const crlf = this.buffer[end] === '\r' && this.buffer[end + 1] === '\n';
      if (this.buffer[end] === '\r' && end + 1 === this.buffer.length) break; // its LF may still come
      this.line(this.buffer.slice(0, end), out);
      this.buffer = this.buffer.slice(end + (crlf ? 2 : 1));
    }
    return out;
  }

  private line(line: string, out: SseEvent[]): void {
    if (line === '') {
      if (this.data.length) out.push({ event: this.event || 'message', data: this.data.join('\n') });
      this.event = '';
      this.data = [];
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'event') this.event = value;
    else if (field === 'data') this.data.push(value);
  }
}

/** Each event of a response's body, in order. `alive` is called for every piece that arrives, comments included. Ends when the body ends. */
export async function* readEvents(body: ReadableStream<Uint8Array>, alive?: () => void): AsyncGenerator<SseEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new SseParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive?.();
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
