// The field above the long list of a filter: what is typed finds the options that the list has not.
let timer;
document.addEventListener("input", ({ target }) => {
  if (!target.dataset.finds) return;
  clearTimeout(timer);
  timer = setTimeout(() => find(target, document.getElementById(target.dataset.finds)), 150);
});

async function find(field, list) {
  const typed = field.value;
  const address = new URL(field.dataset.address, location.href);
  address.searchParams.set(field.name, typed);
  // Where the desk does not answer, the list stays as it is.
  const response = await fetch(address, { headers: { Accept: "text/plain" } }).catch(() => null);
  const options = response?.ok && (await response.text());
  if (options && field.value === typed) list.innerHTML = options;
}
