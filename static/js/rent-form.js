// The fields of the rent form: a combobox over the native list of services, and prefixes as tokens. Without scripts the
// list and a plain field stay.
import { sentence } from "./toasts.js";

// An icon of the sprite that the page's own icons are drawn from.
const SVG = "http://www.w3.org/2000/svg";
const sprite = document.querySelector("svg.icon use").getAttribute("href").split("#")[0];
function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "use"));
  svg.firstChild.setAttribute("href", `${sprite}#${name}`);
  return svg;
}

// Services: type a part of a name, with accents or without.
const withoutAccents = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").replace(/[đĐ]/g, "d").toLowerCase();
const MAX_SHOWN = 80;

// An option reads "name · price · waiting time", and "· success" where it is known; its group is the heading over it.
function readOption(option) {
  const parts = option.text.split(" · ");
  const success = "rated" in option.dataset ? parts.pop() : "";
  const wait = parts.pop();
  const price = parts.pop();
  const name = parts.join(" · ");
  const { advice = "", network, prefix } = option.dataset;
  return { advice, network, prefix, key: option.value, name, plain: withoutAccents(name), price, wait, success, starred: "starred" in option.dataset, group: option.parentElement.label };
}

const readOptions = (select) => [...select.options].filter((option) => option.value).map(readOption);

class ServicePicker extends HTMLElement {
  connectedCallback() {
    const select = this.querySelector("select");
    if (!select) return;
    this.options = readOptions(select);
    // Where there are more services than the list has, the desk is asked for what is typed: how many it finds, by text.
    this.total = this.options.length + Number(select.dataset.more);
    this.found = new Map();
    this.address = select.dataset.search;
    this.chosen = this.options.find((option) => option.key === select.value) ?? null;
    this.active = -1;
    this.form = this.closest("form");
    this.build(select);
    this.sendKey = ({ formData }) => {
      formData.set(this.input.name, this.chosen?.key ?? this.input.value.trim());
      // What the person saw: a dearer service is asked about. 0 where no price is known.
      if (this.chosen) formData.set("price_seen", this.chosen.price.replace(/\D/g, "") || "0");
    };
    this.form?.addEventListener("formdata", this.sendKey);
    // What is typed is looked for first: else the desk would be asked for a service that nobody has chosen yet.
    this.hold = (event) => {
      if (this.chosen || this.isKnown(this.input.value)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      this.then = () => this.form.requestSubmit();
      this.ask();
    };
    this.form?.addEventListener("submit", this.hold, { capture: true });
    this.showChosen();
  }

  disconnectedCallback() {
    this.form?.removeEventListener("formdata", this.sendKey);
    this.form?.removeEventListener("submit", this.hold, { capture: true });
  }

  // Whether all that a text finds is here.
  isKnown(text) {
    const typed = text.trim();
    return !typed || this.total <= this.options.length || this.found.has(typed) || this.isWithin(typed);
  }

  // Whether an earlier text, which this one continues, found so few that they are all here.
  isWithin(typed) {
    return [...this.found].some(([text, { more }]) => !more && typed.startsWith(text));
  }

  async ask() {
    const typed = this.input.value.trim();
    clearTimeout(this.timer);
    let answer;
    try {
      const response = await fetch(`${this.address}?q=${encodeURIComponent(typed)}`, { headers: { Accept: "text/plain" } });
      answer = response.ok && new DOMParser().parseFromString(await response.text(), "text/html").querySelector("select");
    } catch {
      answer = null; // the desk does not answer, which the page says by itself
    }
    const options = answer ? readOptions(answer) : [];
    const known = new Set(this.options.map((option) => option.key));
    this.options.push(...options.filter((option) => !known.has(option.key)));
    this.found.set(typed, { more: answer ? Number(answer.dataset.more) : 0 });
    if (!answer) setTimeout(() => this.found.delete(typed), 1000); // asked again
    if (this.input.value.trim() === typed) this.show();
  }

  // What was typed is known now.
  show() {
    const { then } = this;
    this.then = null;
    if (this.chosen) return then?.();
    if (document.activeElement === this.input) {
      this.open();
      this.chooseIfExact();
    } else this.matching = this.search(this.input.value);
    if (then && !this.chosen && this.matching.length === 1) this.choose(this.matching[0]);
    then?.();
  }

  build(select) {
    this.input = document.createElement("input");
    const attributes = { type: "text", id: select.id, name: select.name, role: "combobox", autocomplete: "off", autocapitalize: "none", spellcheck: "false", enterkeyhint: "next", placeholder: this.dataset.placeholder, "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "service-list", "aria-required": "true" };
    for (const [name, value] of Object.entries(attributes)) this.input.setAttribute(name, value);
    const described = select.getAttribute("aria-describedby");
    if (select.getAttribute("aria-invalid")) this.input.setAttribute("aria-invalid", "true");
    this.input.setAttribute("aria-describedby", ["service-chosen", described].filter(Boolean).join(" "));
    this.input.value = this.chosen?.name ?? this.dataset.typed ?? "";
    this.list = document.createElement("div");
    Object.assign(this.list, { id: "service-list", className: "picker-list", hidden: true });
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", sentence("services"));
    this.note = document.createElement("p");
    Object.assign(this.note, { id: "service-chosen", className: "picker-chosen" });
    this.note.setAttribute("role", "status");
    select.replaceWith(this.input, this.list, this.note);
    this.querySelector(".hint")?.remove(); // where to find the others without scripts

    this.input.addEventListener("input", () => {
      this.chosen = null;
      this.then = null;
      this.showChosen();
      this.open();
      clearTimeout(this.timer);
      if (this.isKnown(this.input.value)) this.chooseIfExact();
      else this.timer = setTimeout(() => this.ask(), 120);
    });
    this.input.addEventListener("click", () => this.open());
    this.input.addEventListener("keydown", (event) => this.onKey(event));
    this.input.addEventListener("blur", () => {
      // A key typed in full is chosen while it stands there: the name follows.
      const [only] = this.matching?.length === 1 && this.input.value.trim() && this.isKnown(this.input.value) ? this.matching : [];
      if (this.chosen ?? only) this.choose(this.chosen ?? only);
      this.close();
    });
    // Not click: the field would lose the focus, and the list with it, before the click came.
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.choose(this.matching[Number(option.dataset.n)]);
    });
  }

