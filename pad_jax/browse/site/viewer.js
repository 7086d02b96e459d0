"use strict";

// A closer look at one image: the original where its file is, its path, its neighbours, its name.

(() => {
  const { el } = Pad;
  let dialog,
    sequence = [],
    place;

  /** Opens it; `among` are the places between which the arrow keys then go. */
  Pad.look = (at, among = [at]) => {
    sequence = among;
    dialog ??= make();
    show(at);
    if (!dialog.open) dialog.showModal();
    dialog.focus();
  };

  Pad.viewer = {
    get isOpen() {
      return Boolean(dialog?.open);
    },
    refresh: () => {
      if (dialog?.open) drawName();
    },
    useKey: give,
    type: (letter) => {
      field.focus();
      if (letter) field.value = letter;
    },
    toggleOut: () => {
      if (Pad.groups.of(place) >= 0) Pad.toggleOut(place);
    },
  };

  const picture = el("div", { class: "original" });
  const name = el("h2", { id: "viewer-name" }),
    path = el("p", { class: "path" });
  const status = el("div", { class: "status" }),
    keys = el("div", { class: "keys" });
  const neighbors = el("div", { class: "neighbors" }),
    where = el("div", { class: "where" });
  const field = Pad.nameField({
    onname: give,
    onleave: () => dialog.focus(),
    placeholder: "Name this image",
  });

  function make() {
    const made = el(
      "dialog",
      { class: "viewer", tabindex: "-1", "aria-labelledby": "viewer-name" },
      el(
        "button",
        { type: "button", class: "close", "aria-label": "Close", onclick: () => made.close() },
        "✕",
      ),
      picture,
      el(
        "div",
        { class: "facts" },
        name,
        path,
        where,
        status,
        field,
        keys,
        el("h3", {}, "Nearest images"),
        neighbors,
      ),
    );
    made.addEventListener("keydown", (event) => {
      if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      if (event.key === "Delete" || event.key === "Backspace") {
        event.preventDefault();
        Pad.viewer.toggleOut();
      } else if (step && !event.target.closest(".neighbors")) {
        event.preventDefault();
        const next = sequence[sequence.indexOf(place) + step];
        if (next !== undefined) show(next);
      }
    });
    made.addEventListener("click", (event) => {
      if (event.target === made) made.close();
    });
    made.addEventListener("close", () => Pad.refocus());
    document.body.append(made);
    return made;
  }

  async function show(at) {
    place = at;
    name.textContent = path.textContent = "";
    const small = el("img", { alt: "", class: "thumbnail" });
    Pad.showPicture(small, at);
    picture.replaceChildren(small);
    drawName();
    const [called, file, near] = await Promise.all([
      Pad.nameOf(at),
      Pad.fileOf(at),
      Pad.neighborsOf(at),
    ]);
    if (place !== at) return; // another one by now
    name.textContent = called.split(/[\\/]/).at(-1);
    drawPath(called, file);
    if (file) {
      const large = el("img", { alt: called });
      large.onload = () => {
        large.classList.toggle("tiny", Math.max(large.naturalWidth, large.naturalHeight) <= 64);
        if (place === at) picture.replaceChildren(large);
      };
      large.src = file; // where it is gone, or no picture of a kind that browsers know, the small one stays
    }
    neighbors.replaceChildren(
      ...near.map(([other, similarity]) => {
        const element = Pad.picture(other, {
          takesOut: false,
          tabindex: "0",
          title: `Neighbour, similarity ${similarity.toFixed(2)}`,
        });
        const label = Pad.labels.of(other);
        element.append(
          el("span", { class: "similarity" }, similarity.toFixed(2)),
          label ? Pad.badge(label) : "",
        );
        element.querySelector(".look").addEventListener("click", () => {
          sequence = [other];
          show(other);
          dialog.focus();
        });
        return element;
      }),
    );
  }

  function drawPath(called, file) {
    if (!file) {
      path.textContent = called;
      return;
    }
    let shown = file;
    try {
      shown = decodeURIComponent(file.replace(/^file:\/\//, ""));
    } catch {
      /* bytes that are no UTF-8 */
    }
    path.replaceChildren(
      el("a", { href: file, target: "_blank", rel: "noopener", title: "Open the file" }, shown),
    );
  }

  function drawName() {
    const g = Pad.groups.of(place),
      label = Pad.labels.of(place),
      isOut = Pad.labels.isOut(place);
    where.replaceChildren(
      g < 0
        ? "In no group"
        : el(
            "button",
            {
              type: "button",
              class: "link",
              onclick() {
                dialog.close();
                Pad.go(`group=${g}`);
              },
            },
            `In a group of ${Pad.groups.size(g)}`,
          ),
    );
    status.replaceChildren(
      ...[
        label ? Pad.badge(label) : null,
        g >= 0
          ? el(
              "button",
              {
                type: "button",
                class: "quiet-button",
                "aria-pressed": String(isOut),
                onclick: () => Pad.viewer.toggleOut(),
              },
              isOut ? "Put it back into its group" : "Take it out of its group",
            )
          : null,
        label
          ? el(
              "button",
              {
                type: "button",
                class: "quiet-button",
                onclick: () => Pad.did(Pad.labels.clear([[place]])),
              },
              "Take the name away",
            )
          : null,
      ].filter(Boolean),
    );
    keys.replaceChildren(...Pad.nameKeys(give));
    picture.classList.toggle("is-out", isOut);
  }

  function give(given) {
    Pad.did(Pad.labels.giveOne(place, given), `It is named “${given}” already`);
    dialog.focus();
  }
})();
