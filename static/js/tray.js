// The tray of new codes. It stays in sight however long the board is: one's own codes first, the newest of them on top.
// An entry goes when its code is copied or dismissed, fades or is masked, or when its card leaves the board. It is hidden
// while its card shows the code in sight.
import { fadesAt, goWith } from "./fading.js";
import { cards } from "./board.js";
import { serverTime } from "./server-clock.js";

const YOUNG = 600_000; // ms: an older code that comes with the page is no news
const COPIED = 6000; // ms that an entry stays after its code was copied
const IN_SIGHT = 1000; // ms for which a code is in sight before its entry is hidden
const SEEN = "seen-codes"; // in the session's storage: the time of the message that was seen, by card

const tray = document.getElementById("tray");
const list = tray.querySelector("ol");
const pattern = tray.querySelector("template");
const ago = new Intl.RelativeTimeFormat(document.documentElement.lang, { style: "short", numeric: "auto" });
const seen = JSON.parse(sessionStorage.getItem(SEEN) ?? "{}");

// The button of the code, or those of several codes where none stands out.
const codesOf = (card) => [...card.querySelectorAll(".rental-said > .code[data-copy]")];
// Tells when a code comes into the window or leaves it, however that happens.
const crossings = new IntersectionObserver(() => hideWhatIsInSight(), { threshold: [0, 1] });
const entryOf = (card) => [...list.children].find((entry) => entry.dataset.card === card.id);

// The entry that shows the code of `card` now.
export const listed = (card) => [...list.children].find((entry) => entry.dataset.card === card.id && !entry.hidden);

// Put the code of `card` into the tray, unless it was seen there or no longer holds.
export function addToTray(card) {
  if (!codesOf(card).length || (card.matches(".has-void-code") && !entryOf(card)) || seen[card.id] === card.dataset.rings) return;
  const entry = entryOf(card) ?? pattern.content.firstElementChild.cloneNode(true);
  if (!entry.isConnected) entry.hidden = !document.hidden; // until `crossings` tells of its card
  entry.dataset.card = card.id;
  fill(entry, card);
  const order = ({ dataset }) => Number(dataset.mine) * 1e15 + Number(dataset.rings);
  list.insertBefore(entry, [...list.children].find((other) => other !== entry && order(other) < order(entry)) ?? null);
  if (document.hidden) tray.hidden = false;
}

// A code in sight on its card is not listed as well. What the tray covers is out of sight while it is there, so the tray is
// made as small as it can be, and then takes in what it covers: it comes to the same each time, and never flickers.
const POINTS = [[0.5, 0.5], [0.1, 0.5], [0.9, 0.5], [0.5, 0.1], [0.5, 0.9]]; // of a part, as shares of its width and height
const hovers = matchMedia("(hover: hover)"); // on a touch screen, what was touched stays hovered
const narrow = matchMedia("(max-width: 47.5rem)");
const inSightSince = new WeakMap(); // by entry
function hideWhatIsInSight() {
  if (document.hidden || document.querySelector("dialog[open]")) return; // nobody sees the cards
  const entries = [...list.children];
  const isUsed = !tray.hidden && tray.matches(hovers.matches ? ":hover, :focus-within" : ":focus-within");
  // All are judged before one is hidden: looking up what lies at a point makes the browser draw up the page each time.
  const areInSight = entries.map((entry) => isInSight(partsOf(entry)));
  for (const [place, entry] of entries.entries()) {
    if (!areInSight[place]) {
      inSightSince.delete(entry);
      entry.hidden = false;
    } else {
      if (!inSightSince.has(entry)) inSightSince.set(entry, performance.now());
      entry.hidden ||= !isUsed && performance.now() - inSightSince.get(entry) >= IN_SIGHT;
    }
  }
  // On a phone the tray would lie over the panel of the tour: others' codes wait until it ends.
  const isTouring = narrow.matches && document.getElementById("tour") !== null;
  let covered;
  do {
    tray.hidden = entries.every((entry) => entry.hidden || (isTouring && entry.dataset.mine === "0"));
    covered = entries.filter((entry) => entry.hidden && isUnderTray(partsOf(entry)));
    for (const entry of covered) entry.hidden = false;
  } while (covered.length);
}
// What says the code, and whose it is.
function partsOf(entry) {
  const card = document.getElementById(entry.dataset.card);
  return card ? [card.querySelector(".rental-service"), ...codesOf(card)] : [];
}
function isUnderTray(parts) {
  const over = tray.getBoundingClientRect();
  return parts.map((part) => part.getBoundingClientRect()).some(({ top, right, bottom, left }) => top < over.bottom && bottom > over.top && left < over.right && right > over.left);
}
// All of each part is in the window, and nothing lies over it. The tray is judged apart, and toasts go by themselves.
function isInSight(parts) {
  return parts.length > 1 && parts.every((part) => {
    const { top, right, bottom, left, width, height } = part.getBoundingClientRect();
    if (top < 0 || left < 0 || bottom > innerHeight || right > innerWidth || !width) return false;
    return POINTS.every(([x, y]) => {
      const uppermost = document.elementsFromPoint(left + x * width, top + y * height).find((each) => !each.closest("#tray, #toasts"));
      return uppermost && part.contains(uppermost);
    });
  });
}

