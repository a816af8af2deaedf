// What every page has: theme, menus, copying, forms, countdowns, and what htmx does with a failed request.
import { csrfToken } from "./csrf.js";
import "./keys.js";
import { fadesAt } from "./fading.js";
import { serverTime } from "./server-clock.js";
import { sentence, toast } from "./toasts.js";

// The theme is kept in this browser, since rooms and screens differ. All other preferences are kept on the server.
function showTheme() {
  const chosen = (localStorage.getItem("theme") ?? "").replace("auto", ""); // as the administration writes it
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
  for (const button of document.querySelectorAll("[data-theme-choice]")) button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosen));
}
showTheme();

// The service worker shows a page of its own while the desk cannot be reached. Browsers have it over https and on localhost alone.
addEventListener("load", () => navigator.serviceWorker?.register(document.body.dataset.serviceWorker, { updateViaCache: "all" }).catch(() => {}));

// Resolves to whether the browser let us.
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyFromField(text);
  }
}

// The clipboard API is closed to pages without TLS: there a field is selected and copied, and the focus put back.
function copyFromField(text) {
  const field = document.createElement("textarea");
  const focused = document.activeElement;
  field.value = text;
  field.className = "sr";
  document.body.append(field);
  field.focus({ preventScroll: true });
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  focused?.focus?.({ preventScroll: true });
  return copied;
}

// data-copy is the text itself. A phone number has one attribute for each form in which a person may want it.
async function copyFrom(button) {
  const { copyAs } = (document.getElementById("preferences") ?? document.body).dataset;
  const text = button.dataset.copy ?? button.dataset[copyAs];
  if (!(await copyText(text))) return toast(sentence("copyFailed"), true);
  button.classList.add("is-copied");
  setTimeout(() => button.classList.remove("is-copied"), 700);
  // Of a code, the toast says whose it is; a secret or a long text is not repeated.
  const { of, caution = "" } = button.dataset;
  const what = "copyQuietly" in button.dataset ? "" : text;
  toast([sentence(of ? "copiedCode" : "copied", { what, of }).trim(), caution].filter(Boolean).join(" · "), false, fadesAt(button));
  if ("copy" in button.dataset) recordCopy(button);
  button.dispatchEvent(new CustomEvent("desk:copied", { bubbles: true }));
}

// The audit log knows who copied a code, also one that was selected and copied by hand.
const recorded = new Set();
function recordCopy(part) {
  const { rentalId, rental, card } = part.closest("[data-rental-id], [data-rental], [data-card]")?.dataset ?? {};
  const id = rentalId ?? rental ?? card?.replace("rental-", "");
  if (!id || recorded.has(id)) return;
  recorded.add(id);
  const address = document.body.dataset.copiedUrl.replace("/0/", `/${id}/`);
  fetch(address, { method: "POST", headers: { "X-CSRFToken": csrfToken(), "X-Page-Team": document.body.dataset.pageTeam ?? "" }, keepalive: true }).catch(() => recorded.delete(id));
}
document.addEventListener("copy", () => {
  const selection = getSelection();
  for (const part of document.querySelectorAll("[data-fading]:not(.sr)")) if (!selection.isCollapsed && selection.containsNode(part, true)) recordCopy(part);
});

const OPEN_MENUS = "details.menu[open], details.filter[open], details.view[open], details.term-help[open]";
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(OPEN_MENUS)) if (!menu.contains(event.target)) menu.open = false;
  const button = event.target.closest("[data-copy], [data-copy-phone], [data-theme-choice], [data-opens]");
  if (!button) return;
  if (button.matches("[data-copy], [data-copy-phone]")) copyFrom(button);
  else if ("themeChoice" in button.dataset) {
    localStorage.setItem("theme", button.dataset.themeChoice);
    showTheme();
  } else document.getElementById(button.dataset.opens).showModal();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  const menu = document.querySelector(OPEN_MENUS);
  if (!menu) return;
  event.preventDefault(); // the desk's Escape, which leaves the form, is for the next time
  menu.open = false;
  menu.querySelector("summary").focus();
});

// What destroys or buys asks first. The question is the field `confirm` of the form, or of the button that sends it, and
// `data-confirm-more` the address of what is good to know before the answer. What htmx sends
// needs one click alone, also on pages that do not load it.
const dialog = document.getElementById("confirm");
let agreedTo = null;
function ask(question, form, button) {
  dialog.querySelector("p").textContent = question;
  showMore(button?.dataset.confirmMore);
  dialog.querySelector("[value=yes]").textContent = button?.textContent.trim() ?? "";
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue !== "yes" || !form.isConnected) return button?.focus();
    agreedTo = form;
    agree(form);
    form.requestSubmit(button);
  };
  dialog.showModal();
}
// Without this field the server asks, as it does where no script runs.
function agree(form) {
  if (form.querySelector("input[name=confirmed]")) return;
  form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "confirmed", value: "yes" }));
}
async function showMore(address) {
  const more = document.getElementById("confirm-more");
  more.replaceChildren();
  more.dataset.address = address ?? "";
  if (!address) return;
  const answer = await fetch(address).catch(() => null);
  if (!answer?.ok || more.dataset.address !== address) return; // without it, or asked something else by now
  more.replaceChildren(...new DOMParser().parseFromString(await answer.text(), "text/html").body.childNodes);
}
document.addEventListener(
  "submit",
  (event) => {
    const { target: form, submitter } = event;
    const question = submitter?.name === "confirm" ? submitter.value : form.querySelector("input[name=confirm]")?.value;
    const agreed = form === agreedTo;
    agreedTo = null;
    if (!question || agreed) return;
    if (form.hasAttribute("hx-post")) return agree(form); // a page without htmx sends it by itself
    event.preventDefault();
    event.stopImmediatePropagation(); // htmx sends it else
    ask(question, form, submitter);
  },
  true,
);

// A form whose answer is shown only once is sent only once: a second click would have the answer of the first one lost.
document.addEventListener("submit", (event) => {
  const { target: form } = event;
  if (event.defaultPrevented || !("once" in form.dataset)) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-sent]")) delete form.dataset.sent;
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});
// Empty filters stay out of the address, so that it can be read and bookmarked.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-filters]")) return;
  for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true;
});
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("[data-filters] :disabled")) field.disabled = false;
});

function countDown() {
  for (const time of document.querySelectorAll("[data-expires]")) {
    const seconds = Math.max(0, Math.ceil((Number(time.dataset.expires) - serverTime()) / 1000));
    time.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    time.classList.toggle("is-soon", seconds < 60);
    const bar = time.nextElementSibling;
    if (bar) bar.value = seconds;
  }
}
setInterval(countDown, 1000);
countDown();

// Every request says which team its page is of: a page of the team that one switched away from does nothing.
const { pageTeam } = document.body.dataset;
document.addEventListener("htmx:configRequest", (event) => {
  if (pageTeam) event.detail.headers["X-Page-Team"] = pageTeam;
});
// The CSRF cookie is read at each request of htmx.
document.addEventListener("htmx:configRequest", (event) => {
  const token = csrfToken();
  if (token && event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = token;
});
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.requestConfig.verb === "get") return;
  const { status } = event.detail.xhr;
  toast(sentence({ 403: "forbidden", 404: "gone", 503: "unavailable" }[status] ?? "serverError"), true);
});
for (const failure of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(failure, (event) => {
  if (event.detail.requestConfig.verb !== "get") toast(sentence("noAnswer"), true);
});
