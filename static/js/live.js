// Keeps the board as it is on the server: cards come by the event stream, and the whole board is read again at each
// (re)connection, after sleep, and in doubt. Where no stream can be had, the board is polled every few seconds.
//
// templates/pages/_live.html brings the sign and the addresses; htmx is a classic script, and there before. When a
// person is back and something happened meanwhile, document gets `desk:away` {sentence}; where a colleague did something that concerns
// the person, `desk:notice` {sentence}. The stream's event `tokens`
// triggers what has hx-trigger="sse:tokens".
import { csrfToken } from "./csrf.js";
import { serverTime } from "./server-clock.js";

const GREETING = 10_000; // ms that a stream may take to greet before the board is polled instead
const POLL = 4000; // ms between two readings, or ten times what one takes
const FRESH = 20_000; // ms, longer than between two beats: an older board shows its age
const AWAY = 5000; // ms of hiding after which a page that comes back reads its board
const NEWS = 30_000; // ms without a fresh board in sight after which the page says what happened meanwhile
const RETRY = 3000; // ms

const board = document.getElementById("board");
export const cards = () => [...board.querySelectorAll(":scope > [data-rental-id]")];

const sign = document.getElementById("live-state");
const word = sign.querySelector("[data-live-word]");
const age = sign.querySelector("[data-live-age]");

let state = ""; // live, reconnecting, polling, offline, teamSwitched
let freshAt = Date.now(); // when the board was last known to be as it is on the server
let seenAt = Date.now(); // when such a board was last in sight
let current = true; // whether the board was read since the stream began: only then does a beat prove it fresh
let signedOut = false;

// The sign

function show(next) {
  if (next !== state) {
    state = next;
    sign.dataset.state = state;
    word.textContent = sign.dataset[state];
  }
  showAge();
}
function showAge() {
  const seconds = Math.round((Date.now() - freshAt) / 1000);
  age.textContent = seconds * 1000 > FRESH ? sign.dataset.age.replace("{seconds}", seconds) : "";
}

// The stream

let port;
function connect() {
  // One browser may see several people come and go: the CSRF cookie changes at each sign-in.
  const person = csrfToken();
  const url = new URL(sign.dataset.liveUrl, location.href).href;
  try {
    port ??= openPort();
    port.postMessage({ key: `${person} ${url}`, url });
  } catch {
    return show("polling");
  }
  awaitGreeting();
}
function openPort() {
  const worker = new (window.SharedWorker ?? Worker)(sign.dataset.worker);
  worker.addEventListener("error", () => show("polling"));
  const opened = worker.port ?? worker;
  opened.onmessage = ({ data }) => receive(data); // set as a property, which also starts the port
  return opened;
}
const disconnect = () => port?.postMessage({});

function awaitGreeting() {
  show("reconnecting");
  setTimeout(() => state === "reconnecting" && show("polling"), GREETING);
}
function receive({ event, data }) {
  if (["lost", "hello", "refresh"].includes(event)) current = false;
  if (event === "lost") return void (state === "live" && awaitGreeting());
  if (event === "full" || event === "waiting" || (event === "hello" && data === "waiting")) show("polling");
  else if (event === "hello" || event === "refresh") show("live");
  if (event === "hello") readBoard();
  else if (event === "refresh") setTimeout(readBoard, Math.random() * 800); // not all screens at once
  else if (event === "rental") {
    changed.add(data.match(/id="rental-(\d+)"/)?.[1]);
    putCard(data);
  } else if (event === "gone") {
    changed.add(data);
    removeCard(data);
  } else if (event === "session-expired") {
    // Perhaps only of this session: signed in again in another tab, the board can still be read, and a stream be had.
    signedOut = true;
    show("reconnecting");
    readBoard();
  } else if (event === "team-switched") readBoard();
  else if (event === "notice") document.dispatchEvent(new CustomEvent("desk:notice", { detail: { sentence: data } }));
  else if (event === "tokens") for (const part of document.querySelectorAll('[hx-trigger*="sse:tokens"]')) htmx.trigger(part, "sse:tokens");
  // A greeting proves nothing about the board on the page: reading it does.
  if (state === "live" && current && ["rental", "gone", "tokens", "beat"].includes(event)) freshAt = Date.now();
  showAge();
}

