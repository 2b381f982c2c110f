const busyWait = 1000;
const idleWait = 3000;
const maxIdleWait = 10_000;
const maxRetryWait = 30_000;

// Refreshes a view repeatedly: every second while a batch runs, less and less often while none does or the service is
// unavailable, and not at all while the page is hidden.
export class Poll {
  #refresh;
  #onRefreshed;
  #timer;
  #abort;
  #wait = 0;
  #isStopped = false;
  #onVisibility = () => document.hidden ? this.#pause() : this.now();

  // refresh(signal) returns whether a batch runs. onRefreshed(error, wait) is called after each refresh, with null for success.
  constructor(refresh, onRefreshed) {
    this.#refresh = refresh;
    this.#onRefreshed = onRefreshed;
    document.addEventListener("visibilitychange", this.#onVisibility);
  }

  // Refreshes at once.
  async now() {
    this.#pause();
    if (this.#isStopped || document.hidden) {
      return;
    }
    const abort = this.#abort = new AbortController();
    let error = null;
    try {
      const isBusy = await this.#refresh(abort.signal);
      this.#wait = isBusy ? busyWait : Math.min(maxIdleWait, Math.max(idleWait, this.#wait * 1.5));
    } catch (caught) {
      error = caught;
      this.#wait = Math.min(maxRetryWait, Math.max(busyWait, this.#wait * 2));
    }
    if (!abort.signal.aborted) {
      this.#timer = setTimeout(() => this.now(), this.#wait);
      this.#onRefreshed(error, this.#wait);
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
