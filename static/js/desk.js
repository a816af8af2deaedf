// The desk: what happens when a code comes, preferences, and keyboard shortcuts.
import { fadesAt, goWith } from "./fading.js";
import { cards, sortBoard } from "./live.js";
import { serverTime } from "./server-clock.js";
import { sentence, toast } from "./toasts.js";
import { addToTray } from "./tray.js";

const YOUNG = 600_000; // ms
const SOUND_PAUSE = 1500; // ms: codes that come together ring once
const ANNOUNCED = 60_000; // ms that an announcement stays, unless the code in it fades sooner

const isOn = (preference) => document.getElementById("preferences").dataset[preference] === "on";

// New codes

// The message that each card showed last. The cards that come with the page are no news.
const messages = new Map(cards().map((card) => [card.id, messageOf(card)]));

// When the newest message came, when the newest one with a code or a voice call, and the code, or the text where there is none.
function messageOf(card) {
  const code = card.querySelector("[data-testid=code]")?.textContent ?? "";
  const { said: at, rings } = card.dataset;
  return { at, rings, text: code || card.querySelector("[data-testid=sms]")?.textContent || "" };
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

function announce(text, fades) {
  const line = Object.assign(document.createElement("p"), { textContent: text });
  goWith(fades, line);
  document.getElementById("announce").append(line);
  setTimeout(() => line.remove(), ANNOUNCED);
}

// `rings`: it has a new code, or is a voice call. An advert or a balance notice is told, but does not pass for a code.
let unseen = 0;
function announceMessage(card, rings) {
  const shown = card.querySelector("[data-testid=code]")?.textContent ?? "";
  const code = isMasked(shown) || !rings ? "" : shown;
  const service = card.querySelector(".rental-service").textContent.trim();
  const phone = card.querySelector("[data-testid=phone]")?.textContent ?? "";
  const fades = fadesAt(card);
  announce(code ? sentence("newCode", { service, phone, code: [...code].join(" ") }) : sentence("newMessage", { service, phone }), fades);
  card.classList.add("is-fresh");
  if (isOn("sounds")) ring(rings ? CODE_NOTES : MESSAGE_NOTES);
  if (!rings) return;
  addToTray(card);
  if (document.hidden) {
    unseen += 1;
    showCount();
  }
  if (isOn("notifies") && document.hidden && permission() === "granted") {
    const notification = new Notification(code || service, { body: `${service} · ${phone}`, tag: card.id });
    notification.addEventListener("click", () => {
      focus();
      notification.close();
    });
    if (fades) {
      setTimeout(() => notification.close(), Number(fades) - serverTime());
      addEventListener("pagehide", () => notification.close()); // no timer runs then
    }
  }
}

const title = document.title;
function showCount() {
  document.title = unseen && isOn("counts") ? `(${unseen}) ${title}` : title;
}
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unseen = 0;
  showCount();
});

// Soft notes, made here: nothing to fetch. Two that rise for a code, a low one for any other message.
const CODE_NOTES = [880, 1318.5]; // Hz
const MESSAGE_NOTES = [440];
let audio;
let rangAt = 0;
function ring(notes = CODE_NOTES) {
  if (Date.now() - rangAt < SOUND_PAUSE) return;
  rangAt = Date.now();
  audio ??= new AudioContext();
  for (const [i, pitch] of notes.entries()) {
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
  if (isOn("notifies") && document.hidden && permission() === "granted") new Notification(detail.sentence);
});

// Preferences

// They are forms, which htmx sends. Notifications need the browser's permission too, and that differs by browser.
const permission = () => window.Notification?.permission ?? "denied";
function showPermission() {
  const button = document.getElementById("notify-switch");
  const asks = isOn("notifies") && permission() !== "granted";
  button.classList.toggle("asks", asks);
  button.title = asks ? button.dataset.ask : button.textContent.trim();
}
showPermission();
document.addEventListener("htmx:afterSettle", () => {
  showPermission();
  showCount();
  showView();
});
function showView() {
  const dense = document.getElementById("dense-board").getAttribute("aria-checked") === "true";
  document.getElementById("board").classList.toggle("is-dense", dense);
  sortBoard();
}
document.addEventListener("click", async (event) => {
  const button = event.target.closest("#sound-switch, #notify-switch");
  if (!button) return;
  const on = button.getAttribute("aria-pressed") === "true";
  if (button.id === "sound-switch") return void (on || ring());
  if (permission() === "granted" || (on && permission() === "denied")) return;
  event.preventDefault();
  if ((await window.Notification?.requestPermission()) !== "granted") return toast(sentence("notifyDenied"), true);
  if (on) showPermission();
  else button.form.requestSubmit(button);
});

// Keyboard shortcuts

const CODE = "[data-copy]";
const PHONE = "[data-copy-phone]";
const isTyping = (target) => target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog");
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || !isOn("keys")) return;
  if (event.key === "/") document.querySelector("service-picker")?.focusInput();
  else if (event.key === "c") copyFrom(newestCode());
  else if (event.key === "n") copyFrom(cards().find((card) => card.querySelector(PHONE))?.querySelector(PHONE));
  else if (event.key === "?") document.getElementById("keys").showModal();
  else return;
  event.preventDefault();
});
// The code that came last, which need not be that of the newest order: one's own before a colleague's.
function newestCode() {
  const received = cards().filter((card) => card.querySelector(CODE));
  const newer = (a, b) => Number(b.matches(".is-mine")) - Number(a.matches(".is-mine")) || Number(b.dataset.rings ?? 0) - Number(a.dataset.rings ?? 0);
  return received.sort(newer)[0]?.querySelector(CODE);
}
// page.js copies what is clicked.
function copyFrom(button) {
  if (button) button.click();
  else toast(sentence("noCode"), true);
}
