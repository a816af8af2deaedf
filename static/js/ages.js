// The system page: ages grow by themselves and turn stale; so does the page, when the desk no longer answers.
import { readServerClock, serverTime } from "./server-clock.js";

const PAGE_STALE_SECONDS = 15;
const lang = document.documentElement.lang;
const units = Object.fromEntries(["second", "minute", "hour", "day"].map((unit) => [unit, new Intl.NumberFormat(lang, { style: "unit", unit, unitDisplay: "long" })]));

function inWords(seconds) {
  if (seconds < 100) return units.second.format(seconds);
  if (seconds < 100 * 60) return units.minute.format(Math.round(seconds / 60));
  if (seconds < 48 * 3600) return units.hour.format(Math.round(seconds / 3600));
  return units.day.format(Math.round(seconds / 86400));
}

let answeredAt = serverTime();
document.addEventListener("htmx:afterSwap", () => {
  readServerClock();
  answeredAt = serverTime();
  showAges();
});

function showAges() {
  for (const time of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, Math.round((serverTime() - Number(time.dataset.since)) / 1000));
    const age = inWords(seconds) + (time.dataset.after ?? "");
    if (time.textContent !== age) time.textContent = age;
    if (time.dataset.staleAfter) time.classList.toggle("is-stale", seconds > Number(time.dataset.staleAfter));
  }
  const pageAge = document.querySelector("[data-page-age]");
  pageAge.hidden = serverTime() - answeredAt < PAGE_STALE_SECONDS * 1000;
  document.body.classList.toggle("is-old", !pageAge.hidden);
  pageAge.querySelector("[data-since]").dataset.since = String(answeredAt);
}
setInterval(showAges, 1000);
showAges();
