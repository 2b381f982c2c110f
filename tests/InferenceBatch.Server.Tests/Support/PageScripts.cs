namespace InferenceBatch.Server.Tests.Support;

/// <summary>Scripts that tests run in the page.</summary>
internal static class PageScripts
{
    /// <summary>Returns every text with too little contrast to its background.</summary>
    public const string Contrast = """
        (() => {
          const parts = colour => colour.match(/[\d.]+/g).map(Number);
          const luminance = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
          const behind = node => {
            for (; node; node = node.parentElement) {
              const colour = parts(getComputedStyle(node).backgroundColor);
              if (colour.length === 3 || colour[3] === 1) { return colour; }
            }
          };
          return [...document.querySelectorAll('body *')]
            .filter(node => [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()) && node.getClientRects().length && !node.closest('title, noscript'))
            .map(node => {
              const style = getComputedStyle(node);
              const [a, b] = [luminance(parts(node.namespaceURI.endsWith('svg') ? style.fill : style.color)), luminance(behind(node))];
              return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.outerHTML];
            })
            .filter(([contrast]) => contrast < 4.5).map(([contrast, text]) => `${contrast}: ${text}`);
        })()
        """;

    /// <summary>Returns the waits after refreshes that are busy, idle and failing, with timers that fire at once.</summary>
    public const string Waits = """
        (async () => {
          const { Poll } = await import('/page/poll.js');
          const timer = window.setTimeout;
          const run = (refresh, times) => new Promise(done => {
            const waits = [];
            const poll = new Poll(refresh, (error, wait) => {
              waits.push(wait);
              if (waits.length === times) { poll.stop(); done(waits); }
            });
            poll.now();
          });
          window.setTimeout = action => { queueMicrotask(action); };
          try {
            return [await run(async () => true, 2), await run(async () => false, 7), await run(async () => { throw new Error(); }, 7)];
          } finally {
            window.setTimeout = timer;
          }
        })()
        """;

    /// <summary>Returns what happens to a refresh when the page is hidden, and the number of refreshes before and after the page is visible again.</summary>
    public const string Hidden = """
        (async () => {
          const { Poll } = await import('/page/poll.js');
          const hide = isHidden => {
            Object.defineProperty(document, 'hidden', { value: isHidden, configurable: true });
            document.dispatchEvent(new Event('visibilitychange'));
          };
          let refreshes = 0;
          let seen;
          const first = new Promise(done => seen = done);
          const poll = new Poll(signal => new Promise((_, fail) => {
            refreshes++;
            signal.addEventListener('abort', () => { seen('aborted'); fail(signal.reason); });
          }), () => { });
          poll.now();
          hide(true);
          const outcome = await first;
          await poll.now();
          const whileHidden = refreshes;
          hide(false);
          delete document.hidden;
          poll.stop();
          return [outcome, whileHidden, refreshes];
        })()
        """;
}
