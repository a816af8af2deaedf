// Keeps the board as it is on the server: cards come by the event stream, and the whole board is read again at each
// (re)connection, after sleep, and in doubt. Where no stream can be had, the board is asked for every few seconds.
//
// On the page: #board, and templates/pages/_live.html, which brings the sign and the addresses.
// Tells the page, on document: `desk:away` {sentence} when its person is back and something happened meanwhile.
// The event `tokens` triggers what has hx-trigger="sse:tokens".
import { serverTime } from "./server-clock.js";

const GREETING = 10_000; // ms that a stream may take to greet before the board is asked for instead
const POLL = 4000; // ms between askings, or ten times what one takes
const FRESH = 20_000; // ms: older than a beat's interval is worth a word
const AWAY = 5000; // ms of hiding after which a page that comes back reads its board
const NEWS = 30_000; // ms without a fresh board in sight after which it is told what happened meanwhile
const RETRY = 3000; // ms

const sign = document.getElementById("live-state");
const board = () => document.getElementById("board");
export const cards = () => [...board().querySelectorAll(":scope > [data-rental-id]")];
const card = (id) => document.getElementById(`rental-${id}`);

let state = ""; // live, reconnecting, polling, offline
let heardAt = Date.now();
let seenAt = Date.now(); // when a board known to be fresh was last in sight
let current = true; // whether the board was read since the stream began: only then does a beat prove it fresh
let port;
let expired = false;

// The sign

function show(next) {
  if (next !== state) {
    state = next;
    sign.dataset.state = state;
    sign.querySelector("[data-live-word]").textContent = sign.dataset[state];
  }
  age();
}
function age() {
  const seconds = Math.round((Date.now() - heardAt) / 1000);
  sign.querySelector("[data-live-age]").textContent = seconds * 1000 > FRESH ? sign.dataset.age.replace("{seconds}", seconds) : "";
}

// The stream

function connect() {
  // One browser may see several people come and go: the CSRF cookie changes at each sign-in.
  const person = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";
  const url = new URL(sign.dataset.liveUrl, location.href).href;
  try {
    if (!port) {
      const worker = new (window.SharedWorker ?? Worker)(sign.dataset.worker);
      worker.onerror = () => show("polling");
      port = worker.port ?? worker;
      port.onmessage = ({ data }) => hear(data);
    }
    port.postMessage({ key: `${person} ${url}`, url });
  } catch {
    return show("polling");
  }
  wait();
}
const disconnect = () => port?.postMessage({});

function wait() {
  show("reconnecting");
  setTimeout(() => state === "reconnecting" && show("polling"), GREETING);
}
function hear({ event, data }) {
  if (["lost", "hello", "refresh"].includes(event)) current = false;
  if (event === "lost") return void (state === "live" && wait());
  if (event === "full" || event === "waiting" || (event === "hello" && data === "waiting")) show("polling");
  else if (event === "hello" || event === "refresh") show("live");
  if (event === "hello") read();
  else if (event === "refresh") setTimeout(read, Math.random() * 800); // not all screens at once
  else if (event === "rental") put(data);
  else if (event === "gone") remove(data);
  else if (event === "session-expired") signedOut();
  else if (event === "tokens") for (const part of document.querySelectorAll('[hx-trigger*="sse:tokens"]')) htmx.trigger(part, "sse:tokens");
  // A greeting proves nothing about the board on the page: reading it does.
  if (state === "live" && current && ["rental", "gone", "tokens", "beat"].includes(event)) heardAt = Date.now();
  age();
}
// Perhaps only of this session: signed in again elsewhere, the board can still be read, and a stream be had.
function signedOut() {
  expired = true;
  show("reconnecting");
  read();
}

// Cards

// Newest orders come first. htmx swaps a card out of band only where one of its id is, so a new card first gets an
// empty place where its time puts it.
function makeRoom(html) {
  const { content } = Object.assign(document.createElement("template"), { innerHTML: html });
  for (const card of content.querySelectorAll("[data-rental-id][hx-swap-oob]")) {
    if (document.getElementById(card.id)) continue;
    const place = Object.assign(document.createElement("article"), { id: card.id, hidden: true });
    place.dataset.at = card.dataset.at;
    const older = [...board().querySelectorAll(":scope > [data-at]")].find((other) => Number(other.dataset.at) < Number(card.dataset.at));
    board().insertBefore(place, older ?? board().querySelector(":scope > .empty"));
  }
}

// The answer to a form of ours may bring cards as well.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!detail.shouldSwap) return;
  makeRoom(detail.serverResponse);
  if (detail.requestConfig.elt.isConnected) return;
  // The card was replaced while its button was answered: htmx would look for the targets around the old card.
  detail.shouldSwap = false;
  htmx.swap(document.body, detail.serverResponse, { swapStyle: "none" });
});

