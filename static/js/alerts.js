// How the desk makes itself heard: announcements for screen readers, sounds, notifications, the count in the title. What a
// browser cannot do is said at the switch.
import { goWith } from "./fading.js";
import { serverTime } from "./server-clock.js";
import { sentence, toast } from "./toasts.js";

const SOUND_PAUSE = 1500; // ms: codes that come together ring once
const ANNOUNCED = 60_000; // ms that an announcement stays, unless the code in it fades sooner

export const isOn = (preference) => document.getElementById("preferences").dataset[preference] === "on";

export function announce(text, fades) {
  const line = Object.assign(document.createElement("p"), { textContent: text });
  goWith(fades, line);
  document.getElementById("announce").append(line);
  setTimeout(() => line.remove(), ANNOUNCED);
}

// The count in the title

const title = document.title;
let unseen = 0;
export function countUnseen() {
  if (!document.hidden) return;
  unseen += 1;
  showCount();
}
export function showCount() {
  document.title = unseen && isOn("counts") ? `(${unseen}) ${title}` : title;
}
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unseen = 0;
  showCount();
});

// Sounds: soft notes, made here, so there is nothing to fetch. Two that rise for a code, a low one for any other message.
export const CODE_NOTES = [880, 1318.5]; // Hz
export const MESSAGE_NOTES = [440];
let audio;
let rangAt = -Infinity;
export function ring(notes = CODE_NOTES) {
  if (performance.now() - rangAt < SOUND_PAUSE) return;
  rangAt = performance.now();
  wakeAudio();
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
// A browser lets a page make sounds only after a click or a key in it. Until then the desk says so.
function wakeAudio() {
  audio ??= new AudioContext();
  audio.onstatechange = showSilence;
  if (audio.state === "suspended") audio.resume();
  showSilence();
}
export function showSilence() {
  document.getElementById("sound-hint").hidden = !isOn("sounds") || audio?.state === "running";
}
for (const gesture of ["pointerup", "keydown"]) document.addEventListener(gesture, () => isOn("sounds") && audio?.state !== "running" && wakeAudio());
if (isOn("sounds")) wakeAudio();

// Notifications. They need the browser's permission, and some browsers (Chrome on Android) have the class, yet throw.

let cannotNotify = !("Notification" in window);
const permission = () => window.Notification?.permission ?? "denied";
function show(text, options) {
  try {
    return new Notification(text, options);
  } catch {
    cannotNotify = true;
    showPermission();
    return null;
  }
}
// `fades` is when a code in it fades: it goes then.
export function notify(text, options = {}, fades = "") {
  if (!isOn("notifies") || !document.hidden || permission() !== "granted") return;
  const notification = show(text, options);
  if (!notification) return;
  notification.addEventListener("click", () => {
    focus();
    notification.close();
  });
  if (!fades) return;
  setTimeout(() => notification.close(), Number(fades) - serverTime());
  addEventListener("pagehide", () => notification.close()); // no timer runs then
}
export function showPermission() {
  const button = document.getElementById("notify-switch");
  const asks = isOn("notifies") && permission() !== "granted";
  button.classList.toggle("asks", asks || cannotNotify);
  button.title = cannotNotify ? sentence("notifyCannot") : asks ? button.dataset.ask : button.textContent.trim();
}
async function switchNotifications(event, button) {
  const on = button.getAttribute("aria-pressed") === "true";
  if (on && (cannotNotify || permission() !== "default")) return; // the form switches it off
  event.preventDefault();
  if (cannotNotify) return toast(sentence("notifyCannot"), true);
  if (permission() !== "granted" && (await Notification.requestPermission()) !== "granted") return toast(sentence("notifyDenied"), true);
  const example = show(sentence("notifyWorks"));
  if (!example) return toast(sentence("notifyCannot"), true);
  setTimeout(() => example.close(), 4000);
  if (on) showPermission();
  else button.form.requestSubmit(button);
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("#sound-switch, #notify-switch");
  if (!button) return;
  if (button.id === "notify-switch") switchNotifications(event, button);
  else if (button.getAttribute("aria-pressed") !== "true") ring();
});

showPermission();
showSilence();
