// Names what Django's inline tables and pickers leave without a name.
const { row, action } = document.querySelector("script[data-row]").dataset;

function nameControls() {
  for (const table of document.querySelectorAll(".tabular table")) {
    const headers = [...table.querySelectorAll("thead th")];
    headers.forEach((header, place) => {
      if (!header.textContent.trim()) header.append(hidden(place ? action : row));
    });
    for (const control of table.querySelectorAll("tbody :is(input:not([type=hidden]), select, textarea)")) {
      const header = headers[control.closest("td")?.cellIndex];
      if (header && !control.labels?.length) control.setAttribute("aria-label", header.textContent.trim());
    }
  }
  for (const select of document.querySelectorAll("select.admin-autocomplete + .select2")) {
    const picker = select.previousElementSibling;
    const name = picker.getAttribute("aria-label") ?? picker.labels[0]?.textContent.trim().replace(/:$/, "") ?? "";
    for (const part of select.querySelectorAll("[role=combobox], [role=textbox], [role=searchbox]")) part.setAttribute("aria-label", name);
  }
}
// What scrolls sideways on a phone can be scrolled by the keyboard. How wide it is depends on the typeface.
function reachScrolled() {
  for (const box of document.querySelectorAll(".inline-group, .inline-group fieldset, .desk-table")) {
    if (box.scrollWidth <= box.clientWidth) continue;
    box.tabIndex = 0;
    if (box.hasAttribute("aria-labelledby")) continue;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", box.querySelector("h2")?.textContent.trim() ?? "");
  }
}
addEventListener("resize", reachScrolled);
document.fonts.ready.then(reachScrolled);
function hidden(text) {
  return Object.assign(document.createElement("span"), { className: "visually-hidden", textContent: text });
}
// Behind the pickers, which begin as soon as jQuery is ready, too.
if (window.django?.jQuery) django.jQuery(nameControls);
else nameControls();
document.addEventListener("formset:added", () => setTimeout(nameControls));
