// The desk: what is said when a code comes or an order ends, where the focus goes, and keyboard shortcuts.
import { announce, countUnseen, CODE_NOTES, isOn, MESSAGE_NOTES, notify, ring, showCount, showPermission, showSilence } from "./alerts.js";
import { fadesAt } from "./fading.js";
import "./favicon.js";
import { CODE, copy, copyCode, isTyping } from "./keys.js";
import { cards, sortBoard } from "./board.js";
import { serverTime } from "./server-clock.js";
import { sentence, toast } from "./toasts.js";
import { addToTray, listed } from "./tray.js";

const YOUNG = 600_000; // ms

// New codes

// The message that each card showed last. The cards that come with the page are no news.
const messages = new Map(cards().map((card) => [card.id, messageOf(card)]));

// When the newest message came, when the newest one with a code or a voice call, and the code, or the text where there is none.
function messageOf(card) {
  const code = codesOf(card).join(" / ");
  const { said: at, rings } = card.dataset;
  return { at, rings, text: code || card.querySelector("[data-testid=sms]")?.textContent || "" };
}
// The code, or several of one message where none stands out.
function codesOf(card) {
  return [...card.querySelectorAll("[data-testid=code], [data-testid=equal-code]")].map(({ textContent }) => textContent);
}
const isMasked = (text) => /^•+$/.test(text);

function isNews(card, message, before) {
  if (!message.text || (message.text === before?.text && message.at === before.at)) return false;
  // A card that was not there may bring a young code: it came while we were away, or the filter hid its order.
  if (!before) return serverTime() - Number(card.dataset.at) < YOUNG;
  // The same message may fade, or be revealed.
  return message.at !== before.at || isMasked(message.text) === isMasked(before.text);
}

// However a card comes, by the stream, with the whole board or as the answer to a form, htmx puts it in.
document.addEventListener("htmx:oobAfterSwap", ({ target: card }) => {
  if (!card.matches("[data-rental-id]")) return;
  const message = messageOf(card);
  const before = messages.get(card.id);
  messages.set(card.id, message);
  if (isNews(card, message, before)) announceMessage(card, Boolean(message.rings) && message.rings !== before?.rings);
});

// `rings`: it has a new code, or is a voice call. An advert or a balance notice is told, but does not pass for a code.
function announceMessage(card, rings) {
  const shown = codesOf(card).join(" / ");
  const code = isMasked(shown) || !rings ? "" : shown;
  const { service, phone } = namesOf(card);
  const fades = fadesAt(card);
  const without = card.matches(".has-no-code") ? "unrecognised" : "newMessage";
  const caution = card.querySelector("[data-testid=caution]")?.textContent.trim();
  const news = code ? sentence("newCode", { service, phone, code: [...code].join(" ") }) : sentence(without, { service, phone });
  announce([news, caution].filter(Boolean).join(". "), fades);
  card.classList.add("is-fresh");
  if (isOn("sounds")) ring(rings ? CODE_NOTES : MESSAGE_NOTES);
  if (!rings) return;
  addToTray(card);
  countUnseen();
  notify(code || service, { body: `${service} · ${phone}`, tag: card.id }, fades);
}
const namesOf = (card) => ({
  service: card.querySelector(".rental-service").textContent.trim(),
  phone: card.querySelector("[data-testid=phone]")?.textContent ?? "",
});

// How one's own orders go on: each outcome is announced once. What one cancels oneself, a toast tells.

const statuses = new Map(cards().map((card) => [card.id, card.dataset.status]));
const cancelled = new Set();
const OUTCOMES = { waiting: "rented", refused: "refused", expired: "expired", unconfirmed: "unconfirmed", cancelled: "cancelled" };
document.addEventListener("htmx:oobAfterSwap", ({ target: card }) => {
  if (!card.matches("[data-rental-id]")) return;
  const { status } = card.dataset;
  const before = statuses.get(card.id);
  statuses.set(card.id, status);
  if (!before || before === status || !card.matches(".is-mine") || !OUTCOMES[status] || (status === "cancelled" && cancelled.has(card.id))) return;
  const reason = card.querySelector("[data-testid=reason]")?.textContent ?? "";
  // Such as what it cost, where that is more than was shown.
  const warnings = status === "waiting" ? [...card.querySelectorAll(".warning")].map(({ textContent }) => textContent.trim()) : [];
  announce([sentence(OUTCOMES[status], { ...namesOf(card), reason }), ...warnings].join(". "));
});

// The focus

