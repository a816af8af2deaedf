// A button that copies a field: data-copy names the field, data-copied is what the button says afterwards.
for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  button.hidden = false;
  field.select();
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      document.execCommand("copy"); // the clipboard API is closed to pages without TLS
    }
    button.textContent = button.dataset.copied;
  });
}
