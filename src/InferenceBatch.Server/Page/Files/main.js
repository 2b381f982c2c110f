import { forgetKey, keepKey, readKey, troubles } from "./api.js";
import { batchView } from "./batch.js";
import { announce, element, renderer, setText } from "./dom.js";
import { span } from "./format.js";
import { listView } from "./list.js";
import { Poll } from "./poll.js";

const main = document.getElementById("main");
const connection = document.getElementById("connection");
const forget = document.getElementById("forget");
const troubleList = document.getElementById("troubles");
const showTroubles = renderer(troubleList, list => list.map(({ message }) => element("p", {}, message)));
let poll;

function route() {
  const id = /^#\/batches\/([\w-]+)$/.exec(location.hash)?.[1];
  return id ? batchView(id) : listView(() => poll.now());
}

// Shows what the address says. The page shows nothing before the service has answered: it may want a key first.
function show(takesFocus) {
  poll?.stop();
  forget.hidden = !readKey();
  const view = route();
  document.title = view.title;
  setText(connection, "Asking the service …");
  poll = new Poll(async signal => {
    const now = await troubles(signal);
    const isBusy = await view.look(signal);
    troubleList.hidden = now.length === 0;
    showTroubles(now);
    return isBusy;
  }, (error, wait) => {
    if (error?.status === 401) {
      askForKey();
    } else if (error && !view.isShown && error.status === 404) {
      poll.stop();
      setText(connection, "");
      main.replaceChildren(notFound(error.message));
    } else {
      sayConnection(error, wait);
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

function sayConnection(error, wait) {
  const trouble = error && (error.status ? error.message : "The service does not answer.");
  if (trouble && !connection.classList.contains("trouble")) {
    announce(trouble);
  }
  connection.classList.toggle("trouble", error !== null);
  setText(connection, trouble ? `${trouble} Trying again in ${span(wait / 1000)}.` : "Live");
}

function notFound(message) {
  return element("div", { class: "note" },
    element("p", {}, message),
    element("p", {}, element("a", { href: "#/" }, "All batches")));
}

function askForKey() {
  poll.stop();
  setText(connection, "");
  connection.classList.remove("trouble");
  const wasWrong = readKey() !== null;
  forgetKey();
  forget.hidden = true;
  const input = element("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: "", "aria-describedby": "key-trouble" });
  const trouble = element("p", { id: "key-trouble", class: "trouble", role: "alert" });
  const form = element("form", {},
    element("div", {}, element("label", { for: "key" }, "API key"), input),
    trouble,
    element("button", { type: "submit", class: "main" }, "Show batches"),
    element("p", { class: "quiet small" }, "The key is kept in this tab alone, until it is closed, and sent to this service alone."));
  form.addEventListener("submit", event => {
    event.preventDefault();
    const key = input.value.trim();
    if (/^[\x21-\x7e]+$/.test(key)) {
      keepKey(key);
      show(true);
    } else {
      setText(trouble, "A key has no spaces, and no letters beyond A to Z.");
      input.focus();
    }
  });
  main.replaceChildren(element("div", { class: "note" }, element("h1", {}, "This service needs a key"), form));
  setText(trouble, wasWrong ? "The service does not know this key." : "");
  input.focus();
}

forget.addEventListener("click", () => {
  forgetKey();
  show(false);
});
addEventListener("hashchange", () => show(true));
show(false);