// After an order it is on the new card, from where Tab leads to the number and the code. It never falls out of the page:
// the button that had it gets it back, and where that is gone, its card.
let asking; // the card whose form was sent; "" for the form of the order
let added; // the card that the answer brought
let focusedCard = "";
let focusedPart = ""; // by its id: the card may be drawn anew, and a button loses the focus while it is answered
document.addEventListener("focusin", ({ target }) => {
  focusedCard = target.closest("#board > [data-rental-id]")?.id ?? "";
  focusedPart = focusedCard && target.id;
});
const cardOf = (path) => {
  const [, id] = path.match(/\/rentals\/(\d+)\//) ?? [];
  return id && `rental-${id}`;
};
// The stream may bring the card before the answer does.
document.addEventListener("htmx:beforeRequest", ({ detail: { requestConfig } }) => {
  if (requestConfig.path.endsWith("/cancel/")) cancelled.add(cardOf(requestConfig.path));
});
document.addEventListener("htmx:beforeSwap", ({ detail: { requestConfig } }) => {
  const { verb, path, elt: form } = requestConfig;
  if (verb !== "post") return;
  asking = path.endsWith("/rent/") ? "" : cardOf(path);
  added = undefined;
  // htmx tells of the end where the form is still in the page: its card may have been drawn anew meanwhile.
  if (!form.isConnected) setTimeout(answered);
});
document.addEventListener("htmx:oobAfterSwap", ({ target: card }) => {
  if (asking !== undefined && card.matches("[data-rental-id]") && card.id !== asking) added = card.id;
  setTimeout(keepFocus);
});
document.addEventListener("htmx:afterRequest", answered);
function answered() {
  if (asking === undefined) return;
  const [order, card] = [asking === "", added];
  asking = added = undefined;
  setTimeout(() => {
    if (card) document.getElementById(card).focus();
    else if (order && document.activeElement === document.body) (document.querySelector("#rent [aria-invalid=true]") ?? document.getElementById("service"))?.focus();
    else keepFocus();
  }, 50); // after htmx has put the focus back by id
}
function keepFocus() {
  if (document.activeElement !== document.body || !focusedCard) return;
  const part = focusedPart && document.querySelector(`#${focusedPart}:enabled, #${focusedPart}[href]`);
  // Its request may still be under way: the card would take the focus for good.
  if (!part && asking === focusedCard) return;
  (part || document.getElementById(focusedCard) || document.getElementById("main")).focus({ preventScroll: true });
}
// Escape leaves a field of the form: from the board, the single keys work.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || !event.target.closest("#rent")) return;
  (cards()[0] ?? document.getElementById("main")).focus({ preventScroll: true });
});

// That ThueSim does not answer is told once when it begins, and once when it ends.
let outage = document.getElementById("outage").textContent.trim();
document.addEventListener("htmx:oobAfterSwap", ({ target }) => {
  if (target.id !== "outage") return;
  const before = outage;
  outage = document.getElementById("outage").textContent.trim();
  if (Boolean(outage) !== Boolean(before)) announce(outage || sentence("answersAgain"));
});

// One line says what happened while the person was away, and stays until it is dismissed.
const awayLine = document.getElementById("away");
document.addEventListener("desk:away", ({ detail }) => {
  awayLine.querySelector("span").textContent = detail.sentence;
  awayLine.hidden = false;
  announce(detail.sentence);
});
awayLine.addEventListener("click", ({ target }) => {
  if (!target.closest("button")) return;
  awayLine.hidden = true;
  document.getElementById("main").focus({ preventScroll: true });
});

// What a colleague did that concerns this person: a number was handed over.
document.addEventListener("desk:notice", ({ detail }) => {
  toast(detail.sentence);
  announce(detail.sentence);
  if (isOn("sounds")) ring();
  notify(detail.sentence);
});

// Who was signed out finds the order as it was typed, after the sign-in.

const DRAFT = "order-draft";
document.addEventListener("desk:signed-out", () => {
  const form = document.getElementById("rent");
  if (!form) return;
  const fields = ["service", "prefixes", "exclude_prefixes", "purpose", "keep_trying", "token", "max_price"];
  const data = new FormData(form);
  sessionStorage.setItem(DRAFT, JSON.stringify({ networks: data.getAll("networks"), values: fields.map((name) => [name, data.get(name) ?? ""]) }));
});
const draft = JSON.parse(sessionStorage.getItem(DRAFT) ?? "null");
sessionStorage.removeItem(DRAFT);
for (const [name, value] of draft?.values ?? []) {
  const field = document.querySelector(`#rent [name="${name}"]`);
  if (!field) continue;
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.dispatchEvent(new Event("blur"));
}
for (const name of draft?.networks ?? []) document.querySelector(`#rent [name=networks][value="${CSS.escape(name)}"]`)?.click();

// Preferences: forms, which htmx sends

document.addEventListener("htmx:afterSettle", () => {
  showPermission();
  showSilence();
  showCount();
  showView();
});
function showView() {
  const dense = document.getElementById("dense-board").getAttribute("aria-checked") === "true";
  document.getElementById("board").classList.toggle("is-dense", dense);
  sortBoard();
}
// Keyboard shortcuts

const PHONE = "[data-copy-phone]";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || !isOn("keys")) return;
  if (event.key === "/") document.querySelector("service-picker")?.focusInput();
  else if (event.key === "c") copyCode(newestCode());
  else if (event.key === "n") copy(cards().find((card) => card.querySelector(PHONE))?.querySelector(PHONE));
  else return;
  event.preventDefault();
});
// The code that came last, which need not be that of the newest order: one's own before a colleague's. Where its card is
// out of sight, the one in the tray.
function newestCode() {
  const received = cards().filter((card) => card.querySelector(CODE));
  const newer = (a, b) => Number(b.matches(".is-mine")) - Number(a.matches(".is-mine")) || Number(b.dataset.rings ?? 0) - Number(a.dataset.rings ?? 0);
  const [newest] = received.sort(newer);
  return newest && (listed(newest) ?? newest).querySelector(CODE);
}
