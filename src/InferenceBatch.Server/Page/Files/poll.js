const busyWait = 1000;
const idleWait = 3000;
const longestIdleWait = 10_000;
const longestAwayWait = 30_000;

// Looks again and again: each second while something runs, more and more seldom while nothing does or the service is away,
// and not at all while nobody sees the page.
export class Poll {
  #look;
  #ended;
  #timer;
  #abort;
  #wait = 0;
  #isStopped = false;
  #onVisibility = () => document.hidden ? this.#pause() : this.now();

  // look(signal) gives whether something runs; ended(error) is told after each look, with null where it went well.
  constructor(look, ended) {
    this.#look = look;
    this.#ended = ended;
    document.addEventListener("visibilitychange", this.#onVisibility);
  }

  // Looks at once.
  async now() {
    this.#pause();
    if (this.#isStopped || document.hidden) {
      return;
    }
    const abort = this.#abort = new AbortController();
    let error = null;
    try {
      const isBusy = await this.#look(abort.signal);
      this.#wait = isBusy ? busyWait : Math.min(longestIdleWait, Math.max(idleWait, this.#wait * 1.5));
    } catch (caught) {
      error = caught;
      this.#wait = Math.min(longestAwayWait, Math.max(busyWait, this.#wait * 2));
    }
    if (!abort.signal.aborted) {
      this.#timer = setTimeout(() => this.now(), this.#wait);
      this.#ended(error, this.#wait);
    }
  }

  stop() {
    this.#isStopped = true;
    this.#pause();
    document.removeEventListener("visibilitychange", this.#onVisibility);
  }

  #pause() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
  }
}
