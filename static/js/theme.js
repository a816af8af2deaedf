// The theme that was chosen in this browser, and the sign that scripts run. A classic script in the head, on purpose:
// it blocks the first paint, so that no page flashes up in the other theme. A module would run after that paint.
(() => {
  const root = document.documentElement;
  root.classList.replace("no-js", "js");
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
})();