  search(text) {
    const parts = withoutAccents(text).split(/\s+/).filter(Boolean);
    if (!parts.length) return this.options;
    const rank = (option) => {
      if (option.key.startsWith(text.trim())) return 0;
      if (!parts.every((part) => option.plain.includes(part))) return -1;
      if (option.plain.startsWith(parts[0])) return 1;
      return option.plain.split(/[^a-z0-9]+/).some((word) => word.startsWith(parts[0])) ? 2 : 3;
    };
    return this.options.map((option) => [rank(option), option]).filter(([n]) => n >= 0).sort(([a], [b]) => a - b).map(([, option]) => option);
  }

  // What is typed in full needs no choosing: a key, or a name that no other service shares or continues.
  chooseIfExact() {
    const text = this.input.value.trim();
    const exact = this.matching.filter((option) => option.key === text || option.plain === withoutAccents(text));
    if (text && exact.length === 1 && (this.matching.length === 1 || exact[0].key === text)) this.choose(exact[0], text);
  }

  open() {
    const text = this.chosen ? "" : this.input.value;
    const found = this.search(text);
    this.matching = found.slice(0, MAX_SHOWN);
    this.list.replaceChildren(...(text.trim() ? this.matching.map((option, n) => this.draw(option, n)) : this.grouped()));
    const more = this.count(text, found) - this.matching.length;
    if (more > 0) this.list.append(this.drawMore(more));
    this.list.hidden = !this.matching.length;
    if (!this.chosen) this.note.textContent = this.matching.length || !this.isKnown(text) ? "" : this.dataset.none;
    this.input.setAttribute("aria-expanded", String(this.matching.length > 0));
    this.highlight(this.chosen ? this.matching.indexOf(this.chosen) : text && this.matching.length ? 0 : -1);
  }

