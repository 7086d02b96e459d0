"use strict";

// The groups most similar to one, below it: those that are ticked take the same name.

(() => {
  const { el } = Pad;
  const SHOWN = 6; // groups
  const PICTURES = 4; // of each

  Pad.similarGroups = () => {
    const element = el("section", { class: "similar", "aria-label": "Similar groups" });
    const ticked = new Set();

    function card(g) {
      const places = Pad.groups.places(g);
      const box = el("input", { type: "checkbox" });
      const made = el(
        "div",
        { class: "card small", data: { group: g } },
        el(
          "header",
          {},
          el("label", { class: "pick" }, box, el("span", { class: "title" })),
          el("span", { class: "meta" }, Pad.several(places.length, "image")),
        ),
        el(
          "div",
          { class: "strip" },
          places.slice(0, PICTURES).map((place) => Pad.picture(place, { takesOut: false })),
        ),
      );
      box.addEventListener("change", () => {
        if (box.checked) ticked.add(g);
        else ticked.delete(g);
        made.classList.toggle("is-picked", box.checked);
      });
      return made;
    }

    return {
      element,
      /** The groups that are ticked. */
      get ticked() {
        return [...ticked];
      },
      /** Shows those of another group; none without one. */
      draw(group) {
        ticked.clear();
        const near = group === undefined ? [] : Pad.offers.neighbors(group, SHOWN);
        element.replaceChildren();
        if (!near.length) return;
        element.append(
          el("h3", {}, "Similar groups"),
          el("p", {}, "Those that are ticked take the same name."),
          el("div", { class: "cards" }, near.map(card)),
        );
        this.refresh();
      },
      refresh() {
        for (const each of element.querySelectorAll(".card")) {
          const { name } = Pad.labels.summary(Pad.groups.places(Number(each.dataset.group)));
          each.querySelector(".title").replaceChildren(name ? Pad.badge(name) : "Same kind");
        }
      },
    };
  };
})();
