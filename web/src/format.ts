// Numbers, sizes and times as people read them, in the reader's own locale. Pure, but for the locale.
const NBSP = '\u00a0';
const cache = new Map<number, Intl.NumberFormat>();

export function number(n: number, digits = 0): string {
  let f = cache.get(digits);
  if (!f) cache.set(digits, (f = new Intl.NumberFormat(undefined, { maximumFractionDigits: digits, minimumFractionDigits: digits })));
  return f.format(n);
}

const three = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });

/** Powers of ten, as makers of models and disks count, at most three digits that matter: 1,680 GB, 98.4 MB. As the server and the command say it. */
export function bytes(n: number): string {
  if (n < 1000) return `${number(n)}${NBSP}B`;
  const units = ['kB', 'MB', 'GB'];
  let value = n / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${three.format(value)}${NBSP}${units[unit]}`;
}

/** 2,800 thousand million becomes "2.8 T"; 0.135 becomes "135 M". */
export function params(billions: number): string {
  if (billions >= 1000) return `${number(billions / 1000, billions % 1000 ? 1 : 0)}${NBSP}T`;
  if (billions >= 1) return `${number(billions, billions < 10 && billions % 1 ? 1 : 0)}${NBSP}B`;
  return `${number(billions * 1000)}${NBSP}M`;
}

/** 1,048,576 becomes "1M", 8192 "8K": binary, as contexts are counted. */
export function context(tokens: number): string {
  if (tokens >= 1 << 20) return `${number(tokens / (1 << 20), tokens % (1 << 20) ? 1 : 0)}M`;
  if (tokens >= 1024) return `${number(tokens / 1024)}K`;
  return number(tokens);
}

export function percent(p: number): string {
  return `${number(p, p % 1 ? 1 : 0)}\u202f%`;
}

/** An amount of money, with as many digits as it takes to say a small one: $28.90, €0.35, $0.0042. */
export function money(amount: number, currency = 'USD'): string {
  const digits = amount !== 0 && Math.abs(amount) < 0.1 ? 4 : 2;
  return new Intl.NumberFormat(undefined, { style: 'currency', currency, currencyDisplay: 'narrowSymbol', minimumFractionDigits: 2, maximumFractionDigits: digits }).format(amount);
}

/** How long something took: "40 ms", "1.3 s", "4 min 10 s". */
export function took(ms: number): string {
  if (ms < 1) return '<\u202f1 ms';
  if (ms < 995) return `${number(ms)}${NBSP}ms`;
  if (ms < 59_950) return `${number(ms / 1000, 1)}${NBSP}s`;
  const s = Math.round(ms / 1000);
  if (s < 3600) return `${number(Math.floor(s / 60))} min${s % 60 ? ` ${s % 60} s` : ''}`;
  return since(ms);
}

/** How long something has lasted, without false precision: "12 s", "5 min", "3 h 20 min", "2 days". */
export function since(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  const min = Math.floor(s / 60);
  if (min < 60) return `${min} min`;
  const h = Math.floor(min / 60);
  if (h < 48) return min % 60 ? `${h} h ${min % 60} min` : `${h} h`;
  return `${Math.floor(h / 24)} days`;
}

/** What remains, said no more exactly than it is known. */
export function left(ms: number): string {
  if (ms < 5_000) return 'a few seconds';
  if (ms < 55_000) return `about ${Math.ceil(ms / 5_000) * 5} s`;
  if (ms < 5_400_000) return `about ${Math.max(1, Math.round(ms / 60_000))} min`;
  return `about ${number(ms / 3_600_000, ms < 36_000_000 ? 1 : 0)} h`;
}

/** Watt-hours as people read them: "56 Wh", "7.07 kWh". */
export function energy(wh: number): string {
  return wh < 1000 ? `${three.format(wh)}${NBSP}Wh` : `${three.format(wh / 1000)}${NBSP}kWh`;
}

/** 24 hours in every locale: times stand in columns and are compared with the log. */
export function clock(ms: number): string {
  return new Date(ms).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
}

/** A number and its unit stay on one line, also in sentences that the server wrote. */
export function unbroken(sentence: string): string {
  return sentence.replace(/(\d) (?=(?:[kMGT]?B|ms|s|min|h|%)(?![\p{L}\d]))/gu, `$1${NBSP}`);
}

/** A catalogue date, which may be a year and month only, or an interval in words. */
export function day(iso: string): string {
  const full = /^(\d{4})-(\d{2})-(\d{2})$/.exec(iso);
  if (full) return new Date(`${iso}T00:00:00`).toLocaleDateString(undefined, { year: 'numeric', month: 'short', day: 'numeric' });
  if (/^\d{4}-\d{2}$/.test(iso)) return new Date(`${iso}-01T00:00:00`).toLocaleDateString(undefined, { year: 'numeric', month: 'short' });
  return iso;
}
