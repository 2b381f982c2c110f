// All content is set as text or as attributes, so markup in names and messages stays text.

const svgNamespace = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) {
      node.setAttribute(name, value);
    }
  }
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}

export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(svgNamespace, tag), attributes, children);
}

export function setText(node, text) {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

// Replaces the children of a node only if their data has changed, so that focus and selection are kept.
export function renderer(node, render) {
  let last;
  return data => {
    const text = JSON.stringify(data);
    if (text !== last) {
      last = text;
      node.replaceChildren(...render(data).filter(child => child));
    }
  };
}

// Announces a text to screen readers.
export function announce(text) {
  setText(document.getElementById("live"), text);
}

export function badge(status) {
  const words = status.replace("_", " ");
  return element("span", { class: `badge ${/^[a-z_]+$/.test(status) ? status : ""}` }, words);
}

// A progress bar with the shares of lines that succeeded and that failed.
export function progressBar(tall) {
  const done = svg("rect", { class: "good", x: 0, height: 8 });
  const failed = svg("rect", { class: "bad", height: 8 });
  const node = svg("svg", {
    class: tall ? "bar tall" : "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none",
    role: "progressbar", "aria-label": "Lines done", "aria-valuemin": 0, "aria-valuemax": 100,
  }, done, failed);
  return {
    node,
    update(counts, text) {
      const share = count => counts.total > 0 ? 100 * count / counts.total : 0;
      done.setAttribute("width", share(counts.completed));
      failed.setAttribute("x", share(counts.completed));
      failed.setAttribute("width", share(counts.failed));
      node.setAttribute("aria-valuenow", Math.floor(share(counts.completed + counts.failed)));
      node.setAttribute("aria-valuetext", text);
    },
  };
}
