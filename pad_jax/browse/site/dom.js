"use strict";

(() => {
  /**
   * An element. Of the attributes, `on...` are listeners, `data` the dataset; null and false are left out.
   * Text is always text: names of files and of groups never become markup.
   */
  Pad.el = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "data") Object.assign(element.dataset, value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
  };
  const el = Pad.el;

  const COLORS = 10;

  /** A name as it is shown everywhere: with the color of that name. */
  Pad.badge = (name, note = "") =>
    el(
      "span",
      { class: "badge", "data-color": Pad.labels.colorOf(name) % COLORS },
      el("span", { class: "badge-text" }, name),
      note ? el("span", { class: "badge-note" }, note) : null,
    );

  /** The picture of a place. Click: a closer look; the cross takes it out of its group. */
  Pad.picture = (place, { takesOut = true, tabindex = "-1", title = "" } = {}) => {
    const img = el("img", { alt: "", draggable: "false" });
    Pad.showPicture(img, place);
    const look = el(
      "button",
      { class: "look", type: "button", tabindex, "aria-label": title || "Look at this image" },
      img,
    );
    const cross = takesOut
      ? el("button", {
          class: "cross",
          type: "button",
          tabindex: "-1",
          "aria-label": "Take this image out",
        })
      : null;
    const element = el("span", { class: "picture", data: { place } }, look, cross);
    Pad.markPicture(element);
    return element;
  };

  /** Brings a picture up to date with what is named and taken out. */
  Pad.markPicture = (element) => {
    const isOut = Pad.labels.isOut(Number(element.dataset.place));
    element.classList.toggle("is-out", isOut);
    const cross = element.querySelector(".cross");
    if (!cross) return;
    cross.title = isOut ? "Put it back (Delete)" : "It does not belong here: take it out (Delete)";
    cross.setAttribute("aria-label", isOut ? "Put this image back" : "Take this image out");
    cross.setAttribute("aria-pressed", String(isOut));
  };

  /** A field for a name, with the names that were given before. */
  Pad.nameField = ({ onname, onleave, placeholder = "Name" }) => {
    const input = el("input", {
      type: "text",
      class: "name-field",
      list: "names",
      placeholder,
      "aria-label": "Name",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      enterkeyhint: "done",
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing) {
        event.preventDefault();
        const name = input.value.trim().normalize("NFC");
        input.value = "";
        if (name) onname(name);
        else onleave();
      } else if (event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        input.value = "";
        onleave();
      }
    });
    return input;
  };

  /** The names with keys, as buttons. */
  Pad.nameKeys = (onname) => {
    const keys = Pad.labels
      .used()
      .filter(([, , , number]) => number)
      .sort((a, b) => a[3] - b[3]);
    return keys.map(([name, , color, number]) =>
      el(
        "button",
        {
          type: "button",
          class: "name-key",
          "data-color": color % COLORS,
          title: `Key ${number}`,
          "aria-label": `${name}, key ${number}`,
          onclick: () => onname(name),
        },
        el("kbd", {}, String(number)),
        el("span", {}, name),
      ),
    );
  };

  /** Says something, for a while; a screen reader reads it. */
  let timer;
  Pad.say = (text, { undo = false } = {}) => {
    const toast = document.getElementById("toast");
    toast.replaceChildren(
      el("span", {}, text),
      undo ? el("button", { type: "button", onclick: () => Pad.undo() }, "Undo") : "",
    );
    toast.classList.add("shown");
    clearTimeout(timer);
    timer = setTimeout(() => toast.classList.remove("shown"), 5000);
  };
})();
