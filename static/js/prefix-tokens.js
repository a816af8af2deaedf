// Prefixes as tokens: 96, 097 or 96|97. What stands in the field counts too, so a half-typed one is not lost.
const ideas = JSON.parse(document.getElementById("prefix-suggestions")?.textContent ?? "{}");
const isPrefix = (text) => /^[0-9]{1,4}$/.test(text);
const bare = (text) => text.replace(/^\+84/, "").replace(/^0/, "");

class PrefixTokens extends HTMLElement {
  connectedCallback() {
    this.input = this.querySelector("input");
    if (!this.input || this.ideas) return;
    this.tokens = [];
    this.ideas = document.createElement("span");
    this.ideas.className = "prefix-ideas";
    this.append(this.ideas);
    this.form = this.closest("form");
    this.send = (event) => event.formData.set(this.input.name, [...this.tokens, this.input.value.trim()].filter(Boolean).join("|"));
    this.form?.addEventListener("formdata", this.send);
    this.input.addEventListener("input", () => /[\s,;|]/.test(this.input.value) && this.take());
    this.input.addEventListener("blur", () => this.take());
    this.input.addEventListener("focus", () => this.suggest());
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Backspace" && !this.input.value && this.tokens.length) this.drop(this.tokens.at(-1));
    });
    this.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return event.target === this && this.input.focus();
      if (button.matches(".prefix")) this.drop(button.dataset.digits);
      else this.add(button.dataset.digits);
      this.input.focus();
    });
    this.take();
  }

  disconnectedCallback() {
    this.form?.removeEventListener("formdata", this.send);
  }

  take() {
    const parts = this.input.value.split(/[\s,;|]+/).filter(Boolean).map(bare);
    const left = [];
    for (const part of parts) if (isPrefix(part)) this.tokens.includes(part) || this.tokens.push(part);
    else left.push(part);
    this.input.value = left.join(" ");
    this.draw();
  }

  add(digits) {
    if (!this.tokens.includes(digits)) this.tokens.push(digits);
    this.draw();
  }

  drop(digits) {
    this.tokens = this.tokens.filter((token) => token !== digits);
    this.draw();
  }

  draw() {
    for (const old of this.querySelectorAll(".prefix")) old.remove();
    for (const digits of this.tokens) {
      const token = document.createElement("button");
      Object.assign(token, { type: "button", className: "prefix", textContent: `0${digits} ×` });
      token.dataset.digits = digits;
      token.setAttribute("aria-label", say("remove", { what: `0${digits}` }));
      this.input.before(token);
    }
    this.suggest();
  }

  suggest() {
    const chosen = [...(this.form?.querySelectorAll("[name=networks]:checked") ?? [])].map((box) => box.value);
    const names = chosen.length ? chosen : Object.keys(ideas);
    const digits = [...new Set(names.flatMap((name) => ideas[name] ?? []))].filter((one) => !this.tokens.includes(one)).sort();
    this.ideas.replaceChildren(...digits.map((one) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", textContent: `0${one}` });
      button.dataset.digits = one;
      return button;
    }));
  }
}
customElements.define("prefix-tokens", PrefixTokens);