  // How many services a text finds, also those that are not here.
  count(text, found) {
    const typed = text.trim();
    if (!typed) return this.total;
    return Math.max(found.length, Math.min(found.length, MAX_SHOWN) + (this.found.get(typed)?.more ?? 0));
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.highlight(-1);
  }

  // With nothing typed, the list stands under its headings: starred, used, all others.
  grouped() {
    const groups = new Map();
    for (const [n, option] of this.matching.entries()) {
      if (!groups.has(option.group)) {
        const group = document.createElement("div");
        group.setAttribute("role", "group");
        group.setAttribute("aria-label", option.group);
        const heading = Object.assign(document.createElement("p"), { className: "picker-group", textContent: option.group });
        heading.setAttribute("role", "presentation");
        group.append(heading);
        groups.set(option.group, group);
      }
      groups.get(option.group).append(this.draw(option, n));
    }
    return [...groups.values()];
  }

  drawMore(n) {
    const more = Object.assign(document.createElement("p"), { className: "picker-group", textContent: sentence("more", { n }) });
    more.setAttribute("role", "presentation");
    return more;
  }

  get items() {
    return [...this.list.querySelectorAll("[role=option]")];
  }

  draw(option, n) {
    const item = document.createElement("div");
    item.id = `service-option-${n}`;
    item.className = "picker-option";
    item.dataset.n = n;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", "false");
    const part = (name, text) => {
      const piece = document.createElement("span");
      piece.className = name;
      piece.textContent = text;
      return piece;
    };
    const name = part("picker-name", option.name);
    if (option.starred) name.prepend(icon("star"), " ");
    item.append(name, part("picker-price", option.price), part("picker-facts", this.facts(option)));
    return item;
  }

  facts(option) {
    return [sentence("wait", { time: option.wait }), option.success, option.key].filter(Boolean).join(" · ");
  }

  highlight(n) {
    this.active = n;
    const { items } = this;
    for (const [i, other] of items.entries()) other.setAttribute("aria-selected", String(i === n));
    const item = items[n];
    if (item) {
      this.input.setAttribute("aria-activedescendant", item.id);
      item.scrollIntoView({ block: "nearest" });
    } else this.input.removeAttribute("aria-activedescendant");
  }

  choose(option, typed = option.name) {
    this.chosen = option;
    this.input.value = typed;
    this.input.removeAttribute("aria-invalid");
    document.getElementById("id_service_error")?.remove();
    this.close();
    this.showChosen();
  }

  // The field is too narrow for a long name, and what tells it from others may stand at its end.
  showChosen() {
    const { chosen, input } = this;
    const name = chosen && input.scrollWidth > input.clientWidth ? chosen.name : "";
    this.note.textContent = chosen ? [name, this.facts(chosen)].filter(Boolean).join(" · ") : "";
    input.title = chosen?.name ?? "";
    const price = this.form?.querySelector("[data-rent-price]");
    if (price) price.textContent = chosen && /\d/.test(chosen.price) ? `· ${chosen.price}` : "";
    this.form?.querySelector("best-choice").show?.(chosen);
  }

