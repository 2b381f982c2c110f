// Everything shown goes in as text or as an attribute: whatever a name or a message holds, it stays text.

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

// Puts new children in only where what they are made from has changed, so that focus and selection stay.
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

// Says something to who listens in place of looking.
export function announce(text) {
  setText(document.getElementById("live"), text);
}

export function badge(status) {
  const words = status.replace("_", " ");
  return element("span", { class: `badge ${/^[a-z_]+$/.test(status) ? status : ""}` }, words);
}

// A bar with what succeeded and what failed in it.
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