function fill(entry, card) {
  const [button, ...more] = entry.querySelectorAll(".tray-code");
  const jump = entry.querySelector(".tray-jump");
  const mine = card.matches(".is-mine");
  entry.dataset.mine = String(Number(mine));
  entry.dataset.rental = card.dataset.rentalId;
  entry.dataset.rings = card.dataset.rings;
  for (const each of [...more, ...entry.querySelectorAll(".tray-words")]) each.remove();
  const rows = codesOf(card).map((code, place) => {
    const shown = place ? button.cloneNode() : button;
    for (const name of ["equal", "void", "caution"]) delete shown.dataset[name];
    Object.assign(shown.dataset, code.dataset);
    shown.classList.toggle("is-void", "void" in code.dataset);
    shown.textContent = code.querySelector("[data-testid]").textContent;
    // As on the card, the words before each of several codes tell them apart.
    const words = code.querySelector(".code-words")?.textContent ?? "";
    return "equal" in code.dataset ? [shown, Object.assign(document.createElement("span"), { className: "tray-words", dir: "auto", textContent: words })] : [shown];
  });
  button.after(...rows.flat().slice(1));
  entry.classList.toggle("is-several", rows.length > 1);
  const caution = codesOf(card)[0].dataset.caution ?? "";
  entry.querySelector(".tray-note").hidden = !caution;
  entry.querySelector(".tray-note span").textContent = caution;
  for (const code of codesOf(card)) crossings.observe(code);
  jump.href = card.querySelector(".rental-service a").href;
  jump.querySelector(".tray-service").textContent = card.querySelector(".rental-service").textContent.trim();
  jump.querySelector(".tray-phone").textContent = card.querySelector("[data-testid=phone]")?.textContent ?? "";
  jump.querySelector(".tray-who").textContent = mine ? "" : card.querySelector(".who").textContent.trim();
  showAge(entry);
  goWith(fadesAt(card), entry);
}

function showAge(entry) {
  const at = Number(entry.dataset.rings);
  const minutes = Math.max(0, Math.floor((serverTime() - at) / 60_000));
  const time = entry.querySelector(".tray-age");
  const age = minutes < 1 ? ago.format(0, "second") : minutes < 60 ? ago.format(-minutes, "minute") : ago.format(-Math.floor(minutes / 60), "hour");
  if (time.textContent === age) return;
  time.textContent = age;
  time.dateTime = new Date(at).toISOString();
}

function remove(entry) {
  const others = [...list.children].filter((each) => each !== entry && !each.hidden);
  const leaves = others.length ? entry : tray; // what the page loses
  const hadFocus = leaves.contains(document.activeElement);
  const next = others.find((each) => entry.compareDocumentPosition(each) & Node.DOCUMENT_POSITION_FOLLOWING) ?? others.at(-1);
  entry.remove();
  hideWhatIsInSight();
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
  if (event.target.closest("[data-dismiss-all]")) for (const each of [...list.children].filter(({ hidden }) => !hidden)) dismiss(each);
  else if (event.target.closest("[data-dismiss]")) dismiss(entry);
  else if (event.target.closest(".tray-jump")) jump(event, entry);
});
// A code that was copied needs no tray: an entry that was clicked stays for a moment, and one whose card was goes at once.
document.addEventListener("desk:copied", ({ target }) => {
  const clicked = target.closest("#tray li");
  const card = target.closest(".rental-said")?.closest("[data-rental-id]");
  const entry = clicked ?? (card && entryOf(card));
  if (!entry) return;
  if (!clicked) return dismiss(entry);
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
  for (const entry of [...list.children]) {
    if (document.getElementById(entry.dataset.card)) showAge(entry);
    else remove(entry);
  }
  hideWhatIsInSight(); // fading takes entries away, and what covers a card comes and goes
}, 1000);
document.addEventListener("visibilitychange", hideWhatIsInSight);

for (const card of cards()) if (serverTime() - Number(card.dataset.rings) < YOUNG) addToTray(card);
