// allauth's script reports a failure by an event alone; here it becomes a sentence.
document.addEventListener("allauth.error", (event) => {
  const problem = document.getElementById("passkey-problem");
  if (!problem) return;
  event.preventDefault();
  const name = event.detail.exception?.name;
  const sentences = [...problem.querySelectorAll("[data-when]")];
  const fitting = sentences.find((sentence) => sentence.dataset.when === name) ?? sentences.at(-1);
  for (const sentence of sentences) sentence.hidden = sentence !== fitting;
  problem.hidden = false;
});
