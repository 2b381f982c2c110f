import { forgetKey, healthIssues, keepKey, readKey } from "./api.js";
import { batchView } from "./batch.js";
import { announce, element, renderer, setText } from "./dom.js";
import { span } from "./format.js";
import { listView } from "./list.js";
import { Poll } from "./poll.js";

const main = document.getElementById("main");
const connection = document.getElementById("connection");
const forget = document.getElementById("forget");
const issueList = document.getElementById("health-issues");
const showIssues = renderer(issueList, list => list.map(({ message }) => element("p", {}, message)));
let poll;

function route() {
  const id = /^#\/batches\/([\w-]+)$/.exec(location.hash)?.[1];
  return id ? batchView(id) : listView(() => poll.now());
}

// Shows the view of the address. The page stays empty until the service has responded, because it may require a key.
function show(takesFocus) {
  poll?.stop();
  forget.hidden = !readKey();
  const view = route();
  document.title = view.title;
  setText(connection, "Loading …");
  poll = new Poll(async signal => {
    const issues = await healthIssues(signal);
    const isBusy = await view.refresh(signal);
    issueList.hidden = issues.length === 0;
    showIssues(issues);
    return isBusy;
  }, (error, wait) => {
    if (error?.status === 401) {
      askForKey();
    } else if (error && !view.isShown && error.status === 404) {
      poll.stop();
      setText(connection, "");
      main.replaceChildren(notFound(error.message));
    } else {
      showConnection(error, wait);
      if (!view.isShown && error === null) {
        view.isShown = true;
        main.replaceChildren(view.root);
        if (takesFocus) {
          view.root.querySelector("h1").focus();
        }
      }
    }
  });
  poll.now();
}

function showConnection(error, wait) {
  const problem = error && (error.status ? error.message : "The service does not respond.");
  if (problem && !connection.classList.contains("error")) {
    announce(problem);
  }
  connection.classList.toggle("error", error !== null);
  setText(connection, problem ? `${problem} Retrying in ${span(wait / 1000)}.` : "Live");
}

function notFound(message) {
  return element("div", { class: "note" },
    element("p", {}, message),
    element("p", {}, element("a", { href: "#/" }, "All batches")));
}

function askForKey() {
  poll.stop();
  setText(connection, "");
  connection.classList.remove("error");
  const wasWrong = readKey() !== null;
  forgetKey();
  forget.hidden = true;
  const input = element("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: "", "aria-describedby": "key-problem" });
  const problem = element("p", { id: "key-problem", class: "error", role: "alert" });
  const form = element("form", {},
    element("div", {}, element("label", { for: "key" }, "API key"), input),
    problem,
    element("button", { type: "submit", class: "main" }, "Show batches"),
    element("p", { class: "quiet small" }, "The key is kept only in this tab until you close it, and sent only to this service."));
  form.addEventListener("submit", event => {
    event.preventDefault();
    const key = input.value.trim();
    if (/^[\x21-\x7e]+$/.test(key)) {
      keepKey(key);
      show(true);
    } else {
      setText(problem, "A key consists of ASCII characters without spaces.");
      input.focus();
    }
  });
  main.replaceChildren(element("div", { class: "note" }, element("h1", {}, "This service requires an API key"), form));
  setText(problem, wasWrong ? "This key is not valid." : "");
  input.focus();
}

forget.addEventListener("click", () => {
  forgetKey();
  show(false);
});
addEventListener("hashchange", () => show(true));
show(false);