  onKey(event) {
    const open = !this.list.hidden;
    const last = this.items.length - 1;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) return this.open();
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.highlight(this.active + step < 0 ? last : this.active + step > last ? 0 : this.active + step);
    } else if (event.key === "Enter") {
      // Enter chooses, and never buys: it leads to the button, which says the price.
      event.preventDefault();
      if (open && this.active >= 0) this.choose(this.matching[this.active]);
      if (this.chosen) this.form?.querySelector(".rent-go").focus();
      else if (this.isKnown(this.input.value)) this.open();
      else {
        this.then = () => {
          if (this.matching.length) this.choose(this.matching[0]);
          if (this.chosen) this.form?.querySelector(".rent-go").focus();
        };
        this.ask();
      }
    } else if (event.key === "Tab" && open && this.active >= 0 && this.input.value) this.choose(this.matching[this.active]);
    else if (event.key === "Escape" && open) {
      event.stopPropagation();
      this.close();
    } else if (event.key === "/" && !this.input.value) {
      event.preventDefault(); // the key that finds a service, pressed where one is found
      this.open();
    }
  }

  focusInput() {
    this.input.focus();
    this.input.select();
    this.open();
  }
}
customElements.define("service-picker", ServicePicker);

// Prefixes: 96, 097 or 96|97. What is still being typed counts too, so that it is not lost.
const suggestions = JSON.parse(document.getElementById("prefix-suggestions")?.textContent ?? "{}");
const isPrefix = (text) => /^[0-9]{1,4}$/.test(text);
const withoutZero = (text) => text.replace(/^\+84/, "").replace(/^0/, "");

class PrefixTokens extends HTMLElement {
  connectedCallback() {
    this.input = this.querySelector("input");
    if (!this.input || this.ideas) return;
    this.tokens = [];
    this.ideas = document.createElement("span");
    this.ideas.className = "prefix-ideas";
    this.append(this.ideas);
    this.form = this.closest("form");
    this.sendAll = (event) => event.formData.set(this.input.name, [...this.tokens, this.input.value.trim()].filter(Boolean).join("|"));
    this.form?.addEventListener("formdata", this.sendAll);
    this.input.addEventListener("input", () => /[\s,;|]/.test(this.input.value) && this.takeTyped());
    this.input.addEventListener("blur", () => this.takeTyped());
    this.input.addEventListener("focus", () => this.suggest());
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && this.input.value.trim()) {
        event.preventDefault(); // takes what was typed: it is no order yet
        this.takeTyped();
      }
      if (event.key === "Backspace" && !this.input.value && this.tokens.length) this.drop(this.tokens.at(-1));
    });
    this.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return event.target === this && this.input.focus();
      if (button.matches(".prefix")) this.drop(button.dataset.digits);
      else this.add(button.dataset.digits);
      this.input.focus();
    });
    this.takeTyped();
  }

  disconnectedCallback() {
    this.form?.removeEventListener("formdata", this.sendAll);
  }

  takeTyped() {
    const parts = this.input.value.split(/[\s,;|]+/).filter(Boolean).map(withoutZero);
    const rest = [];
    for (const part of parts) if (isPrefix(part)) this.tokens.includes(part) || this.tokens.push(part);
    else rest.push(part);
    this.input.value = rest.join(" ");
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
      Object.assign(token, { type: "button", className: "prefix", textContent: `0${digits}` });
      token.append(icon("cross"));
      token.dataset.digits = digits;
      token.setAttribute("aria-label", sentence("remove", { what: `0${digits}` }));
      this.input.before(token);
    }
    this.suggest();
    this.dispatchEvent(new Event("wishes", { bubbles: true }));
  }

  suggest() {
    const chosen = [...(this.form?.querySelectorAll("[name=networks]:checked") ?? [])].map((box) => box.value);
    const names = chosen.length ? chosen : Object.keys(suggestions);
    const digits = [...new Set(names.flatMap((name) => suggestions[name] ?? []))].filter((one) => !this.tokens.includes(one)).sort();
    // The focus may be on its way to one of them: they are drawn anew only where they change.
    if (this.ideas.dataset.digits === digits.join()) return;
    this.ideas.dataset.digits = digits.join();
    this.ideas.replaceChildren(...digits.map((one) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", textContent: `0${one}` });
      button.dataset.digits = one;
      return button;
    }));
  }
}
customElements.define("prefix-tokens", PrefixTokens);

