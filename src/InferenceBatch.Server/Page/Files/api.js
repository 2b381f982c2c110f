// Calls to the service this page came from, and the key they carry. The key lives as long as this tab does.

const keyName = "inference-batch-key";
let clockSkew = 0;

export const readKey = () => sessionStorage.getItem(keyName);
export const keepKey = key => sessionStorage.setItem(keyName, key);
export const forgetKey = () => sessionStorage.removeItem(keyName);

// The service's clock, in milliseconds: ages and times left must not depend on this machine's.
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
    throw new CallError(response.status, body?.error?.message ?? `The service answered with status ${response.status}.`);
  }
  return response;
}

export async function get(path, signal) {
  return (await call(path, signal)).json();
}

let isHeld = false;

// Whether no line is sent, so that no time left can be told.
export const isWaiting = () => isHeld;

// What keeps batches from making progress; no key is needed to ask, and a service that is not ready says why.
export async function troubles(signal) {
  const response = await fetch("/healthz", { signal, cache: "no-store", credentials: "omit" });
  const list = (await response.json()).troubles;
  isHeld = list.some(({ kind, state }) => kind === "upstream" && state !== "limited");
  return list;
}

// A link cannot carry a key: the file is fetched, and saved from here.
export async function save(path, name) {
  const address = URL.createObjectURL(await (await call(path)).blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
