"use strict";

// One group at a time, large: in the order that is worth naming, or opened from a list.

(() => {
  const { el } = Pad;
  const AT_ONCE = 120; // pictures of a large group that are shown at first

  /**
   * A group in the page. `kind` is "name", for the groups that are offered, or "group", with `id`;
   * `list` says between which groups one then goes.
   */
  Pad.openStage = (main, kind, id, list) => {
    const isOffer = kind === "name";
    let shownPictures = AT_ONCE,
      at = 0;
    const heading = el("div", { class: "heading" });
    const pictures = el("div", {
      class: "pictures",
      role: "group",
      "aria-label": "Images of this group",
    });
    const field = Pad.nameField({
      onname: give,
      onleave: () => focusPicture(),
      placeholder: "What are these? Type a name",
    });
    const keys = el("div", { class: "keys" });
    const status = el("div", { class: "status" });
    const similar = Pad.similarGroups();
    const steps = el("div", { class: "steps" });
    main.replaceChildren(
      heading,
      el("div", { class: "stage" }, pictures, el("div", { class: "naming" }, field, keys, status)),
      similar.element,
    );

    const group = () => (isOffer ? Pad.offers.current : id);
    const places = () => Pad.groups.places(group());

    function draw() {
      shownPictures = AT_ONCE;
      at = 0;
      if (group() === undefined) return drawEnd();
      main.classList.remove("is-done");
      drawPictures();
      similar.draw(group());
      refresh();
    }

    function drawPictures() {
      const all = places();
      pictures.replaceChildren(
        ...all.slice(0, shownPictures).map((place, i) =>
          Pad.picture(place, {
            tabindex: i === at ? "0" : "-1",
            title: `Image ${i + 1} of ${all.length}`,
          }),
        ),
      );
      pictures.classList.toggle("many", all.length > 24);
      if (all.length > shownPictures) {
        const more = Math.min(AT_ONCE, all.length - shownPictures);
        pictures.append(
          el(
            "button",
            {
              type: "button",
              class: "more",
              onclick() {
                at = shownPictures;
                shownPictures += AT_ONCE;
                drawPictures();
                focusPicture();
              },
            },
            `Show ${more} more`,
          ),
        );
      }
      for (const picture of pictures.querySelectorAll(".picture")) {
        Pad.nameOf(Number(picture.dataset.place)).then((name) => {
          picture.querySelector(".look").title = name;
          picture.querySelector(".look").setAttribute("aria-label", name);
        });
      }
    }

    function refresh() {
      if (group() === undefined) return drawHeading();
      drawHeading();
      for (const picture of main.querySelectorAll(".picture")) Pad.markPicture(picture);
      similar.refresh();
      keys.replaceChildren(...Pad.nameKeys(give));
      const { name, out, others } = Pad.labels.summary(places());
      status.replaceChildren(
        ...[
          name ? Pad.badge(name, others.length ? `+ ${others.join(", ")}` : "") : null,
          out ? el("span", { class: "quiet" }, `${Pad.several(out, "image")} taken out`) : null,
          name
            ? el(
                "button",
                { type: "button", class: "quiet-button", onclick: clear },
                "Take the name away",
              )
            : null,
        ].filter(Boolean),
      );
      drawSteps();
    }

    function drawHeading() {
      const g = group();
      if (isOffer) {
        const { queue, position, round } = Pad.offers;
        const why =
          round === 1
            ? "Groups that lie far apart, so that few names reach most of the pile. Take out what does not belong."
            : "The groups that add most to what is named.";
        heading.replaceChildren(
          el(
            "h2",
            {},
            "Name these",
            g === undefined
              ? ""
              : el("span", { class: "count" }, `${position + 1} of ${queue.length}`),
          ),
          el("p", {}, why),
          steps,
        );
      } else {
        const set = Pad.catalogue.sets[g];
        heading.replaceChildren(
          el(
            "a",
            { href: `#${list?.hash ?? "groups"}`, class: "back" },
            `‹ ${list?.title ?? "Groups"}`,
          ),
          el(
            "h2",
            {},
            Pad.several(Pad.groups.size(g), "image"),
            el("span", { class: "count" }, `alike ${Pad.cards.alike(g)}`),
          ),
          set >= 0 && list?.hash !== `set=${set}`
            ? el("p", {}, "In ", el("a", { href: `#set=${set}` }, `set ${set + 1}`))
            : "",
          steps,
        );
      }
    }

    function drawSteps() {
      const names = isOffer ? ["Back", "Skip"] : ["Previous", "Next"];
      steps.replaceChildren(
        el("button", { type: "button", title: "Page up", onclick: () => step(-1) }, names[0]),
        el("button", { type: "button", title: "Page down", onclick: () => step(1) }, names[1]),
      );
    }

    function drawEnd() {
      main.classList.add("is-done");
      for (const part of [keys, status, steps]) part.replaceChildren();
      similar.draw();
      drawHeading();
      const isOver = !Pad.offers.queue.length;
      const share = Math.round(100 * Pad.offers.share());
      const [title, text] = !Pad.groups.count
        ? ["There are no groups", "No image has close enough neighbours. Name single images."]
        : [
            isOver ? "Every group has a name" : "That is all of this round",
            `${share} % of the pile is near a name. Save the labels` +
              (isOver ? "." : ", or go on with the groups that add most."),
          ];
      const more = () => {
        Pad.offers.renew();
        draw();
        focusPicture();
      };
      const button = (label, onclick, kind = "") =>
        el("button", { type: "button", class: kind, onclick }, label);
      pictures.replaceChildren(
        el(
          "div",
          { class: "end" },
          el("h3", {}, title),
          el("p", {}, text),
          el(
            "div",
            { class: "steps" },
            Pad.groups.count ? button("Save labels.csv", () => Pad.save(), "primary") : null,
            isOver ? null : button("Name more", more),
          ),
        ),
      );
    }

    function give(name) {
      if (group() === undefined) return;
      const items = [group(), ...similar.ticked].map(Pad.groups.places);
      const said = Pad.labels.give(items, name);
      if (isOffer) Pad.offers.advance();
      Pad.did(said, "Nothing here is without a name; take the names away to give another");
      if (isOffer) draw();
      focusPicture();
    }

    function clear() {
      Pad.did(Pad.labels.clear([places()]));
      focusPicture();
    }

    function step(by) {
      if (isOffer) {
        Pad.offers.move(by);
        draw();
        focusPicture();
      } else {
        const groups = list?.groups() ?? Array.from({ length: Pad.groups.count }, (_, g) => g);
        const next = groups[groups.indexOf(id) + by];
        if (next !== undefined) Pad.go(`group=${next}`, { replace: true });
      }
    }

    const looks = () => [...pictures.querySelectorAll(".look")];

    function focusPicture(to = at) {
      const all = looks();
      if (!all.length) {
        (pictures.querySelector("button") ?? main).focus();
        return;
      }
      at = Math.min(Math.max(to, 0), all.length - 1);
      all.forEach((look, i) => {
        look.tabIndex = i === at ? 0 : -1;
      });
      all[at].focus();
    }

    pictures.addEventListener("focusin", (event) => {
      const i = looks().indexOf(event.target);
      if (i >= 0) at = i;
    });

    pictures.addEventListener("keydown", (event) => {
      if (!event.target.matches(".look") || event.ctrlKey || event.metaKey || event.altKey) return;
      const row = () => {
        const all = looks(),
          top = all[at].getBoundingClientRect().top;
        return Math.max(
          1,
          all.filter((look) => Math.abs(look.getBoundingClientRect().top - top) < 4).length,
        );
      };
      const moves = {
        ArrowLeft: () => at - 1,
        ArrowRight: () => at + 1,
        ArrowUp: () => at - row(),
        ArrowDown: () => at + row(),
        Home: () => 0,
        End: () => looks().length - 1,
      };
      if (moves[event.key]) {
        event.preventDefault();
        focusPicture(moves[event.key]());
      } else if (event.key === "Delete" || event.key === "Backspace") {
        event.preventDefault();
        Pad.toggleOut(Number(event.target.closest(".picture").dataset.place));
      }
    });

    main.addEventListener("keydown", pageKeys);
    function pageKeys(event) {
      if (event.target.matches("input[type=text]")) return;
      if (event.key === "PageDown" || event.key === "PageUp") {
        event.preventDefault();
        step(event.key === "PageDown" ? 1 : -1);
      }
    }

    draw();
    return {
      title: isOffer ? "Name these" : "Group",
      focus: () => focusPicture(),
      type(letter) {
        field.focus();
        if (letter) field.value = letter;
      },
      useKey: give,
      changed: refresh,
      /** Goes back to the group whose name was taken back. */
      undone(places) {
        if (!isOffer || !Pad.offers.show(Pad.groups.of(places[0]))) return;
        draw();
        focusPicture();
      },
      escape() {
        if (!isOffer) Pad.go(list?.hash ?? "groups");
      },
      close() {
        main.removeEventListener("keydown", pageKeys);
        main.classList.remove("is-done");
      },
    };
  };
})();
