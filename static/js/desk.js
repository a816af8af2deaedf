// The desk: what happens when a code comes, the keys, and cards whose time is over.
import "./live.js";
import { serverTime } from "./server-clock.js";
import { sentence, toast } from "./toasts.js";

const wants = (what) => document.getElementById("preferences").dataset[what] === "on";
const board = () => document.getElementById("board");
const cards = () => [...document.querySelectorAll("#board > [data-testid=rental]")];

// A code is new when its card shows another one than before. The first sight of a page is not news.
const codes = new Map();
let unseen = 0;
let lately = 0;

function saidBy(card) {
  const code = card.querySelector("[data-testid=code]")?.textContent ?? "";
  return code || card.querySelector("[data-testid=sms]")?.textContent || "";
}

function look() {
  const fresh = [];
  for (const card of cards()) {
    const said = saidBy(card);
    const known = codes.get(card.id);
    codes.set(card.id, said);
    if (said && known !== undefined && known !== said) fresh.push(card);
    // A card that was not there and brings a young code: it came while we were away or under another filter.
    else if (said && known === undefined && started && serverTime() - Number(card.dataset.at) < 600000) fresh.push(card);
  }
  for (const card of fresh) tell(card);
}

function announce(text) {
  const announced = document.getElementById("announce");
  announced.append(Object.assign(document.createElement("p"), { textContent: text }));
  if (announced.children.length > 5) announced.firstElementChild.remove();
}

function tell(card) {
  const code = card.querySelector("[data-testid=code]")?.textContent ?? "";
  const shown = /[^•]/.test(code) ? code : "";
  const parts = { service: card.querySelector(".rental-service").textContent.trim(), phone: card.querySelector("[data-testid=phone]")?.textContent ?? "" };
  announce(shown ? sentence("newCode", { ...parts, code: [...shown].join(" ") }) : sentence("newMessage", parts));
  card.classList.add("is-fresh");
  if (document.hidden) {
    unseen += 1;
    showCount();
  }
  if (wants("sounds")) ring();
  if (wants("notifies") && document.hidden && notifying() === "granted") {
    const note = new Notification(shown || parts.service, { body: `${parts.service} · ${parts.phone}`, tag: card.id });
    note.onclick = () => { focus(); note.close(); };
  }
}

const title = document.title;
function showCount() {
  document.title = unseen && wants("counts") ? `(${unseen}) ${title}` : title;
}
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unseen = 0;
  showCount();
});

// Two soft notes, made here: nothing to fetch. Codes that come together ring once.
let audio;
function ring() {
  if (Date.now() - lately < 1500) return;
  lately = Date.now();
  audio ??= new AudioContext();
  for (const [i, pitch] of [880, 1318.5].entries()) {
    const [tone, volume, at] = [audio.createOscillator(), audio.createGain(), audio.currentTime + i * 0.13];
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0, at);
    volume.gain.linearRampToValueAtTime(0.16, at + 0.015);
    volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.45);
    tone.connect(volume).connect(audio.destination);
    tone.start(at);
    tone.stop(at + 0.5);
  }
}

// One line says what happened meanwhile, and stays until it is put away.
document.addEventListener("desk:away", ({ detail: { sentence } }) => {
  const line = document.getElementById("away");
  line.querySelector("span").textContent = sentence;
  line.hidden = false;
  announce(sentence);
});
document.getElementById("away").addEventListener("click", ({ currentTarget, target }) => {
  if (!target.closest("button")) return;
  currentTarget.hidden = true;
  document.getElementById("main").focus({ preventScroll: true });
});

// Preferences are forms that work by themselves. Notifications need the browser's leave as well, and it differs by browser.
const notifying = () => window.Notification?.permission ?? "denied";
function showNotifying() {
  const button = document.getElementById("notify-switch");
  const asks = wants("notifies") && notifying() !== "granted";
  button.classList.toggle("asks", asks);
  button.title = asks ? button.dataset.ask : button.textContent.trim();
}
document.addEventListener("click", async (event) => {
  const button = event.target.closest("#sound-switch, #notify-switch");
  if (!button) return;
  const on = button.getAttribute("aria-pressed") === "true";
  if (button.id === "sound-switch") return void (on || ring());
  if (notifying() === "granted" || (on && notifying() === "denied")) return;
  event.preventDefault();
  if ((await window.Notification?.requestPermission()) !== "granted") return toast(sentence("notifyDenied"), true);
  if (on) showNotifying();
  else button.form.requestSubmit(button);
});
document.addEventListener("htmx:afterSettle", () => {
  showNotifying();
  showCount();
});

// Keys, for hands that stay on the keyboard.
const typing = (target) => target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog");
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || !wants("keys")) return;
  if (event.key === "/") document.querySelector("service-picker")?.focusInput();
  else if (event.key === "c") copyNewest("[data-copy]");
  else if (event.key === "n") copyNewest("[data-copy-phone]");
  else if (event.key === "?") document.getElementById("keys").showModal();
  else return;
  event.preventDefault();
});
function copyNewest(what) {
  // The newest code is the one that came last, not the one of the newest order.
  const found = cards().filter((card) => card.querySelector(what));
  const newest = what === "[data-copy]" ? found.sort((a, b) => Number(b.dataset.said) - Number(a.dataset.said))[0] : found[0];
  if (newest) newest.querySelector(what).click(); // page.js copies what is clicked
  else toast(sentence("noCode"), true);
}

// A finished card leaves when its half hour is over, unless somebody is at it.
setInterval(() => {
  const now = serverTime();
  for (const card of cards()) {
    if (!card.dataset.leaves || Number(card.dataset.leaves) > now || card.matches(":hover, :focus-within")) continue;
    card.classList.add("is-leaving");
    setTimeout(() => card.remove(), 400);
  }
}, 5000);

let started = false;
look();
started = true;
showNotifying();
new MutationObserver(look).observe(document.querySelector(".desk"), { childList: true, subtree: true });
