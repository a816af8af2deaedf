// Codes that fade: masked on the open page at their time, also without a stream, and before a page that the back button
// brings is seen.
//
// data-fades on a card, a row, a toast or an announcement is the time, in ms since 1970. Inside it, data-fading marks what
// holds the code: a text becomes the attribute's value or the mask, a recording goes. data-fading on the same element as
// data-fades removes the whole of it.
import { serverTime } from "./server-clock.js";

const MASK = "••••";

function mask(part) {
  if (part.matches("audio, [data-fades]")) return part.remove();
  const button = part.closest("[data-copy]");
  if (button) {
    button.disabled = true;
    button.removeAttribute("data-copy");
    button.removeAttribute("title");
  }
  part.textContent = part.dataset.fading || MASK;
}

function fade() {
  for (const holder of document.querySelectorAll("[data-fades]")) {
    if (Number(holder.dataset.fades) > serverTime()) continue;
    for (const part of holder.matches("[data-fading]") ? [holder] : holder.querySelectorAll("[data-fading]")) mask(part);
    holder.removeAttribute("data-fades");
  }
}

// When what is shown in `element` fades, as text; undefined where it stays.
export const fadesAt = (element) => element.closest("[data-fades]")?.dataset.fades;

// Let a line with a code in it go at the time at which the code fades.
export function goWith(fades, line) {
  if (fades) Object.assign(line.dataset, { fades, fading: "" });
}

fade();
setInterval(fade, 1000);
addEventListener("pageshow", fade);
document.addEventListener("visibilitychange", fade);
