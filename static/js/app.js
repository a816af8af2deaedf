// What every page has: colours, menus, copying, countdowns, short lines at the bottom.
const words = JSON.parse(document.getElementById("words").textContent);
const say = (name, parts = {}) => Object.entries(parts).reduce((text, [key, value]) => text.replace(`{${key}}`, value), words[name] ?? name);


function toast(text, failed = false) {
  const line = document.createElement("p");
  line.className = failed ? "toast is-bad" : "toast";
  if (failed) line.setAttribute("role", "alert");
  line.textContent = text;
  document.getElementById("toasts").append(line);
}
new MutationObserver((changes) => {
  for (const { addedNodes } of changes) for (const line of addedNodes) if (line.nodeType === 1) setTimeout(() => line.remove(), 7000);
}).observe(document.getElementById("toasts"), { childList: true });

// Colours: the browser's own, since rooms and screens differ. What else a person prefers is kept with them, on the server.
function showTheme() {
  const chosen = localStorage.getItem("theme") ?? "";
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
  for (const button of document.querySelectorAll("[data-theme-choice]")) button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosen));
}
showTheme();

// Copying. The clipboard is closed to pages without TLS, so there is the old way too.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea");
    const before = document.activeElement;
    field.value = text;
    field.className = "sr";
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    before?.focus?.({ preventScroll: true });
    return done;
  }
}
async function copyFrom(button) {
  const { copyAs } = (document.getElementById("preferences") ?? document.body).dataset;
  const text = button.dataset.copy ?? button.dataset[copyAs];
  if (!(await copy(text))) return toast(words.copyFailed, true);
  button.classList.add("is-copied");
  setTimeout(() => button.classList.remove("is-copied"), 700);
  toast(say("copied", { what: text }));
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-copy], [data-copy-phone], [data-theme-choice], [data-opens]");
  for (const menu of document.querySelectorAll("details.menu[open], details.filter[open]")) if (!menu.contains(event.target)) menu.open = false;
  if (!target) return;
  if (target.matches("[data-copy], [data-copy-phone]")) copyFrom(target);
  else if ("themeChoice" in target.dataset) {
    localStorage.setItem("theme", target.dataset.themeChoice);
    showTheme();
  } else document.getElementById(target.dataset.opens).showModal();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open], details.filter[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});
// Empty filters stay out of the address, so that it can be read and kept.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-filters]")) return;
  for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true;
});
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("[data-filters] :disabled")) field.disabled = false;
});

// Countdowns go by the server's clock; the browser's may be wrong.
const clockAhead = (() => {
  const now = Number(document.querySelector("[data-now]")?.dataset.now);
  return now ? now - Date.now() : 0;
})();
function countDown() {
  const now = Date.now() + clockAhead;
  for (const time of document.querySelectorAll("[data-expires]")) {
    const left = Math.max(0, Math.ceil((Number(time.dataset.expires) - now) / 1000));
    time.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    time.classList.toggle("is-soon", left < 60);
    const bar = time.nextElementSibling;
    if (bar) bar.value = left;
  }
}
setInterval(countDown, 1000);
countDown();

// htmx: the CSRF cookie is read at each request (signing in again elsewhere changes it), and no failure is silent.
document.addEventListener("htmx:configRequest", (event) => {
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1];
  if (token && event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = token;
});
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.requestConfig.verb === "get") return;
  const { status } = event.detail.xhr;
  toast(status === 403 ? words.forbidden : status === 404 ? words.gone : words.serverFault, true);
});
document.addEventListener("htmx:sendError", (event) => {
  if (event.detail.requestConfig.verb !== "get") toast(words.noAnswer, true);
});
// A card that the page does not have yet gets an empty place, where its time puts it; htmx then fills that.
function makeRoom(html) {
  const board = document.getElementById("board");
  if (!board) return;
  const { content } = Object.assign(document.createElement("template"), { innerHTML: html });
  for (const card of content.querySelectorAll("[data-rental-id][hx-swap-oob]")) {
    if (document.getElementById(card.id)) continue;
    const place = Object.assign(document.createElement("article"), { id: card.id, hidden: true });
    place.dataset.at = card.dataset.at;
    const older = [...board.querySelectorAll(":scope > [data-at]")].find((other) => Number(other.dataset.at) < Number(card.dataset.at));
    board.insertBefore(place, older ?? board.querySelector(":scope > .empty"));
  }
}
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!detail.shouldSwap) return;
  makeRoom(detail.serverResponse);
  if (detail.requestConfig.elt.isConnected) return;
  // The card was drawn anew while its button was answered: htmx would look for the targets around the old one.
  detail.shouldSwap = false;
  htmx.swap(document.body, detail.serverResponse, { swapStyle: "none" });
});
if (window.htmx) {
  const { swap } = htmx;
  htmx.swap = (target, html, ...rest) => (makeRoom(html), swap(target, html, ...rest));
}
