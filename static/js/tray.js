// The tray of new codes. It stays in sight however long the board is: one's own codes first, the newest of them on top.
// An entry goes when its code is copied or dismissed, fades or is masked, or when its card leaves the board.
import { fadesAt, goWith } from "./fading.js";
import { cards } from "./live.js";
import { serverTime } from "./server-clock.js";

const YOUNG = 600_000; // ms: an older code that comes with the page is no news
const COPIED = 6000; // ms that an entry stays after its code was copied
const SEEN = "seen-codes"; // in the session's storage: the time of the message that was seen, by card

const tray = document.getElementById("tray");
const list = tray.querySelector("ol");
const pattern = tray.querySelector("template");
const seen = JSON.parse(sessionStorage.getItem(SEEN) ?? "{}");

// The button of the code, or those of several codes where none stands out.
const codesOf = (card) => [...card.querySelectorAll(".rental-said > .code[data-copy]")];
const entryOf = (card) => [...list.children].find((entry) => entry.dataset.card === card.id);

// Put the code of `card` into the tray, unless it was seen there.
export function addToTray(card) {
  if (!codesOf(card).length || seen[card.id] === card.dataset.rings) return;
  const entry = entryOf(card) ?? pattern.content.firstElementChild.cloneNode(true);
  entry.dataset.card = card.id;
  fill(entry, card);
  const order = ({ dataset }) => Number(dataset.mine) * 1e15 + Number(dataset.rings);
  list.insertBefore(entry, [...list.children].find((other) => other !== entry && order(other) < order(entry)) ?? null);
  tray.hidden = false;
}

function fill(entry, card) {
  const [button, ...more] = entry.querySelectorAll(".tray-code");
  const jump = entry.querySelector(".tray-jump");
  const mine = card.matches(".is-mine");
  entry.dataset.mine = String(Number(mine));
  entry.dataset.rental = card.dataset.rentalId;
  entry.dataset.rings = card.dataset.rings;
  for (const each of more) each.remove();
  const buttons = codesOf(card).map((code, place) => {
    const shown = place ? button.cloneNode() : button;
    Object.assign(shown.dataset, code.dataset);
    shown.textContent = code.querySelector("[data-testid]").textContent;
    return shown;
  });
  button.after(...buttons.slice(1));
  jump.href = card.querySelector(".rental-service a").href;
  jump.querySelector(".tray-service").textContent = card.querySelector(".rental-service").textContent.trim();
  jump.querySelector(".tray-phone").textContent = card.querySelector("[data-testid=phone]")?.textContent ?? "";
  jump.querySelector(".tray-who").textContent = mine ? "" : card.querySelector(".who").textContent.trim();
  goWith(fadesAt(card), entry);
}

function remove(entry) {
  const leaves = list.children.length > 1 ? entry : tray; // what the page loses
  const hadFocus = leaves.contains(document.activeElement);
  const next = entry.nextElementSibling ?? entry.previousElementSibling;
  entry.remove();
  tray.hidden = !list.children.length;
  if (hadFocus) (next?.querySelector("button") ?? document.getElementById("main")).focus({ preventScroll: true });
}
function dismiss(entry) {
  seen[entry.dataset.card] = entry.dataset.rings;
  sessionStorage.setItem(SEEN, JSON.stringify(seen));
  remove(entry);
}

// Show the card, and put the focus on it; its own page where the board does not have it.
function jump(event, entry) {
  const card = document.getElementById(entry.dataset.card);
  if (!card || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  card.scrollIntoView({ block: "center" });
  card.focus({ preventScroll: true });
  card.classList.remove("is-fresh");
  requestAnimationFrame(() => card.classList.add("is-fresh"));
}

tray.addEventListener("click", (event) => {
  const entry = event.target.closest("li");
  if (event.target.closest("[data-dismiss-all]")) for (const each of [...list.children]) dismiss(each);
  else if (event.target.closest("[data-dismiss]")) dismiss(entry);
  else if (event.target.closest(".tray-jump")) jump(event, entry);
});
// A code that was copied, here or on its card, needs no tray.
document.addEventListener("desk:copied", ({ target }) => {
  const card = target.closest("#tray li")?.dataset.card ?? (target.closest(".rental-said") && target.closest("[data-rental-id]")?.id);
  const entry = [...list.children].find((each) => each.dataset.card === card);
  if (!entry) return;
  entry.classList.add("is-copied");
  setTimeout(() => entry.isConnected && dismiss(entry), COPIED);
});
// A card that changes changes its entry: the code may be masked now.
document.addEventListener("htmx:oobAfterSwap", ({ target: card }) => {
  const entry = card.matches("[data-rental-id]") && entryOf(card);
  if (entry && codesOf(card).length) fill(entry, card);
  else if (entry) remove(entry);
});
setInterval(() => {
  for (const entry of [...list.children]) if (!document.getElementById(entry.dataset.card)) remove(entry);
  if (!tray.hidden && !list.children.length) tray.hidden = true; // fading takes entries away
}, 1000);

for (const card of cards()) if (serverTime() - Number(card.dataset.rings) < YOUNG) addToTray(card);
