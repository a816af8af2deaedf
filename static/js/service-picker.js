// A combobox over the native list of services: type a part of a name, accents or not. Without scripts the list stays.
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").replace(/[đĐ]/g, "d").toLowerCase();
const SHOWN = 80;

// An option reads "name · price · waiting time", and "· success" where it is known; its group is the heading over it.
function read(option) {
  const parts = option.text.split(" · ");
  const success = "rated" in option.dataset ? parts.pop() : "";
  const wait = parts.pop();
  const price = parts.pop();
  const name = parts.join(" · ");
  return { key: option.value, name, plain: plain(name), price, wait, success, starred: "starred" in option.dataset, group: option.parentElement.label };
}

class ServicePicker extends HTMLElement {
  connectedCallback() {
    const select = this.querySelector("select");
    if (!select) return;
    this.options = [...select.options].filter((option) => option.value).map(read);
    this.chosen = this.options.find((option) => option.key === select.value) ?? null;
    this.active = -1;
    this.build(select);
    this.form = this.closest("form");
    this.sendKey = (event) => event.formData.set(this.input.name, this.chosen?.key ?? this.input.value.trim());
    this.form?.addEventListener("formdata", this.sendKey);
    this.showChosen();
  }

  disconnectedCallback() {
    this.form?.removeEventListener("formdata", this.sendKey);
  }

  build(select) {
    this.input = document.createElement("input");
    const attributes = { type: "text", id: select.id, name: select.name, role: "combobox", autocomplete: "off", autocapitalize: "none", spellcheck: "false", enterkeyhint: "go", placeholder: this.dataset.placeholder, "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "service-list", "aria-required": "true" };
    for (const [name, value] of Object.entries(attributes)) this.input.setAttribute(name, value);
    const described = select.getAttribute("aria-describedby");
    if (select.getAttribute("aria-invalid")) this.input.setAttribute("aria-invalid", "true");
    this.input.setAttribute("aria-describedby", ["service-chosen", described].filter(Boolean).join(" "));
    this.input.value = this.chosen?.name ?? this.dataset.typed ?? "";
    this.list = document.createElement("div");
    Object.assign(this.list, { id: "service-list", className: "picker-list", hidden: true });
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", words.services);
    this.note = document.createElement("p");
    Object.assign(this.note, { id: "service-chosen", className: "picker-chosen" });
    this.note.setAttribute("role", "status");
    select.replaceWith(this.input, this.list, this.note);

    this.input.addEventListener("input", () => {
      this.chosen = null;
      this.showChosen();
      this.open();
      this.settle();
    });
    this.input.addEventListener("click", () => this.open());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("blur", () => {
      if (!this.chosen && this.found?.length === 1 && this.input.value.trim()) this.choose(this.found[0]);
      this.close();
    });
    // Not click: the field would lose the focus, and the list with it, before the click came.
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.choose(this.found[Number(option.dataset.n)]);
    });
  }

  search(text) {
    const parts = plain(text).split(/\s+/).filter(Boolean);
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
  settle() {
    const text = this.input.value.trim();
    const exact = this.found.filter((option) => option.key === text || option.plain === plain(text));
    if (text && exact.length === 1 && (this.found.length === 1 || exact[0].key === text)) this.choose(exact[0], text);
  }

  open() {
    const text = this.chosen ? "" : this.input.value;
    this.found = this.search(text).slice(0, SHOWN);
    this.list.replaceChildren(...(text.trim() ? this.found.map((option, n) => this.draw(option, n)) : this.grouped()));
    this.list.hidden = !this.found.length;
    if (!this.chosen) this.note.textContent = this.found.length ? "" : this.dataset.none;
    this.input.setAttribute("aria-expanded", String(this.found.length > 0));
    this.mark(this.chosen ? this.found.indexOf(this.chosen) : text && this.found.length ? 0 : -1);
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.mark(-1);
  }

  // With nothing typed, the list stands under its headings: starred, used, all others.
  grouped() {
    const groups = new Map();
    for (const [n, option] of this.found.entries()) {
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
    if (option.starred) name.prepend(Object.assign(part("picker-star", "★"), { ariaHidden: "true" }), " ");
    item.append(name, part("picker-price", option.price), part("picker-facts", this.facts(option)));
    return item;
  }

  facts(option) {
    return [say("wait", { time: option.wait }), option.success, option.key].filter(Boolean).join(" · ");
  }

  mark(n) {
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

  showChosen() {
    this.note.textContent = this.chosen ? [this.chosen.price, this.facts(this.chosen)].join(" · ") : "";
  }

  key(event) {
    const open = !this.list.hidden;
    const last = this.items.length - 1;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) return this.open();
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.mark(this.active + step < 0 ? last : this.active + step > last ? 0 : this.active + step);
    } else if (event.key === "Enter" && open && this.active >= 0) {
      event.preventDefault();
      this.choose(this.found[this.active]);
    } else if (event.key === "Tab" && open && this.active >= 0 && this.input.value) this.choose(this.found[this.active]);
    else if (event.key === "Escape" && open) {
      event.stopPropagation();
      this.close();
    } else if (event.key === "/" && !this.input.value) {
      event.preventDefault(); // the key that finds a service, pressed where one is found
      this.open();
    } else if (event.key === "Escape" && this.input.value) {
      this.input.value = "";
      this.chosen = null;
      this.showChosen();
    }
  }

  focusInput() {
    this.input.focus();
    this.input.select();
    this.open();
  }
}
customElements.define("service-picker", ServicePicker);
