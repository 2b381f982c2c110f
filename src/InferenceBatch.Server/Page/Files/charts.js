import { element, renderer, setText, svg } from "./dom.js";
import { compact, number } from "./format.js";

const width = 360;
const plotWidth = 340;
const height = 150;
const floor = 128;
const fewestBars = 6;
const mostLabels = 6;

// A histogram with a summary above it and its numbers in a table below it.
export function histogramFigure(title, format, emptyText) {
  const summary = element("p", { class: "small quiet" });
  const chart = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  const rows = element("tbody");
  const numbers = element("details", {},
    element("summary", {}, "As a table"),
    element("table", {},
      element("caption", { class: "unseen" }, title),
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Up to"), element("th", { scope: "col", class: "number" }, "Lines"))),
      rows));
  const figure = element("figure", { class: "card" }, element("figcaption", {}, element("h2", {}, title), summary), chart, numbers);
  const draw = renderer(chart, bars => drawBars(bars, format));
  const list = renderer(rows, bars => bars.map(({ from, to, count }) => element("tr", {},
    element("th", { scope: "row" }, to === null ? `above ${format(from)}` : format(to)), element("td", { class: "number" }, number(count)))));

  return {
    node: figure,
    update(histogram) {
      const bars = visible(histogram.buckets);
      const isEmpty = histogram.count === 0;
      chart.toggleAttribute("hidden", isEmpty);
      numbers.hidden = isEmpty;
      setText(summary, isEmpty ? emptyText : describe(histogram, format));
      chart.setAttribute("aria-label", `${title}: ${summary.textContent}`);
      draw(isEmpty ? [] : bars);
      list(bars.filter(bar => bar.count > 0));
    },
  };
}

function describe(histogram, format) {
  return `Median about ${format(quantile(histogram, 0.5))}, 95 % within ${format(quantile(histogram, 0.95))}, `
    + `largest ${format(histogram.max)}, mean ${format(histogram.sum / histogram.count)}, of ${number(histogram.count)} lines.`;
}

// Assumes that the values within a bucket are evenly distributed.
function quantile({ buckets, count, max }, share) {
  let rest = share * count;
  let from = 0;
  for (const { le, count: inside } of buckets) {
    const to = Math.min(le ?? max, max);
    if (inside >= rest && inside > 0) {
      return Math.min(max, Math.ceil(from + (to - from) * rest / inside));
    }
    rest -= inside;
    from = to;
  }
  return max;
}

// The buckets from the first to the last that is not empty, and enough around them for a readable axis.
function visible(buckets) {
  const bars = buckets.map(({ le, count }, i) => ({ from: i ? buckets[i - 1].le : 0, to: le, count }));
  let first = Math.max(0, bars.findIndex(bar => bar.count > 0));
  let last = Math.max(first, bars.findLastIndex(bar => bar.count > 0));
  while (last - first + 1 < fewestBars) {
    first = Math.max(0, first - 1);
    last = Math.min(bars.length - 1, last + 1);
  }
  return bars.slice(first, last + 1);
}

function drawBars(bars, format) {
  const most = Math.max(1, ...bars.map(bar => bar.count));
  const step = plotWidth / Math.max(1, bars.length);
  const every = Math.ceil(bars.length / mostLabels);
  const nodes = [svg("line", { class: "axis", x1: 0, x2: plotWidth, y1: floor + 0.5, y2: floor + 0.5 })];
  bars.forEach(({ from, to, count }, i) => {
    const tall = count ? Math.max(2, (floor - 16) * count / most) : 0;
    const range = to === null ? `above ${format(from)}` : `${format(from)} to ${format(to)}`;
    nodes.push(svg("rect", { class: "good", x: i * step + 1, y: floor - tall, width: Math.max(1, step - 2), height: tall, rx: 1.5 },
      svg("title", {}, `${range}: ${number(count)}`)));
    if (count === most) {
      nodes.push(svg("text", { x: i * step + step / 2, y: floor - tall - 4, "text-anchor": "middle" }, compact(count)));
    }
    if (to !== null && (i + 1) % every === 0) {
      const x = (i + 1) * step;
      nodes.push(
        svg("line", { class: "axis", x1: x, x2: x, y1: floor, y2: floor + 4 }),
        svg("text", { x, y: height - 5, "text-anchor": "middle" }, format(to)));
    }
  });
  return nodes;
}

// A bar whose length is its share of the longest bar.
export function shareBar(share) {
  return svg("svg", { class: "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "bad", width: Math.max(0.5, 100 * share), height: 8 }));
}
