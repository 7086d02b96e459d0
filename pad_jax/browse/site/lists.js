"use strict";

// The lists: all groups, sets, the groups of a set, images in no group; what is selected in them.

(() => {
  const { el } = Pad;
  const keyOf = (item) => `${item.kind}=${item.id}`;
  const picked = new Map(); // key -> item
  let anchor = null; // where a range begins

  Pad.selection = {
    has: (item) => picked.has(keyOf(item)),
    get items() {
      return [...picked.values()];
    },
    clear() {
      picked.clear();
      anchor = null;
    },
    toggle(item) {
      if (!picked.delete(keyOf(item))) picked.set(keyOf(item), item);
      anchor = keyOf(item);
    },
    /** Selects all items from the one that was selected last to this one. */
    extend(items, item, from) {
      const index = (key) => items.findIndex((other) => keyOf(other) === key);
      const ends = [index(from ? keyOf(from) : anchor), index(keyOf(item))];
      if (ends[0] < 0) return this.toggle(item);
      for (const other of items.slice(Math.min(...ends), Math.max(...ends) + 1))
        picked.set(keyOf(other), other);
      anchor = keyOf(item);
    },
    all(items) {
      for (const item of items) picked.set(keyOf(item), item);
    },
  };

  const { alike } = Pad.catalogue;
  const all = (count, make) => Array.from({ length: count }, (_, i) => make(i));
  const groupItems = (groups) => groups.map(Pad.groupItem);
  const orders = {
    similar: ["similar ones side by side", null],
    size: ["largest first", (a, b) => b.places.length - a.places.length],
    sure: ["surest first", (a, b) => alike[b.id] - alike[a.id]],
    unsure: ["least sure first", (a, b) => alike[a.id] - alike[b.id]],
  };
  const chosen = { order: "similar", show: "all" }; // kept from list to list

  const kinds = {
    groups: {
      title: "Groups",
      lead: "Small groups of images that are alike. Select those of a kind and name them together.",
      items: () => all(Pad.groups.count, Pad.groupItem),
      orders: ["similar", "size", "sure", "unsure"],
      empty: "No groups were found: no image has close enough neighbours.",
    },
    sets: {
      title: "Sets",
      lead: Pad.catalogue.setsAreClusters
        ? "Groups that belong together, by the clusters that the pile falls into. A set takes one " +
          "name; name groups of another kind by themselves, before or after."
        : "The pile does not fall into clusters by itself: these are mere parts of it, by k-means. " +
          "A part takes one name; where it is mixed, open it and name its groups.",
      items: () => all(Pad.sets.length, Pad.setItem),
      orders: ["similar", "size"],
      empty: "The pile falls into no clusters.",
    },
    outside: {
      title: "In no group",
      lead: "Images without close relatives, and the groups they are nearest to. A click on a name gives it to the image.",
      items: () => all(Pad.singles.count, (i) => Pad.singleItem(Pad.numGrouped + i)),
      orders: [],
      empty: "Every image is in a group.",
    },
    set: {
      title: (c) => `Set ${c + 1}`,
      lead: "The groups of one set.",
      items: (c) => groupItems(Pad.sets[c].groups),
      orders: ["similar", "size", "sure", "unsure"],
      whole: (c) => Pad.setItem(c),
      empty: "This set has single images only; name it in the list of sets.",
    },
  };

  const OWN_NAMES = "Nothing here is without a name; take the names away to give another";

  /** A list in the page; an object with what main.js calls of a view. */
  Pad.openList = (main, kind, id, current) => {
    const view = kinds[kind];
    const title = typeof view.title === "function" ? view.title(id) : view.title;
    const count = el("span", { class: "count", "aria-live": "polite" });
    const holder = el("div", { class: "holder" });
    const tools = el("div", { class: "tools" });
    main.replaceChildren(
      el(
        "div",
        { class: "heading" },
        kind === "set" ? el("a", { href: "#sets", class: "back" }, "‹ All sets") : null,
        el("h2", {}, title, count),
        el("p", {}, view.lead),
        tools,
      ),
      holder,
    );
    let everything = view.items(id);

    function select(name, label, options) {
      const box = el(
        "select",
        { "aria-label": label },
        options.map(([value, text]) =>
          el("option", { value, selected: chosen[name] === value }, text),
        ),
      );
      if (!options.some(([value]) => value === chosen[name])) box.value = options[0][0];
      box.addEventListener("change", () => {
        chosen[name] = box.value;
        arrange();
      });
      return el("label", {}, `${label} `, box);
    }

    function drawTools() {
      const names = Pad.labels
        .used()
        .map(([name, number]) => [`=${name}`, `${name} (${number.toLocaleString("en")})`]);
      tools.replaceChildren(
        ...[
          view.orders.length
            ? select(
                "order",
                "Order",
                view.orders.map((o) => [o, orders[o][0]]),
              )
            : null,
          select("show", "Show", [["all", "all"], ["open", "without a name"], ...names]),
          view.whole
            ? el("button", { type: "button", onclick: () => pickWhole() }, "Select the whole set")
            : null,
        ].filter(Boolean),
      );
    }

    function pickWhole() {
      Pad.selection.clear();
      Pad.selection.toggle(view.whole(id));
      bar.refresh();
      shelf.refresh();
      bar.focus();
    }

    function arrange(at = 0) {
      const wanted = chosen.show;
      let items = everything.filter((item) => {
        if (wanted === "all") return true;
        const { name, others, isNamed } = Pad.labels.summary(item.places);
        return wanted === "open" ? !isNamed : [name, ...others].includes(wanted.slice(1));
      });
      const [, compare] = orders[view.orders.includes(chosen.order) ? chosen.order : "similar"];
      if (compare) items = [...items].sort(compare);
      count.textContent =
        items.length === everything.length
          ? items.length.toLocaleString("en")
          : `${items.length.toLocaleString("en")} of ${everything.length.toLocaleString("en")}`;
      shelf.setItems(items, at);
      bar.refresh();
      const none = holder.querySelector(".none");
      if (!items.length && !none)
        holder.append(
          el("p", { class: "none" }, everything.length ? "Nothing is left here." : view.empty),
        );
      else if (items.length) none?.remove();
    }

    function pick(item, { range, from }) {
      if (range) Pad.selection.extend(shelf.items, item, from);
      else Pad.selection.toggle(item);
      shelf.refresh();
      bar.refresh();
    }

    const cards = { ...Pad.cards, onpick: pick };
    const shelf = new Pad.Shelf(holder, {
      label: title,
      measure: cards.measure,
      sides: cards.sides,
      height: cards.height,
      render: (item, room) => cards.render(item, room),
      update: (card, item) => cards.update(card, item),
      onopen: (item) => {
        if (item.kind === "single")
          Pad.look(
            item.id,
            shelf.items.map((single) => single.id),
          );
        else Pad.go(keyOf(item));
      },
      onpick: pick,
      oncurrent: () => bar.refresh(),
    });

    /** What a name is given to: what is selected, else the card with the focus. */
    const targets = () => {
      const { items } = Pad.selection;
      return items.length ? items : shelf.items.slice(shelf.current, shelf.current + 1);
    };
    const bar = Pad.nameBar({
      targets,
      onname(name) {
        const said = Pad.labels.give(
          targets().map((item) => item.places),
          name,
        );
        Pad.selection.clear();
        Pad.did(said, OWN_NAMES);
        shelf.focus();
      },
      onclear() {
        const said = Pad.labels.clear(targets().map((item) => item.places));
        Pad.selection.clear();
        Pad.did(said, "There is no name to take away");
        shelf.focus();
      },
      onleave: () => shelf.focus(),
    });
    document.body.append(bar.element);
    drawTools();
    arrange(current);
    return {
      title,
      focus: () => shelf.focus(),
      type: (letter) => bar.focus(letter),
      useKey(name) {
        bar.give(name);
      },
      changed() {
        drawTools();
        shelf.refresh();
        bar.refresh();
      },
      selectAll() {
        Pad.selection.all(shelf.items);
        shelf.refresh();
        bar.refresh();
      },
      escape() {
        Pad.selection.clear();
        shelf.refresh();
        bar.refresh();
      },
      /** The groups of the list in its order, and the single images. */
      groups: () =>
        shelf.items.flatMap((item) => item.groups ?? (item.kind === "group" ? item.id : [])),
      singles: () => shelf.items.map((item) => item.id),
      get current() {
        return shelf.current;
      },
      close() {
        shelf.close();
        bar.element.remove();
      },
    };
  };

  /** The bar below a list, in which a name is typed or chosen. */
  Pad.nameBar = ({ targets, onname, onclear, onleave }) => {
    const what = el("span", { class: "what", "aria-live": "polite" });
    const field = Pad.nameField({ onname, onleave, placeholder: "Type a name" });
    const keys = el("span", { class: "keys" });
    const clear = el(
      "button",
      { type: "button", class: "quiet-button", onclick: onclear },
      "Take the name away",
    );
    const element = el(
      "form",
      { class: "name-bar", "aria-label": "Name what is selected" },
      what,
      field,
      keys,
      clear,
    );
    element.addEventListener("submit", (event) => event.preventDefault());
    const bar = {
      element,
      give: onname,
      focus(letter = "") {
        field.focus();
        if (letter) field.value = letter;
      },
      refresh() {
        const items = targets(),
          selected = Pad.selection.items.length;
        const images = items.reduce((sum, item) => sum + item.places.length, 0);
        const noun = { group: "group", set: "set", single: "image" }[items[0]?.kind];
        what.replaceChildren(
          ...(selected
            ? [
                el("b", {}, `${Pad.several(selected, noun)} selected`),
                ` ${selected === images ? "" : Pad.several(images, "image")}`,
              ]
            : items.length
              ? [
                  el("b", {}, `This ${noun}`),
                  el("span", { class: "wide" }, " or select several: Space, or a click"),
                ]
              : [""]),
        );
        keys.replaceChildren(...Pad.nameKeys(onname));
        clear.hidden = !items.some((item) => Pad.labels.summary(item.places).code);
        field.disabled = !items.length;
      },
    };
    bar.refresh();
    return bar;
  };
})();
