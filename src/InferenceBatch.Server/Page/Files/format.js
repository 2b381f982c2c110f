const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const brief = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
// The Swedish format of times is that of ISO 8601.
const moment = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });

export const number = value => whole.format(value);
export const compact = value => brief.format(value);
export const rate = perSecond => `${perSecond >= 100 ? whole.format(perSecond) : short.format(perSecond)}/s`;
export const time = unixSeconds => moment.format(unixSeconds * 1000);
export const isoTime = unixSeconds => new Date(unixSeconds * 1000).toISOString();

export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  return s < 60 ? `${s} s`
    : s < 3600 ? `${Math.floor(s / 60)} min${s < 600 && s % 60 ? ` ${s % 60} s` : ""}`
    : s < 86400 ? `${Math.floor(s / 3600)} h${s % 3600 >= 60 ? ` ${Math.floor(s % 3600 / 60)} min` : ""}`
    : `${Math.floor(s / 86400)} d${s % 86400 >= 3600 ? ` ${Math.floor(s % 86400 / 3600)} h` : ""}`;
}

export function milliseconds(value) {
  return value < 1000 ? `${short.format(value)} ms` : value < 60_000 ? `${short.format(value / 1000)} s` : `${short.format(value / 60_000)} min`;
}

export function bytes(count) {
  let unit = 0;
  while (count >= 1000 && unit < 4) {
    count /= 1000;
    unit++;
  }
  return `${short.format(count)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

const finished = new Set(["completed", "failed", "expired", "cancelled"]);

export const isFinished = batch => finished.has(batch.status);
export const endOf = batch => batch.completed_at ?? batch.failed_at ?? batch.expired_at ?? batch.cancelled_at;
export const doneOf = batch => batch.request_counts.completed + batch.request_counts.failed;

export function countsText({ total, completed, failed }) {
  return `${number(completed + failed)} of ${number(total)}${failed ? `, ${number(failed)} failed` : ""}`;
}

// The speed of a batch: over the samples of the last 30 seconds, or since its start until there are two samples.
export class Pace {
  #samples = [];

  add(batch, now) {
    this.#samples = this.#samples.filter(sample => sample.now > now - 30_000).concat({ now, done: doneOf(batch) });
  }

  rate(batch, now) {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    const sinceStart = now / 1000 - batch.in_progress_at;
    return isFinished(batch) ? doneOf(batch) / Math.max(1, endOf(batch) - (batch.in_progress_at ?? batch.created_at))
      : last && last.now - first.now >= 900 ? 1000 * (last.done - first.done) / (last.now - first.now)
      : batch.in_progress_at && sinceStart >= 1 ? doneOf(batch) / sinceStart
      : 0;
  }

  // The seconds until the last line is done; null if unknown.
  left(batch, now) {
    const perSecond = this.rate(batch, now);
    return batch.status === "in_progress" && perSecond > 0 ? (batch.request_counts.total - doneOf(batch)) / perSecond : null;
  }
}
