"use strict";
// Adds filters, two-way highlighting and enlargement. The page reads in full without it.
(() => {
  const cards = [...document.querySelectorAll(".card")];
  const filters = document.querySelector(".filters");
  const light = (number, on) => {
    for (const id of [`cell-${number}`, `dot-${number}`]) {
      const element = document.getElementById(id);
      if (element) element.classList.toggle("is-lit", on);
    }
  };
  // Several thumbnails scroll in their own column: bring the one with the lit dot into view, the page stays.
  const maps = document.querySelector(".maps");
  const reveal = (number) => {
    const dot = document.getElementById(`dot-${number}`);
    if (!dot || maps.scrollHeight <= maps.clientHeight) return;
    const figure = dot.closest("figure");
    const above = figure.getBoundingClientRect().top - maps.getBoundingClientRect().top;
    maps.scrollTop += above - (maps.clientHeight - figure.offsetHeight) / 2;
  };
  const show = (value) => {
    for (const card of cards) {
      const hidden = value !== "all" && card.dataset.class !== value;
      card.hidden = hidden;
      const dot = document.getElementById(`dot-${card.dataset.cell}`);
      if (dot) dot.classList.toggle("is-hidden", hidden);
    }
    for (const button of filters.children) button.setAttribute("aria-pressed", String(button.dataset.value === value));
  };
  const add = (value, title, count) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.value = value;
    button.textContent = `${title} ${count}`;
    button.addEventListener("click", () => show(value));
    filters.append(button);
  };
  const classes = new Map();
  for (const card of cards) {
    const seen = classes.get(card.dataset.class) || { title: card.dataset.title, count: 0 };
    seen.count += 1;
    classes.set(card.dataset.class, seen);
  }
  if (classes.size > 1) {
    add("all", "All", cards.length);
    for (const [value, { title, count }] of classes) add(value, title, count);
    show("all");
  }
  for (const element of document.querySelectorAll("[data-cell]")) {
    const number = element.dataset.cell;
    element.addEventListener("pointerenter", () => {
      light(number, true);
      if (element.classList.contains("card")) reveal(number);
    });
    element.addEventListener("pointerleave", () => light(number, false));
    element.addEventListener("focusin", () => light(number, true));
    element.addEventListener("focusout", () => light(number, false));
  }

  const dialog = document.createElement("dialog");
  dialog.className = "zoom";
  const image = document.createElement("img");
  const caption = document.createElement("p");
  dialog.append(image, caption);
  document.body.append(dialog);
  let current = null;
  const open = (card) => {
    const source = card && card.querySelector("img");
    if (!source) return;
    if (current) light(current.dataset.cell, false);
    current = card;
    light(card.dataset.cell, true);
    image.src = source.src;
    image.alt = source.alt;
    caption.textContent = `${source.alt}  (← → next, Esc closes)`;
    if (!dialog.open) dialog.showModal();
  };
  for (const card of cards) {
    const picture = card.querySelector(".picture");
    picture.addEventListener("click", (event) => {
      event.preventDefault();
      open(card);
    });
  }
  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => current && light(current.dataset.cell, false));
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const shown = cards.filter((card) => !card.hidden);
    open(shown[shown.indexOf(current) + step]);
  });
})();