// Cards

// htmx swaps a card out of band only where one of its id is, so a new card first gets an
// empty place where its time puts it.
function makeRoom(html) {
  const { content } = Object.assign(document.createElement("template"), { innerHTML: html });
  for (const card of content.querySelectorAll("[data-rental-id][hx-swap-oob]")) {
    if (document.getElementById(card.id)) continue;
    const place = Object.assign(document.createElement("article"), { id: card.id, hidden: true });
    place.dataset.at = card.dataset.at;
    place.dataset.said = card.dataset.said ?? "";
    board.insertBefore(place, cardAfter(place));
  }
}
// Newest orders first; where the person prefers so, the cards with a message before them, the newest message on top.
const codesFirst = () => document.getElementById("codes-first").getAttribute("aria-checked") === "true";
function isBefore(card, other) {
  const [said, otherSaid] = codesFirst() ? [Number(card.dataset.said ?? 0), Number(other.dataset.said ?? 0)] : [0, 0];
  return said === otherSaid ? Number(card.dataset.at) > Number(other.dataset.at) : said > otherSaid;
}
const cardAfter = (card) => [...board.querySelectorAll(":scope > [data-at]")].find((other) => other !== card && isBefore(card, other)) ?? board.querySelector(":scope > .empty");
// Put a card where it belongs. The focus in it stays.
function putInPlace(card) {
  const next = cardAfter(card);
  if (card.nextElementSibling === next) return;
  const focused = card.matches(":focus-within") && document.activeElement;
  board.insertBefore(card, next);
  if (focused) focused.focus({ preventScroll: true });
}
export function sortBoard() {
  for (const card of cards()) putInPlace(card);
}
document.addEventListener("htmx:oobAfterSwap", ({ target }) => target.matches("#board > [data-rental-id]") && codesFirst() && putInPlace(target));

// The answer to a form of ours may bring cards as well.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!detail.shouldSwap) return;
  makeRoom(detail.serverResponse);
  if (detail.requestConfig.elt.isConnected) return;
  // The card was replaced while its button was answered: htmx would look for the targets around the old card.
  detail.shouldSwap = false;
  htmx.swap(document.body, detail.serverResponse, { swapStyle: "none" });
});

// `html` is one card, with hx-swap-oob.
function putCard(html) {
  makeRoom(html);
  const focused = document.activeElement;
  const card = focused?.closest("#board > [data-rental-id]");
  htmx.swap(board, html, { swapStyle: "none" });
  // htmx puts the focus back by id, and our links have none.
  if (card && !focused.isConnected && !focused.id) focusLink(document.getElementById(card.id), focused.href);
}
function focusLink(card, href) {
  const link = [...(card?.querySelectorAll("a[href]") ?? [])].find((each) => each.href === href);
  link?.focus({ preventScroll: true });
}

// A card stays while the keyboard is in it: the next whole board takes it away.
function drop(card) {
  if (!card?.matches(":focus-within")) card?.remove();
}
const removeCard = (rentalId) => drop(document.getElementById(`rental-${rentalId}`));

// A finished card leaves when its time on the board is over, unless it has the focus or the pointer.
setInterval(() => {
  for (const card of cards()) {
    if (!card.dataset.leaves || Number(card.dataset.leaves) > serverTime() || card.matches(":hover, :focus-within")) continue;
    card.classList.add("is-leaving");
    setTimeout(() => card.remove(), 400);
  }
}, 5000);

// The whole board

