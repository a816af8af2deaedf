// Keeps the board as it is on the server: cards come by the event stream, and with the whole board that is read in doubt.
//
// When a person is back and something happened meanwhile, document gets `desk:away` {sentence}.
import { serverTime } from "./server-clock.js";
import { keep, readPart, readSoon } from "./stream.js";

const board = document.getElementById("board");
export const cards = () => [...board.querySelectorAll(":scope > [data-rental-id]")];

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

// A card that tells of something that is over can be dismissed, in this browser: it leaves the board soon anyway.

const DISMISSED = "dismissed-cards"; // in the storage of the browser: the status at which each was dismissed
const dismissed = JSON.parse(localStorage.getItem(DISMISSED) ?? "{}");
const isDismissed = (card) => dismissed[card.id] === card.dataset.status;
const dropDismissed = () => cards().filter(isDismissed).forEach((card) => card.remove());
document.addEventListener("click", ({ target }) => {
  const card = target.closest("[data-dismiss-card]")?.closest("#board > [data-rental-id]");
  if (!card) return;
  dismissed[card.id] = card.dataset.status;
  localStorage.setItem(DISMISSED, JSON.stringify(Object.fromEntries(Object.entries(dismissed).slice(-200))));
  const next = card.nextElementSibling?.matches("[data-rental-id]") ? card.nextElementSibling : (cards().find((other) => other !== card) ?? document.getElementById("main"));
  card.remove();
  next.focus({ preventScroll: true });
});
document.addEventListener("htmx:oobAfterSwap", ({ target }) => target.matches("#board > [data-rental-id]") && isDismissed(target) && target.remove());
dropDismissed();

// The whole board

const changed = new Set(); // the rentals that events changed since the board was last asked for

let placesSoon;
function change(event, data) {
  // Another order's turn moves the places of those behind it, of which the stream says nothing.
  if (board.querySelector(":scope > [data-status=queued]")) placesSoon ??= setTimeout(() => ((placesSoon = undefined), readPart()), 700);
  if (event === "rental") {
    changed.add(data.match(/id="rental-(\d+)"/)?.[1]);
    putCard(data);
  } else if (event === "gone") {
    changed.add(data);
    removeCard(data);
  }
}
function merge(page) {
  const fresh = page.getElementById("board");
  if (!fresh) return false;
  const ids = new Set();
  for (const card of fresh.querySelectorAll(":scope > [data-rental-id]")) {
    const old = document.getElementById(card.id);
    ids.add(card.id);
    if (isDismissed(card) || (old && (contentOf(old) === contentOf(card) || staysRevealed(old, card)))) continue;
    if (changed.has(card.dataset.rentalId)) {
      readSoon();
      continue;
    }
    card.setAttribute("hx-swap-oob", "true");
    putCard(card.outerHTML);
  }
  document.getElementById("board-more").replaceWith(page.getElementById("board-more"));
  for (const old of cards()) if (!ids.has(old.id) && !changed.has(old.dataset.rentalId)) drop(old);
  const sentence = page.getElementById("away-news")?.textContent.trim();
  if (sentence) document.dispatchEvent(new CustomEvent("desk:away", { detail: { sentence } }));
  return true;
}
// The board brings a code masked that the person has revealed here. It stays as long as nothing has come to the number and
// they may still reveal it.
const staysRevealed = (old, card) =>
  old.matches("[data-revealed]") &&
  old.dataset.status === card.dataset.status &&
  old.dataset.said === card.dataset.said &&
  card.querySelector("form[action$='/reveal/']") !== null;
// A card whose content is the same stays, with its focus and the recording that plays in it. Times, bars, CSRF tokens
// and classes change by themselves.
const CHANGING = /<(time|progress)\b[^]*?<\/\1>|<input type="hidden"[^>]*>| class="[^"]*"/g;
const contentOf = (card) => card.dataset.status + card.innerHTML.replace(CHANGING, "").replace(/\s+/g, " ");

keep({
  merge,
  change,
  news: true,
  begin: () => changed.clear(),
  // A place in the queue changes with the orders before it, and this card's stream says nothing of those.
  wants: () => board.querySelector(":scope > [data-status=queued]"),
});
