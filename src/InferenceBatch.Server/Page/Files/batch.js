import { get, isWaiting, now, readKey, save } from "./api.js";
import { histogramFigure, shareBar } from "./charts.js";
import { announce, badge, element, progressBar, renderer, setText } from "./dom.js";
import { Pace, bytes, countsText, doneOf, endOf, isFinished, isoTime, milliseconds, number, rate, span, time } from "./format.js";

const maxIssues = 100;
const steps = [
  ["created_at", "Created", "done"], ["in_progress_at", "Started", "done"], ["cancelling_at", "Cancelling", "cancelling"],
  ["finalizing_at", "Finalizing", "done"], ["completed_at", "Completed", "done"], ["failed_at", "Failed", "failed"],
  ["expired_at", "Expired", "expired"], ["cancelled_at", "Cancelled", "cancelled"],
];

// The view of one batch.
export function batchView(id) {
  const pace = new Pace();
  const bar = progressBar(true);
  const status = element("span");
  const timeline = element("ol", { class: "timeline" });
  const [issues, codes, files, details, metadata] = Array.from({ length: 5 }, () => element("section", { class: "card" }));
  const facts = factList("Done", "Succeeded", "Failed", "Speed", "Time left", "Tokens in", "Tokens out");
  const retries = element("p", { class: "small quiet" });
  const progress = element("section", { class: "card", "aria-label": "Progress" }, bar.node, facts.node, retries);
  const charts = {
    latency_ms: histogramFigure("Latency", milliseconds, "No latencies are recorded."),
    input_tokens: histogramFigure("Input tokens", number, "No token counts are reported."),
    output_tokens: histogramFigure("Output tokens", number, "No token counts are reported."),
  };
  const chartRow = element("div", { class: "charts" }, ...Object.values(charts).map(chart => chart.node));
  const root = element("div", {},
    element("nav", {}, element("a", { href: "#/" }, "All batches")),
    element("div", { class: "heading" }, element("h1", { class: "id", tabindex: "-1" }, id), status),
    progress,
    element("section", { class: "card" }, element("h2", {}, "Times"), timeline),
    issues, codes,
    chartRow,
    element("div", { class: "columns" }, files, details, metadata));
  const show = {
    status: renderer(status, word => [badge(word)]),
    timeline: renderer(timeline, renderTimes),
    issues: renderer(issues, renderIssues),
    codes: renderer(codes, renderCodes),
    files: renderer(files, renderFiles),
    details: renderer(details, renderDetails),
    metadata: renderer(metadata, renderMetadata),
  };
  const sizes = new Map();
  let announced = "";

  async function refresh(signal) {
    const path = `/v1/batches/${encodeURIComponent(id)}`;
    const [batch, statistics] = await Promise.all([get(path, signal), get(`${path}/statistics`, signal)]);
    pace.add(batch, now());
    progress.hidden = chartRow.hidden = isFinished(batch) && batch.request_counts.total === 0;
    show.status(batch.status);
    bar.update(batch.request_counts, countsText(batch.request_counts));
    showFacts(facts, batch, pace);
    setText(retries, retriesText(statistics.retries));
    retries.hidden = retries.textContent === "";
    show.timeline(batch);
    issues.hidden = !batch.errors;
    show.issues(batch.errors?.data ?? []);
    codes.hidden = statistics.error_codes.length === 0;
    show.codes(statistics);
    for (const [name, chart] of Object.entries(charts)) {
      chart.update(statistics[name]);
    }
    show.details(batch);
    metadata.hidden = !batch.metadata;
    show.metadata(batch.metadata ?? {});
    show.files(await filesOf(batch, sizes, signal));
    announceProgress(batch);
    return !isFinished(batch);
  }

  // Announces each tenth of the lines and each change of the status; more would be noise.
  function announceProgress(batch) {
    const { total } = batch.request_counts;
    const tenth = total ? Math.floor(10 * doneOf(batch) / total) * 10 : 0;
    const text = `${batch.status.replace("_", " ")}, ${tenth} %`;
    if (text !== announced) {
      announced = text;
      announce(text);
    }
  }

  return { title: `${id} – InferenceBatch`, root, refresh };
}

function factList(...names) {
  const values = new Map(names.map(name => [name, element("dd")]));
  return {
    node: element("dl", { class: "facts" }, ...[...values].map(([name, value]) => element("div", {}, element("dt", {}, name), value))),
    update(name, text) {
      const value = values.get(name);
      setText(value, text);
      value.parentElement.hidden = text === "";
    },
  };
}

function showFacts(facts, batch, pace) {
  const { total, completed, failed } = batch.request_counts;
  const perSecond = pace.rate(batch, now());
  const left = pace.left(batch, now());
  facts.update("Done", total ? `${number(completed + failed)} of ${number(total)}` : "checking the file");
  facts.update("Succeeded", total ? number(completed) : "");
  facts.update("Failed", total ? number(failed) : "");
  facts.update("Speed", batch.in_progress_at && perSecond > 0 ? rate(perSecond) : "");
  facts.update("Time left", isWaiting() && batch.status === "in_progress" ? "waiting for the upstream" : left === null ? "" : span(left));
  facts.update("Tokens in", batch.usage ? number(batch.usage.input_tokens) : "");
  facts.update("Tokens out", batch.usage ? number(batch.usage.output_tokens) : "");
}

