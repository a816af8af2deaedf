// Before the first paint: the colours that were chosen here, and the sign that scripts run.
(() => {
  const root = document.documentElement;
  root.classList.replace("no-js", "js");
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
})();