// What is set for the next order, beside its button: what one wished for earlier may stand in a closed section.
class WishChips extends HTMLElement {
  connectedCallback() {
    this.form = this.closest("form");
    for (const event of ["change", "input", "wishes"]) this.form.addEventListener(event, () => this.draw());
    this.addEventListener("click", ({ target }) => {
      const chip = target.closest("button");
      if (chip) this.drop(Number(chip.dataset.n));
    });
    this.draw();
  }

  // Each has a text, and what takes it away.
  wishes() {
    const { elements } = this.form;
    const wishes = [...this.form.querySelectorAll("[name=networks]:checked")].map((box) => [box.value, () => (box.checked = false)]);
    for (const [name, text] of [["prefixes", (digits) => `0${digits}…`], ["exclude_prefixes", (digits) => sentence("without", { what: `0${digits}…` })]]) {
      const field = elements[name]?.closest("prefix-tokens");
      for (const digits of field?.tokens ?? []) wishes.push([text(digits), () => field.drop(digits)]);
    }
    for (const name of ["purpose", "max_price", "keep_trying", "token"]) {
      const field = elements[name];
      const text = field?.selectedOptions ? field.selectedIndex > 0 && field.selectedOptions[0].text.split(" · ")[0] : field?.value.trim();
      if (text) wishes.push([name === "max_price" ? sentence("atMost", { what: text }) : text.trim(), () => (field.selectedOptions ? (field.selectedIndex = 0) : (field.value = ""))]);
    }
    return wishes;
  }

  draw() {
    this.hidden = !this.wishes().length;
    this.replaceChildren(...this.wishes().map(([text], n) => {
      const chip = Object.assign(document.createElement("button"), { type: "button", className: "wish-chip", title: text });
      chip.dataset.n = n;
      chip.setAttribute("aria-label", sentence("remove", { what: text }));
      chip.append(Object.assign(document.createElement("span"), { textContent: text }), icon("cross"));
      return chip;
    }));
  }

  drop(n) {
    this.wishes()[n][1]();
    this.draw();
    (this.querySelectorAll("button")[n] ?? this.form.querySelector(".rent-go")).focus();
    this.form.dispatchEvent(new Event("change"));
  }
}
customElements.define("wish-chips", WishChips);

// Where a chosen service's codes cost the team least, as the list says; one click wishes for it.
class BestChoice extends HTMLElement {
  connectedCallback() {
    this.form = this.closest("form");
    this.button = this.querySelector("button");
    this.button.addEventListener("click", () => this.take());
    for (const event of ["change", "wishes"]) this.form.addEventListener(event, () => this.draw());
    this.show(this.form.querySelector("service-picker").chosen);
  }

  show(option) {
    this.best = option?.advice ? option : null;
    this.draw();
  }

  get boxes() {
    return [...this.form.querySelectorAll("[name=networks]")];
  }

  get prefixes() {
    return this.form.elements.prefixes.closest("prefix-tokens");
  }

  draw() {
    this.hidden = !this.best;
    if (!this.best) return;
    const { advice, network, prefix } = this.best;
    this.querySelector("span").textContent = advice;
    const wished = this.boxes.filter((box) => box.checked).map((box) => box.value);
    this.button.hidden = wished.join() === network && (this.prefixes.tokens ?? []).join() === prefix;
  }

  take() {
    const { network, prefix } = this.best;
    for (const box of this.boxes) box.checked = box.value === network;
    for (const digits of [...this.prefixes.tokens]) this.prefixes.drop(digits);
    if (prefix) this.prefixes.add(prefix);
    this.form.dispatchEvent(new Event("change"));
    this.form.querySelector(".rent-go").focus();
  }
}
customElements.define("best-choice", BestChoice);