function renderTimes(batch) {
  const times = steps.filter(([name]) => batch[name] !== null).map(([name, label, kind]) => ({ at: batch[name], label, kind }));
  times.sort((a, b) => a.at - b.at);
  const items = times.map(({ at, label, kind }, i) => timeItem(at, label, kind, i ? `${span(at - times[i - 1].at)} later` : ""));
  return isFinished(batch) ? items : [...items, timeItem(batch.expires_at, "Expires", "ahead", "if it has not finished")];
}

function timeItem(at, label, kind, after) {
  return element("li", { class: kind }, element("b", {}, label),
    element("time", { datetime: isoTime(at), class: "small" }, time(at)), element("span", { class: "small quiet" }, after));
}

function renderIssues(list) {
  const row = ({ line, code, message }) => element("tr", {},
    element("td", { class: "number" }, line === null ? "" : number(line)), element("td", {}, element("code", {}, code)), element("td", {}, message));
  return [
    element("h2", {}, "Why it failed"),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Why it failed" }, element("table", {},
      element("thead", {}, element("tr", {}, ...["Line", "Code", "Message"].map((name, i) => element("th", { scope: "col", class: i ? null : "number" }, name)))),
      element("tbody", {}, ...list.slice(0, maxIssues).map(row)))),
    list.length > maxIssues && element("p", { class: "quiet" }, `And ${number(list.length - maxIssues)} more. The API lists all of them.`),
  ];
}

// The number of retries by reason; empty if there are none.
function retriesText(retries) {
  const words = { rate_limit: "429", server_error: "5xx", timeout: "timeout", connection: "connection", refused: "refused" };
  const parts = Object.entries(words).filter(([name]) => retries[name] > 0).map(([name, word]) => `${word}: ${number(retries[name])}`);
  return parts.length > 0 ? `Retries: ${parts.join(", ")}` : "";
}

function renderCodes({ error_codes: list, last_errors: last }) {
  const most = Math.max(1, ...list.map(error => error.count));
  const row = ({ code, count, message }) => element("tr", {},
    element("th", { scope: "row" }, element("code", {}, code)),
    element("td", {}, shareBar(count / most), element("span", { class: "small quiet" }, message)),
    element("td", { class: "number" }, number(count)));
  return [
    element("h2", {}, "Errors"),
    element("table", { class: "codes" },
      element("thead", { class: "unseen" }, element("tr", {}, ...["Code", "Share", "Lines"].map(name => element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...list.map(row))),
    last.length > 0 && element("h2", {}, "Last errors"),
    last.length > 0 && element("ul", { class: "errors-last" }, ...last.map(({ line, code, message }) =>
      element("li", {}, `Line ${number(line)}: `, element("code", {}, code), " ", element("span", { class: "small quiet" }, message)))),
  ];
}

// The files that can be downloaded. The size of a file is requested once it cannot change any more.
async function filesOf(batch, sizes, signal) {
  const files = [["Input", batch.input_file_id], ["Output", batch.output_file_id], ["Errors", batch.error_file_id]].filter(([, id]) => id);
  for (const [kind, id] of files) {
    if (!sizes.has(id) && (kind === "Input" || isFinished(batch))) {
      const file = await get(`/v1/files/${encodeURIComponent(id)}`, signal).catch(error => {
        if (error.status === 404) {
          return null;
        }
        throw error;
      });
      sizes.set(id, file && bytes(file.bytes));
    }
  }
  return files.map(([kind, id]) => ({ kind, id, size: sizes.get(id), needsKey: readKey() !== null }));
}

function renderFiles(list) {
  const row = ({ kind, id, size, needsKey }) => element("tr", {},
    element("th", { scope: "row" }, kind),
    element("td", {}, element("span", { class: "id" }, id),
      element("span", { class: "small quiet" }, size === null ? "deleted or expired" : size ?? "still growing")),
    element("td", {}, size === null ? null : downloadOf(kind, id, needsKey)));
  return [
    element("h2", {}, "Files"),
    element("table", { class: "files" }, element("tbody", {}, ...list.map(row))),
  ];
}

function downloadOf(kind, id, needsKey) {
  const path = `/v1/files/${encodeURIComponent(id)}/content`;
  const name = `${id}.jsonl`;
  const label = `Download ${kind.toLowerCase()}`;
  if (!needsKey) {
    return element("a", { class: "button", href: path, download: name, "aria-label": label }, "Download");
  }
  const button = element("button", { type: "button", "aria-label": label }, "Download");
  const problem = element("span", { class: "small error", role: "alert" });
  button.addEventListener("click", async () => {
    button.disabled = true;
    setText(problem, "");
    try {
      await save(path, name);
    } catch (error) {
      setText(problem, error.message);
    }
    button.disabled = false;
    button.focus();
  });
  return element("span", {}, button, problem);
}

function pairs(title, list) {
  return [element("h2", {}, title), element("dl", { class: "pairs" },
    ...list.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]))];
}

function renderDetails(batch) {
  const { usage } = batch;
  const end = endOf(batch);
  return pairs("Details", [
    ["Endpoint", batch.endpoint],
    ["Model", batch.model],
    ["Window", batch.completion_window],
    ["Took", end && span(end - batch.created_at)],
    ["Cached tokens", usage?.input_tokens_details.cached_tokens && number(usage.input_tokens_details.cached_tokens)],
    ["Reasoning tokens", usage?.output_tokens_details.reasoning_tokens && number(usage.output_tokens_details.reasoning_tokens)],
    ["All tokens", usage && number(usage.total_tokens)],
  ].filter(([, value]) => value));
}

function renderMetadata(metadata) {
  return pairs("Metadata", Object.entries(metadata));
}
