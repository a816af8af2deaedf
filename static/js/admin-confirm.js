// What cannot be undone asks first: the field `confirm` of a form is the question.
for (const field of document.querySelectorAll("form input[name=confirm]")) {
  field.form.addEventListener("submit", (event) => {
    if (!window.confirm(field.value)) return event.preventDefault();
    // Without this field the server asks, as it does where no script runs.
    field.after(Object.assign(document.createElement("input"), { type: "hidden", name: "confirmed", value: "yes" }));
  });
}
