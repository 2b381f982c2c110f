// Calls the service that this page comes from. The key is kept until the tab is closed.

const keyName = "inference-batch-key";
let clockSkew = 0;

export const readKey = () => sessionStorage.getItem(keyName);
export const keepKey = key => sessionStorage.setItem(keyName, key);
export const forgetKey = () => sessionStorage.removeItem(keyName);

// The time of the service's clock in milliseconds, so that ages and remaining times do not depend on this machine's clock.
export const now = () => Date.now() + clockSkew;

export class CallError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function call(path, signal) {
  const key = readKey();
  const response = await fetch(path, {
    signal,
    cache: "no-store",
    credentials: "omit",
    headers: key ? { Authorization: `Bearer ${key}` } : {},
  });
  const skew = Date.parse(response.headers.get("Date")) - Date.now();
  clockSkew = Math.abs(skew) > 2000 ? skew : 0;
  if (!response.ok) {
    const body = await response.json().catch(() => null);
    throw new CallError(response.status, body?.error?.message ?? `The service responded with status ${response.status}.`);
  }
  return response;
}

export async function get(path, signal) {
  return (await call(path, signal)).json();
}

let isHeld = false;

// Whether no lines are sent at present, so that the remaining time is unknown.
export const isWaiting = () => isHeld;

// Gets the problems that keep batches from making progress. This needs no key, and also works if the service is not ready.
export async function healthIssues(signal) {
  const response = await fetch("/healthz", { signal, cache: "no-store", credentials: "omit" });
  const list = (await response.json()).troubles;
  isHeld = list.some(({ kind, state }) => kind === "upstream" && state !== "limited");
  return list;
}

// Downloads a file with the key, which a plain link cannot send.
export async function save(path, name) {
  const address = URL.createObjectURL(await (await call(path)).blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