const changed = new Set(); // the rentals that events changed since the board was last asked for
let reading = false;
let readAgainIn = 0; // ms; 0: no need
async function readBoard() {
  if (reading) return void (readAgainIn = 1000);
  reading = true;
  readAgainIn = 0;
  changed.clear();
  const wasAway = !document.hidden && Date.now() - seenAt >= NEWS;
  try {
    const address = wasAway ? `${sign.dataset.boardUrl}&since=${Math.round(serverTime(seenAt))}` : sign.dataset.boardUrl;
    const answer = await fetch(address, { headers: { "HX-Request": "true", "HX-Current-URL": location.href, "X-Page-Team": document.body.dataset.pageTeam ?? "" }, signal: AbortSignal.timeout(15_000) });
    const html = await answer.text();
    const page = new DOMParser().parseFromString(html, "text/html");
    const fresh = page.getElementById("board");
    if (fresh) {
      mergeBoard(fresh);
      boardIsFresh();
      const sentence = page.getElementById("away-news")?.textContent.trim();
      if (sentence) document.dispatchEvent(new CustomEvent("desk:away", { detail: { sentence } }));
    } else if (answer.status === 409) showOtherTeam(html);
    else if (answer.redirected || answer.status === 401 || answer.headers.has("HX-Redirect")) location.reload(); // to the sign-in page
    else readAgainIn = RETRY;
  } catch {
    readAgainIn = RETRY; // no answer: the sign says how long ago the last one was
  }
  reading = false;
  if (readAgainIn) setTimeout(readBoard, readAgainIn);
}
// The person works in another team now, so this board is no longer read. It is again once they are back.
function showOtherTeam(html) {
  if (document.getElementById("team-switched").hidden) htmx.swap(document.body, html, { swapStyle: "none" });
  show("teamSwitched");
}
function mergeBoard(fresh) {
  const ids = new Set();
  for (const card of fresh.querySelectorAll(":scope > [data-rental-id]")) {
    const old = document.getElementById(card.id);
    ids.add(card.id);
    if (old && contentOf(old) === contentOf(card)) continue;
    if (changed.has(card.dataset.rentalId)) {
      readAgainIn = 1000; // which of the two is newer? The next board knows.
      continue;
    }
    card.setAttribute("hx-swap-oob", "true");
    putCard(card.outerHTML);
  }
  document.getElementById("board-more").replaceWith(fresh.ownerDocument.getElementById("board-more"));
  for (const old of cards()) if (!ids.has(old.id) && !changed.has(old.dataset.rentalId)) drop(old);
}
// A card whose content is the same stays, with its focus and the recording that plays in it. Times, bars, CSRF tokens
// and classes change by themselves.
const CHANGING = /<(time|progress)\b[^]*?<\/\1>|<input type="hidden"[^>]*>| class="[^"]*"/g;
const contentOf = (card) => card.dataset.status + card.innerHTML.replace(CHANGING, "").replace(/\s+/g, " ");

function boardIsFresh() {
  freshAt = Date.now();
  if (!document.hidden) seenAt = freshAt;
  current = true;
  showAge();
  document.getElementById("team-switched").hidden = true;
  if (!signedOut && state !== "teamSwitched") return;
  signedOut = false;
  connect();
}

// Time

async function poll() {
  const began = Date.now();
  // A place in the queue changes with the orders before it, and this card's stream says nothing of those.
  const queues = state === "live" && !document.hidden && board.querySelector(":scope > [data-status=queued]");
  if (state !== "live" || queues) await readBoard();
  const rest = Math.max(document.hidden ? 4 * POLL : queues ? 2 * POLL : POLL, 10 * (Date.now() - began));
  setTimeout(poll, rest * (0.75 + Math.random() / 2));
}
setTimeout(poll, POLL);

let tickedAt = Date.now();
setInterval(() => {
  const slept = Date.now() - tickedAt > FRESH && !document.hidden;
  tickedAt = Date.now();
  if (slept) readBoard();
  else if (state === "live" && current && !reading && !document.hidden) seenAt = freshAt;
  if (state === "offline" && navigator.onLine) awaitGreeting();
  else if (state !== "live" && !navigator.onLine) show("offline");
  else showAge();
}, 1000);

let hiddenAt = Date.now();
document.addEventListener("visibilitychange", () => {
  if (document.hidden) hiddenAt = Date.now();
  else if (Date.now() - hiddenAt > AWAY) readBoard();
});
addEventListener("online", () => (connect(), readBoard()));
addEventListener("pagehide", disconnect);
addEventListener("pageshow", (event) => event.persisted && connect());

connect();
