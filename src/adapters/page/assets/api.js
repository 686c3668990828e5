// The API, read: each address once at a time, errors as sentences.

export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export function address(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, value);
  }
  const text = query.toString();
  return `/api/v1/${path}${text ? `?${text}` : ""}`;
}

export const csv = (path, parameters) => address(path, { ...parameters, format: "csv" });

const under = new Map();
const kept = new Map();
const KEPT_MS = 700;

async function load(url) {
  let response;
  try {
    response = await fetch(url, { headers: { accept: "application/json" } });
  } catch {
    throw new Problem(0, "the service does not answer");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, body.detail ?? `the service answers ${response.status}`);
  return body;
}

// Several panels ask the same: one request, also for a moment after it was answered.
export function get(path, parameters) {
  const url = address(path, parameters);
  const fresh = kept.get(url);
  if (fresh && performance.now() - fresh.at < KEPT_MS) return Promise.resolve(fresh.body);
  if (!under.has(url)) {
    const loading = load(url)
      .then((body) => {
        kept.set(url, { body, at: performance.now() });
        return body;
      })
      .finally(() => under.delete(url));
    under.set(url, loading);
  }
  return under.get(url);
}

// What does not change while the page is open.
const forever = new Map();
export function once(path, parameters) {
  const url = address(path, parameters);
  if (!forever.has(url)) {
    forever.set(url, load(url).catch((problem) => {
      forever.delete(url);
      throw problem;
    }));
  }
  return forever.get(url);
}

// Rows, or none with the reason: a panel says why it is empty and the others stand.
export async function rows(path, parameters) {
  try {
    const body = await get(path, parameters);
    return { ...body, rows: body.rows ?? [], problem: null };
  } catch (problem) {
    if (!(problem instanceof Problem) || problem.status === 0) throw problem;
    return { rows: [], problem: problem.message };
  }
}
