import { get, isWaiting, now } from "./api.js";
import { announce, badge, element, progressBar, renderer, setText } from "./dom.js";
import { Pace, countsText, endOf, isFinished, number, rate, span, time } from "./format.js";

const pageSize = 20;
const maxPageSize = 100;

// The list of batches. Calls more() when the user wants to see further ones.
export function listView(more) {
  const rows = new Map();
  const body = element("tbody", { role: "rowgroup" });
  const heads = ["Batch", "Status", "Progress", "Speed", "Errors", "Age"].map(name => element("th", { scope: "col", role: "columnheader" }, name));
  const table = element("div", { class: "card list" },
    element("table", { role: "table" },
      element("caption", { class: "unseen" }, "Batches, newest first"),
      element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads)),
      body));
  const none = element("div", { class: "note" },
    element("p", {}, "No batches yet."),
    element("p", { class: "quiet" }, "Create a batch with ", element("code", {}, "New-Batch"),
      " in PowerShell, or with ", element("code", {}, "POST /v1/batches"), " from any client."));
  const moreButton = element("button", { type: "button", class: "more" }, "Show more");
  const root = element("div", {}, element("h1", { tabindex: "-1" }, "Batches"), table, none, moreButton);
  let shownCount = pageSize;
  moreButton.addEventListener("click", () => {
    shownCount += pageSize;
    more();
  });

  async function refresh(signal) {
    const { batches, hasMore } = await read(shownCount, signal);
    const current = batches.map(batch => {
      const row = rows.get(batch.id) ?? createRow(batch);
      rows.set(batch.id, row);
      row.update(batch);
      return row;
    });
    place(body, current.map(row => row.node));
    table.hidden = batches.length === 0;
    none.hidden = batches.length > 0;
    moreButton.hidden = !hasMore;
    await Promise.all(current.map(row => row.readErrors(signal)));
    return batches.some(batch => !isFinished(batch));
  }

  return { title: "Batches – InferenceBatch", root, refresh };
}

async function read(count, signal) {
  const batches = [];
  let hasMore = true;
  while (hasMore && batches.length < count) {
    const after = batches.length ? `&after=${encodeURIComponent(batches.at(-1).id)}` : "";
    const page = await get(`/v1/batches?limit=${Math.min(maxPageSize, count - batches.length)}${after}`, signal);
    batches.push(...page.data);
    hasMore = page.has_more;
  }
  return { batches, hasMore };
}

// Moves only nodes that are in the wrong place, because a moved node loses the focus.
function place(parent, nodes) {
  nodes.forEach((node, i) => {
    if (parent.children[i] !== node) {
      parent.insertBefore(node, parent.children[i] ?? null);
    }
  });
  while (parent.children.length > nodes.length) {
    parent.lastChild.remove();
  }
}

function createRow(batch) {
  const pace = new Pace();
  const bar = progressBar();
  const counts = element("span", { class: "small" });
  const speed = element("span");
  const left = element("span", { class: "small quiet" });
  const age = element("time", { datetime: new Date(batch.created_at * 1000).toISOString(), title: time(batch.created_at) });
  const cell = (name, ...children) => element("td", { class: name, role: "cell" }, ...children);
  const [statusCell, errorsCell] = [cell("status"), cell("errors")];
  const about = element("span", { class: "small quiet" });
  const node = element("tr", { role: "row" },
    element("th", { scope: "row", role: "rowheader" }, element("a", { class: "id", href: `#/batches/${batch.id}` }, batch.id), about),
    statusCell, cell("progress", bar.node, counts), cell("pace", speed, left), errorsCell, cell("age", age));
  const showStatus = renderer(statusCell, status => [badge(status)]);
  const showErrors = renderer(errorsCell, renderErrors);
  let last = batch;
  let failedRead = 0;

  return {
    node,
    update(next) {
      pace.add(next, now());
      if (next.status !== last.status) {
        announce(`${next.id} is ${next.status.replace("_", " ")}: ${countsText(next.request_counts)}`);
      }
      last = next;
      showStatus(next.status);
      setText(about, [next.endpoint, next.model].filter(text => text).join(" · "));
      const text = next.request_counts.total > 0 ? countsText(next.request_counts) : "";
      bar.update(next.request_counts, text);
      bar.node.toggleAttribute("hidden", next.request_counts.total === 0);
      setText(counts, text);
      const perSecond = pace.rate(next, now());
      setText(speed, next.in_progress_at && perSecond > 0 ? rate(perSecond) : "");
      const rest = pace.left(next, now());
      setText(left, isFinished(next) ? `took ${span(endOf(next) - next.created_at)}`
        : isWaiting() && next.status === "in_progress" ? "waiting"
        : rest === null ? "" : `${span(rest)} left`);
      setText(age, span(now() / 1000 - next.created_at));
      if (next.errors) {
        showErrors({ list: next.errors.data.slice(0, 1), count: next.errors.data.length });
      }
    },
    async readErrors(signal) {
      if (!last.errors && last.request_counts.failed !== failedRead) {
        const { failed } = last.request_counts;
        const statistics = await get(`/v1/batches/${batch.id}/statistics`, signal);
        showErrors({ codes: statistics.error_codes.map(({ code, count }) => ({ code, count })), last: statistics.last_errors[0] });
        failedRead = failed;
      }
    },
  };
}

function renderErrors({ list, count, codes, last }) {
  const line = error => `${error.line ? `Line ${error.line}: ` : ""}${error.message}`;
  return list
    ? [...list.map(error => element("span", {}, line(error))), count > 1 && element("span", { class: "small quiet" }, `and ${number(count - 1)} more`)]
    : [
      ...codes.slice(0, 2).map(({ code, count: times }) => element("div", {}, `${number(times)} × `, element("code", {}, code))),
      codes.length > 2 && element("span", { class: "small quiet" }, `and ${number(codes.length - 2)} more ${codes.length === 3 ? "code" : "codes"}`),
      last && element("span", { class: "small quiet" }, `Last error, line ${number(last.line)}: ${last.message}`),
    ];
}
