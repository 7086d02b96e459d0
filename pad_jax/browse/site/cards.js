"use strict";

// What the lists show: groups, sets of groups, single images. An item is {kind, id, places, ...}.

(() => {
  const { el } = Pad;
  const BESIDE = 26,
    GAP = 4; // px of a card beside its pictures and between them

  const SIDES = [96, 112, 148]; // px of a picture in a list: the least, the usual, the most
  const several = (n, noun) => Pad.several(n, noun);

  Pad.groupItem = (g) => ({ kind: "group", id: g, places: Pad.groups.places(g) });

  Pad.setItem = (c) => {
    const { groups, singles } = Pad.sets[c];
    return {
      kind: "set",
      id: c,
      groups,
      places: [...groups.flatMap((g) => Pad.groups.places(g)), ...singles],
    };
  };

  Pad.singleItem = (place) => ({ kind: "single", id: place, places: [place] });

  /** Some of many, evenly. */
  function spread(items, most) {
    if (items.length <= most) return items;
    return Array.from({ length: most }, (_, i) => items[Math.floor((i * items.length) / most)]);
  }

  /** The pictures that stand for an item. */
  function pictures(item, most) {
    if (item.kind !== "set") return item.places.slice(0, most);
    const faces = [
      ...item.groups.map(Pad.groups.first),
      ...(item.groups.length ? [] : item.places),
    ];
    return spread(faces, most);
  }

  const mostPictures = { group: 10, set: 16, single: 1 };

  function fitting(item, room) {
    const fit = Math.max(1, Math.floor((room - BESIDE + GAP) / (SIDES[0] + GAP)));
    return Math.min(fit, mostPictures[item.kind]);
  }

  const numFaces = (item) =>
    item.kind === "set" ? item.groups.length || item.places.length : item.places.length;

  function counts(item) {
    if (item.kind === "group") return several(item.places.length, "image");
    if (item.kind === "set")
      return `${several(item.places.length, "image")} in ${several(item.groups.length, "group")}`;
    return "";
  }

  const alike = (g) => (Pad.catalogue.alike[g] / 1000).toFixed(2);

  /** What a screen reader says of an item. */
  function description(item) {
    const { name, out } = Pad.labels.summary(item.places);
    const kind = { group: "Group of", set: `Set ${item.id + 1},`, single: "One image in no group" }[
      item.kind
    ];
    return [
      `${kind} ${counts(item)}`.trim(),
      name ? `named ${name}` : "without a name",
      out ? `${out} taken out` : "",
    ]
      .filter(Boolean)
      .join(", ");
  }

  Pad.cards = {
    height: 54,
    sides: SIDES,

    measure(item, room) {
      if (item.kind === "single")
        return { pictures: 1, beside: Math.min(BESIDE + 210, room - SIDES[0]) };
      const pictures = Math.max(Math.min(numFaces(item), fitting(item, room)), 2);
      return { pictures, beside: BESIDE + (pictures - 1) * GAP };
    },

    render(item, room) {
      const shown = pictures(item, fitting(item, room));
      const more = numFaces(item) > shown.length ? numFaces(item) - shown.length + 1 : 0;
      const strip = el(
        "div",
        { class: "strip" },
        (more ? shown.slice(0, -1) : shown).map((place) =>
          Pad.picture(place, { takesOut: item.kind === "group" }),
        ),
      );
      if (more) {
        strip.append(
          el(
            "button",
            {
              type: "button",
              class: "more open",
              tabindex: "-1",
              "aria-label": `Show ${more} more`,
            },
            `+${more.toLocaleString("en")}`,
          ),
        );
      }
      const body =
        item.kind === "single" ? el("div", { class: "beside" }, strip, nearest(item.id)) : strip;
      const card = el(
        "article",
        { class: `card ${item.kind}` },
        el(
          "header",
          {},
          el(
            "label",
            { class: "pick" },
            el("input", { type: "checkbox", tabindex: "-1", "aria-label": "Select" }),
          ),
          el("span", { class: "title" }),
          el("span", { class: "meta", title: "Alike: the mean similarity of its images" }),
          el("button", { type: "button", class: "open link", tabindex: "-1" }, "Open"),
        ),
        body,
      );
      card.querySelector(".pick").addEventListener("click", (event) => {
        event.preventDefault(); // the box follows the selection
        this.onpick?.(item, { range: event.shiftKey });
      });
      this.update(card, item);
      return card;
    },

    update(card, item) {
      const { name, others, out, isNamed, isMajority, unnamed } = Pad.labels.summary(item.places);
      const isPicked = Pad.selection.has(item);
      card.classList.toggle("is-picked", isPicked);
      card.classList.toggle("is-named", isNamed);
      card.setAttribute("aria-label", description(item) + (isPicked ? ", selected" : ""));
      card.querySelector(".pick input").checked = isPicked;
      const title = card.querySelector(".title");
      if (name && isMajority) {
        const notes = [
          others.length ? `+ ${others.join(", ")}` : "",
          unnamed ? `${unnamed.toLocaleString("en")} to go` : "",
        ];
        title.replaceChildren(Pad.badge(name, notes.filter(Boolean).join(", ")));
      } else title.replaceChildren(item.kind === "set" ? `Set ${item.id + 1}` : "");
      const meta = [counts(item)];
      if (item.kind === "group") meta.push(`alike ${alike(item.id)}`);
      if (name && !isMajority) meta.push(`${[name, ...others].join(", ")} in part`);
      if (out) meta.push(`${out} out`);
      card.querySelector(".meta").textContent = meta.filter(Boolean).join(" · ");
      if (item.kind === "single")
        Pad.nameOf(item.id).then((file) => {
          card.querySelector(".meta").textContent = file;
        });
      for (const picture of card.querySelectorAll(".picture")) Pad.markPicture(picture);
      for (const row of card.querySelectorAll(".nearest button")) markNearest(row);
    },

    alike,
    description,
  };

  /** The groups that an image in none is most similar to: with a click it takes their name. */
  function nearest(place) {
    const found = Pad.singles.nearest.of(place - Pad.numGrouped);
    return el(
      "div",
      { class: "nearest" },
      found.map(([g, similarity]) => {
        const img = el("img", { alt: "" });
        Pad.showPicture(img, Pad.groups.first(g));
        const row = el(
          "button",
          { type: "button", tabindex: "-1", data: { group: g, place } },
          img,
          el("span", { class: "of" }),
          el("span", { class: "similarity" }, similarity.toFixed(2)),
        );
        row.addEventListener("click", () => {
          const { name } = Pad.labels.summary(Pad.groups.places(g));
          if (name) Pad.did(Pad.labels.giveOne(place, name));
          else Pad.go(`group=${g}`);
        });
        markNearest(row);
        return row;
      }),
    );
  }

  function markNearest(row) {
    const { name } = Pad.labels.summary(Pad.groups.places(Number(row.dataset.group)));
    const of = row.querySelector(".of");
    of.replaceChildren(name ? Pad.badge(name) : el("span", { class: "quiet" }, "open group"));
    row.title = name ? `Give it the name “${name}”` : "Look at this group";
  }
})();