const touched = new Set(); // the ids that events changed while the board was being read: they may be newer than it
function put(html) {
  const [, id] = html.match(/id="rental-(\d+)"/) ?? [];
  touched.add(id);
  makeRoom(html);
  const focused = document.activeElement;
  const inside = focused?.closest("#board > [data-rental-id]")?.id;
  htmx.swap(board(), html, { swapStyle: "none" });
  // htmx puts the focus back by id, and our links have none.
  if (inside && !focused.isConnected && !focused.id) focusLink(document.getElementById(inside), focused.href);
}
function focusLink(card, href) {
  const link = [...(card?.querySelectorAll("a[href]") ?? [])].find((each) => each.href === href);
  link?.focus({ preventScroll: true });
}
function remove(id) {
  touched.add(id);
  drop(card(id));
}
// Not while somebody is at it with the keyboard: the next board takes it away.
const drop = (old) => old?.matches(":focus-within") || old?.remove();

// A finished card leaves when its time on the board is over, unless somebody is at it.
setInterval(() => {
  for (const card of cards()) {
    if (!card.dataset.leaves || Number(card.dataset.leaves) > serverTime() || card.matches(":hover, :focus-within")) continue;
    card.classList.add("is-leaving");
    setTimeout(() => card.remove(), 400);
  }
}, 5000);

// The whole board

let reading = false;
let again = 0; // ms after which the board is to be read once more
async function read() {
  if (reading) return void (again = 1000);
  reading = true;
  again = 0;
  touched.clear();
  const away = !document.hidden && Date.now() - seenAt >= NEWS;
  try {
    const address = away ? `${sign.dataset.boardUrl}&since=${Math.round(serverTime(seenAt))}` : sign.dataset.boardUrl;
    const answer = await fetch(address, { headers: { "HX-Request": "true" }, signal: AbortSignal.timeout(15_000) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById("board");
    if (found) {
      merge(found);
      const sentence = page.getElementById("away-news")?.textContent.trim();
      if (sentence) document.dispatchEvent(new CustomEvent("desk:away", { detail: { sentence } }));
    } else if (answer.redirected || answer.status === 401 || answer.headers.has("HX-Redirect")) location.reload(); // to the sign-in page
    else again = RETRY;
  } catch {
    again = RETRY; // no answer: the sign says how long ago the last one was
  }
  reading = false;
  if (again) setTimeout(read, again);
}
function merge(found) {
  const onIt = new Set();
  for (const fresh of found.querySelectorAll(":scope > [data-rental-id]")) {
    const old = document.getElementById(fresh.id);
    onIt.add(fresh.id);
    if (old && essence(old) === essence(fresh)) continue;
    if (touched.has(fresh.dataset.rentalId)) {
      again = 1000; // which is the newer? The next board knows.
      continue;
    }
    fresh.setAttribute("hx-swap-oob", "true");
    put(fresh.outerHTML);
  }
  for (const old of cards()) {
    if (!onIt.has(old.id) && !touched.has(old.dataset.rentalId)) drop(old);
  }
  heardAt = Date.now();
  if (!document.hidden) seenAt = heardAt;
  current = true;
  age();
  if (expired) {
    expired = false;
    connect();
  }
}
// What a card says, without what changes by itself: a card that says the same stays, with its focus and its sound.
const BY_ITSELF = /<(time|progress)\b[^]*?<\/\1>|<input type="hidden"[^>]*>| class="[^"]*"/g;
const essence = (of) => of.dataset.status + of.innerHTML.replace(BY_ITSELF, "").replace(/\s+/g, " ");

// Time

async function poll() {
  const began = Date.now();
  // A place in the queue changes with the orders before it, of which this card's stream says nothing.
  const queues = state === "live" && !document.hidden && board().querySelector(":scope > [data-status=queued]");
  if (state !== "live" || queues) await read();
  const rest = Math.max(document.hidden ? 4 * POLL : queues ? 2 * POLL : POLL, 10 * (Date.now() - began));
  setTimeout(poll, rest * (0.75 + Math.random() / 2));
}
setTimeout(poll, POLL);
let ticked = Date.now();
setInterval(() => {
  const slept = Date.now() - ticked > FRESH && !document.hidden;
  ticked = Date.now();
  if (slept) read();
  else if (state === "live" && current && !reading && !document.hidden) seenAt = heardAt;
  if (state === "offline" && navigator.onLine) wait();
  else if (state !== "live" && !navigator.onLine) show("offline");
  else age();
}, 1000);

let hiddenAt = Date.now();
document.addEventListener("visibilitychange", () => {
  if (document.hidden) hiddenAt = Date.now();
  else if (Date.now() - hiddenAt > AWAY) read();
});
addEventListener("online", () => (connect(), read()));
addEventListener("pagehide", disconnect);
addEventListener("pageshow", (event) => event.persisted && connect());

connect();
