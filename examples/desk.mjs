// Rents a number and waits for its code, by fetch alone. Node 20 or later.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const { THUESIM_DESK_URL, THUESIM_DESK_KEY } = process.env;
const TRANSIENT = new Set([408, 429, 500, 502, 503, 504]);

// One request; after a lost connection or a restart it is sent again for a minute. `body` makes it an order, which has one key
// for all its attempts and so is one order.
async function call(path, body) {
  if (!THUESIM_DESK_URL || !THUESIM_DESK_KEY) throw new Error("set THUESIM_DESK_URL and THUESIM_DESK_KEY");
  const headers = { Authorization: `Bearer ${THUESIM_DESK_KEY}`, Accept: "application/json" };
  if (body) Object.assign(headers, { "Content-Type": "application/json", "Idempotency-Key": randomUUID() });
  const request = { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), redirect: "error" };
  for (let end; ; ) {
    const { content, problem, transient, pause } = await attempt(path, request);
    if (!problem) return content;
    end ??= Date.now() + 60_000;
    if (!transient || Date.now() + pause > end) throw problem;
    await sleep(pause);
  }
}

async function attempt(path, request) {
  try {
    const answer = await fetch(`${THUESIM_DESK_URL}/api/v1/${path}`, { ...request, signal: AbortSignal.timeout(70_000) });
    const content = await answer.json();
    if (answer.ok) return { content };
    return {
      problem: new Error(`${path}: ${answer.status} ${content.code} ${content.detail}`),
      transient: TRANSIENT.has(answer.status) || content.code === "idempotency_in_progress",
      pause: (Number(answer.headers.get("Retry-After")) || 1) * 1000,
    };
  } catch (problem) {
    return { problem, transient: true, pause: 1000 }; // no connection, or an answer that is no JSON: a proxy's while the desk starts
  }
}

async function waitFor(what, id, seconds) {
  for (let end = Date.now() + seconds * 1000, after = ""; Date.now() < end; ) {
    const left = Math.max(1, Math.min(60, Math.ceil((end - Date.now()) / 1000)));
    const rental = await call(`rentals/${id}/wait?for=${what}&timeout=${left}` + (after && `&after=${after}`));
    if (rental.ended) throw new Error(`rental ${id} is ${rental.status}: ${rental.reason?.detail ?? ""}`);
    if (!rental.timed_out) return rental;
    after = rental.after ?? after;
  }
  throw new Error(`rental ${id}: no ${what} within ${seconds} s`);
}

/** Rent a number; returns the rental with `id` and `phone.digits`. */
export async function rent(service, wishes = {}) {
  const { id } = await call("rentals", { service, ...wishes });
  return waitFor("number", id, 120);
}

/** Return the code of a rental, as a form takes it. */
export async function waitForCode(id, seconds = 300) {
  return (await waitFor("code", id, seconds)).code;
}
