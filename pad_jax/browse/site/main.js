"use strict";

// The page as a whole: which view is open, what is told at its top, keys that work everywhere.

(() => {
  const { el } = Pad;
  const TABS = [
    ["name", "Name these"],
    ["groups", "Groups"],
    ["sets", "Sets"],
    ["outside", "In no group"],
  ];
  const main = document.querySelector("main");
  const byId = (id) => document.getElementById(id);
  let view = null,
    hash = "";
  let list = null; // the list that was open last: where a group goes back to
  const positions = new Map(); // of the lists: which card had the focus

  // Views ------------------------------------------------------------------------------------

  /** Opens a view: "name", "groups", "sets", "outside", "set=<number>" or "group=<number>". */
  Pad.go = (to, { replace = false } = {}) => {
    if (replace) {
      history.replaceState(null, "", `#${to}`);
      open();
    } else location.hash = to;
  };

  const exists = (kind, id) =>
    (kind === "group" && id < Pad.groups.count) || (kind === "set" && id < Pad.sets.length);

  function open() {
    let [kind, id] = decodeURIComponent(location.hash.slice(1)).split("=");
    id = Number(id);
    if (!TABS.some(([tab]) => tab === kind) && !exists(kind, id)) {
      kind = Pad.groups.count ? "name" : "outside";
      history.replaceState(null, "", `#${kind}`);
    }
    if (view) {
      if (view.current !== undefined) positions.set(hash, view.current);
      view.close();
    }
    Pad.selection.clear();
    hash = location.hash.slice(1);
    if (kind === "name" || kind === "group") {
      view = Pad.openStage(main, kind, id, list);
      scrollTo(0, 0);
      if (kind === "name") list = null;
    } else {
      view = Pad.openList(main, kind, id, positions.get(hash) ?? 0);
      const { title, groups } = view;
      list = { hash, title, groups };
      if (!positions.has(hash)) scrollTo(0, 0);
    }
    for (const tab of document.querySelectorAll(".tabs a")) {
      const isHere =
        tab.hash === `#${kind}` ||
        (kind === "set" && tab.hash === "#sets") ||
        (kind === "group" && tab.hash === `#${list?.hash ?? "groups"}`);
      if (isHere) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
    document.title = `${view.title} – ${Pad.catalogue.title}`;
    view.focus();
  }

  /** Puts the focus back into the view. */
  Pad.refocus = () => view?.focus();

  // What is done -----------------------------------------------------------------------------

  /** Tells what was done, or else why nothing was. */
  Pad.did = (said, otherwise = "") => {
    if (said) Pad.say(said, { undo: true });
    else if (otherwise) Pad.say(otherwise);
  };

  Pad.toggleOut = (place) => {
    const others = Pad.groups.places(Pad.groups.of(place)).filter((other) => other !== place);
    Pad.did(Pad.labels.toggleOut(place, others));
  };

  Pad.undo = () => {
    const step = Pad.labels.undo();
    if (step) view.undone?.(step.places);
    Pad.say(step ? `Undone: ${step.text}` : "There is nothing to undo");
  };

  Pad.redo = () => {
    const step = Pad.labels.redo();
    Pad.say(step ? `Done again: ${step.text}` : "There is nothing to do again");
  };

  let isSaved = true;

  /** Does what may need files of the site, which are gone once it has been written anew. */
  const withFiles = async (what) => {
    try {
      await what();
    } catch (error) {
      if (!(error instanceof Pad.Gone)) throw error;
      Pad.say(`${error.message}: the page was written anew. Reload it, and do that again`);
    }
  };

  const save = async () => {
    if (!Pad.labels.numNamed) return Pad.say("Nothing has a name yet");
    const file = new Blob([await Pad.labels.toCsv()], { type: "text/csv" });
    const link = el("a", { href: URL.createObjectURL(file), download: "labels.csv" });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    isSaved = true;
    byId("saved-count").textContent =
      `${Pad.several(Pad.labels.numNamed, "image")} with ${Pad.several(Pad.labels.used().length, "name")}`;
    byId("saved").showModal();
    Pad.offers.renew();
    if (hash === "name") open();
  };
  Pad.save = () => withFiles(save);

  byId("load").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    const load = async () =>
      Pad.say(await Pad.labels.fromCsv(await file.arrayBuffer()), { undo: true });
    if (file) await withFiles(load);
    event.target.value = "";
  });

  // The top of the page ----------------------------------------------------------------------

  function drawProgress() {
    const { images } = Pad.catalogue,
      named = Pad.labels.numNamed;
    byId("undo").disabled = !Pad.labels.canUndo;
    byId("redo").disabled = !Pad.labels.canRedo;
    byId("names").replaceChildren(
      ...Pad.labels.used().map(([name]) => el("option", { value: name })),
    );
    byId("not-kept").hidden = Pad.labels.keeps;
    byId("named-bar").style.width = `${(100 * named) / images}%`;
    const share = Pad.offers.share();
    byId("near-bar").style.width = `${100 * share}%`;
    byId("progress-text").replaceChildren(
      el("b", {}, named.toLocaleString("en")),
      ` of ${images.toLocaleString("en")} named`,
      el(
        "span",
        { class: "near" },
        ...(named
          ? [
              `${Math.round(100 * share)} % `,
              el("span", { class: "wide" }, "of the pile is "),
              "near a name",
            ]
          : []),
      ),
    );
  }

  let isPlanned = false;
  function changed() {
    isSaved = false;
    view.changed();
    Pad.viewer.refresh();
    if (isPlanned) return;
    isPlanned = true;
    requestAnimationFrame(() => {
      isPlanned = false;
      drawProgress();
    });
  }

  // Keys and clicks that work everywhere -----------------------------------------------------

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey) {
      const letter = event.key.toLowerCase();
      const inText = event.target.matches("input[type=text]") && event.target.value;
      if (letter === "s") {
        event.preventDefault();
        Pad.save();
      } else if (inText) return;
      else if (letter === "z") {
        event.preventDefault();
        if (event.shiftKey) Pad.redo();
        else Pad.undo();
      } else if (letter === "y") {
        event.preventDefault();
        Pad.redo();
      } else if (letter === "a" && view.selectAll) {
        event.preventDefault();
        view.selectAll();
      }
      return;
    }
    if (
      event.altKey ||
      event.target.matches("input[type=text], select") ||
      byId("help").open ||
      byId("saved").open
    )
      return;
    const target = Pad.viewer.isOpen ? Pad.viewer : view;
    if (event.key === "?") {
      event.preventDefault();
      byId("help").showModal();
    } else if (event.key === "Escape" && !Pad.viewer.isOpen) view.escape();
    else if (/^[1-9]$/.test(event.key)) {
      event.preventDefault();
      const name = Pad.labels.withKey(Number(event.key));
      if (name) target.useKey(name);
      else Pad.say(`Key ${event.key} has no name yet; press Enter in the field to type one`);
    } else if (/^[\p{L}\p{N}_]$/u.test(event.key)) {
      // a letter begins a name
      event.preventDefault();
      target.type(event.key);
    } else if (event.key === "F2") {
      event.preventDefault();
      target.type("");
    }
  });

  main.addEventListener("click", (event) => {
    const picture = event.target.closest(".picture");
    if (!picture) return;
    const place = Number(picture.dataset.place);
    if (event.target.closest(".cross")) Pad.toggleOut(place);
    else if (event.target.closest(".look")) {
      const g = Pad.groups.of(place);
      Pad.look(
        place,
        g < 0 && view.singles ? view.singles() : g < 0 ? [place] : Pad.groups.places(g),
      );
    }
  });

  byId("undo").addEventListener("click", () => Pad.undo());
  byId("redo").addEventListener("click", () => Pad.redo());
  byId("save").addEventListener("click", () => Pad.save());
  byId("help-button").addEventListener("click", () => byId("help").showModal());
  byId("copy").addEventListener("click", () => {
    navigator.clipboard?.writeText(Pad.catalogue.command).then(
      () => {
        byId("copy").textContent = "Copied";
      },
      () => {},
    );
  });
  for (const button of document.querySelectorAll("dialog .dismiss")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  byId("saved").addEventListener("close", () => Pad.refocus());
  byId("help").addEventListener("close", () => Pad.refocus());
  addEventListener("beforeunload", (event) => {
    if (!Pad.labels.keeps && !isSaved) event.preventDefault(); // names would be lost
  });

  function begin() {
    Pad.open();
    Pad.labels.open();
    byId("command").textContent = Pad.catalogue.command;
    const counts = { groups: Pad.groups.count, sets: Pad.sets.length, outside: Pad.singles.count };
    byId("tabs").replaceChildren(
      ...TABS.map(([tab, title]) =>
        el(
          "a",
          { href: `#${tab}` },
          title,
          tab in counts ? el("span", { class: "count" }, counts[tab].toLocaleString("en")) : null,
        ),
      ),
    );
    Pad.offers.open();
    Pad.labels.listen(changed);
    addEventListener("hashchange", open);
    open();
    drawProgress();
    document.documentElement.classList.add("is-ready");
  }

  try {
    begin();
  } catch (error) {
    main.replaceChildren(
      el(
        "p",
        { class: "none", role: "alert" },
        `The page cannot be shown: ${error.message}. Run --mode=browse again.`,
      ),
    );
    throw error;
  }
})();
