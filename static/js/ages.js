// Ages grow by themselves, by the server's clock, and say when they are stale; so does the page, when nobody answers.
const PAGE_STALE_SECONDS = 15;
const lang = document.documentElement.lang;
const units = Object.fromEntries(["second", "minute", "hour", "day"].map((unit) => [unit, new Intl.NumberFormat(lang, { style: "unit", unit, unitDisplay: "long" })]));
const inWords = (seconds) => {
  if (seconds < 100) return units.second.format(seconds);
  if (seconds < 100 * 60) return units.minute.format(Math.round(seconds / 60));
  if (seconds < 48 * 3600) return units.hour.format(Math.round(seconds / 3600));
  return units.day.format(Math.round(seconds / 86400));
};
let ahead = 0;
let answered = Date.now();
function setClock() {
  const now = Number(document.getElementById("system")?.dataset.now);
  if (now) ahead = now - Date.now();
  answered = Date.now();
  count();
}
function count() {
  const now = Date.now() + ahead;
  for (const time of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, Math.round((now - Number(time.dataset.since)) / 1000));
    const words = inWords(seconds);
    if (time.textContent !== words) time.textContent = words;
    if (time.dataset.staleAfter) time.classList.toggle("is-stale", seconds > Number(time.dataset.staleAfter));
  }
  const sign = document.querySelector("[data-page-age]");
  const silent = (Date.now() - answered) / 1000;
  sign.hidden = silent < PAGE_STALE_SECONDS;
  document.body.classList.toggle("is-old", !sign.hidden);
  sign.querySelector("[data-since]").dataset.since = String(answered + ahead);
}
document.addEventListener("htmx:afterSwap", setClock);
setClock();
setInterval(count, 1000);
