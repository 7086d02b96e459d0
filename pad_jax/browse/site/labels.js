"use strict";

// The names that were given: of each image, so that they hold whatever groups it is shown in.

(() => {
  const NONE = 0,
    OUT = 1,
    FIRST = 2; // a code below FIRST is no name
  const SLOTS = 9;
  const COLUMNS = [Pad.IMAGE_COLUMNS, ["label", "class"]]; // of a file of names
  const names = []; // of code FIRST + i
  const slots = []; // the names with keys 1 .. 9, as codes; a name keeps its key while it has one
  const used = new Map(); // code -> when it was last given
  const undone = [],
    done = []; // [{text, places, before, after}]
  const listeners = [];
  let codes,
    counts,
    clock = 0,
    keeps = true;

  let pile = ""; // tells piles of the same names apart; "" for the one that was there first
  const key = (what) => `pad-browse:${Pad.catalogue.fingerprint}${pile}:${what}`;

  /** Whether images of the same names are others: most that were looked at both times differ. */
  function areOthers(before, now) {
    const both = now.map((_, i) => i).filter((i) => now[i] !== null && (before[i] ?? null) !== null);
    return 2 * both.filter((i) => now[i] === before[i]).length < both.length;
  }

  /** Finds where the names of these images are kept. */
  function findPile() {
    const { looks } = Pad.catalogue;
    const kept = JSON.parse(localStorage.getItem(key("looks")) ?? "null");
    if (kept && areOthers(kept, looks)) pile = `:${looks.join()}`;
  }

  function codeOf(name) {
    const known = names.indexOf(name);
    if (known >= 0) return FIRST + known;
    names.push(name);
    return FIRST + names.length - 1;
  }

  function use(code) {
    used.set(code, ++clock);
    if (slots.includes(code)) return;
    if (slots.length < SLOTS) {
      slots.push(code);
      return;
    }
    const time = (c) => (counts[c] ? (used.get(c) ?? 0) : -1);
    const oldest = slots.reduce((a, b) => (time(b) < time(a) ? b : a));
    slots[slots.indexOf(oldest)] = code;
  }

  function put(place, code) {
    counts[codes[place]]--;
    counts[code] = (counts[code] ?? 0) + 1;
    codes[place] = code;
  }

  function changed(places) {
    store();
    for (const listener of listeners) listener(places);
  }

  /** Gives places codes, as one step that can be undone; whether any of them was new. */
  function act(text, places, after) {
    const differing = places.map((_, i) => i).filter((i) => codes[places[i]] !== after[i]);
    if (!differing.length) return false;
    const step = {
      text,
      places: differing.map((i) => places[i]),
      before: differing.map((i) => codes[places[i]]),
      after: differing.map((i) => after[i]),
    };
    step.places.forEach((place, i) => put(place, step.after[i]));
    done.push(step);
    undone.length = 0;
    changed(step.places);
    return true;
  }

  function move(from, to, side) {
    const step = from.pop();
    if (!step) return null;
    step.places.forEach((place, i) => put(place, step[side][i]));
    to.push(step);
    changed(step.places);
    return step;
  }

  // In the browser's storage: a character of each image, in the order of the rows, which does not
  // change with the groups. Surrogates are left out: no half of a pair can be stored.
  const toChar = (code) => String.fromCharCode(code < 0xd000 ? code + 48 : code + 0x1000);
  const fromChar = (text, i) => {
    const unit = text.charCodeAt(i);
    return unit < 0xd030 ? unit - 48 : unit - 0x1000;
  };

  function store() {
    const units = new Array(codes.length);
    codes.forEach((code, place) => {
      units[Pad.rowOf[place]] = toChar(code);
    });
    try {
      localStorage.setItem(key("names"), JSON.stringify({ names, slots }));
      localStorage.setItem(key("rows"), units.join(""));
      const before = JSON.parse(localStorage.getItem(key("looks")) ?? "[]");
      const looks = Pad.catalogue.looks.map((look, i) => look ?? before[i] ?? null);
      localStorage.setItem(key("looks"), JSON.stringify(looks));
      keeps = true;
    } catch {
      // full, or the browser keeps nothing for pages from the disk
      keeps = false;
    }
  }

  function restore() {
    codes = new Uint16Array(Pad.catalogue.images);
    counts = [codes.length];
    let text = null,
      kept = null;
    try {
      findPile();
      text = localStorage.getItem(key("rows"));
      kept = JSON.parse(localStorage.getItem(key("names")) ?? "null");
    } catch {
      keeps = false;
    }
    if (!kept || text?.length !== codes.length) return;
    names.splice(0, names.length, ...kept.names);
    slots.splice(0, slots.length, ...kept.slots);
    Pad.rowOf.forEach((row, place) => put(place, fromChar(text, row)));
  }

  /** Of some places: the name that most of them have, how many have which. */
  function summary(places) {
    const votes = new Map();
    let out = 0;
    for (const place of places) {
      const code = codes[place];
      if (code === OUT) out++;
      else votes.set(code, (votes.get(code) ?? 0) + 1);
    }
    const unnamed = votes.get(NONE) ?? 0;
    votes.delete(NONE);
    let code = NONE;
    for (const [other, count] of votes) if (count > (votes.get(code) ?? 0)) code = other;
    return {
      code,
      name: names[code - FIRST] ?? "",
      count: votes.get(code) ?? 0,
      out,
      unnamed,
      isMajority: code !== NONE && 2 * (votes.get(code) ?? 0) >= places.length - out,
      isNamed: code !== NONE && unnamed === 0,
      others: [...votes.keys()].filter((c) => c !== code).map((c) => names[c - FIRST]),
    };
  }

  /**
   * The places of an item that a new name is for: those without one, and those with the name of
   * the item, which at least half of it has. Not those taken out, or named by themselves.
   */
  function renamed(places) {
    const { code, isMajority } = summary(places);
    return places.filter((place) => codes[place] === NONE || (isMajority && codes[place] === code));
  }

  const several = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

  Pad.labels = {
    open() {
      restore();
      addEventListener("storage", (event) => {
        // named in another window
        if (event.key !== key("rows")) return;
        done.length = undone.length = 0;
        restore();
        for (const listener of listeners) listener(null);
      });
    },
    /** Calls a function with the places that changed, or null for all, after each change. */
    listen: (listener) => {
      listeners.push(listener);
    },
    summary,
    /** The name of an image; "" for none. */
    of: (place) => names[codes[place] - FIRST] ?? "",
    isOut: (place) => codes[place] === OUT,
    isNamed: (place) => codes[place] >= FIRST,
    get keeps() {
      return keeps;
    },
    get numNamed() {
      return codes.length - counts[NONE] - (counts[OUT] ?? 0);
    },
    /** [[name, number of images, number of its color, key or 0]], in the order they came up in. */
    used: () =>
      names
        .map((name, i) => [name, counts[FIRST + i] ?? 0, i, slots.indexOf(FIRST + i) + 1])
        .filter(([, count]) => count > 0),
    /** The name with a key 1 .. 9. */
    withKey: (number) => names[slots[number - 1] - FIRST],
    colorOf: (name) => names.indexOf(name),

    /** Names items, each an array of places; how many images that were. */
    give(items, name) {
      const places = items.flatMap(renamed);
      const code = codeOf(name);
      use(code);
      const text = `Named ${several(places.length, "image")} “${name}”`;
      return act(
        text,
        places,
        places.map(() => code),
      )
        ? text
        : null;
    },
    /** Names one image, whatever it was. */
    giveOne(place, name) {
      const code = codeOf(name);
      use(code);
      return act(`Named one image “${name}”`, [place], [code]) ? `Named one image “${name}”` : null;
    },
    /** Takes the names of items away, and puts back what was taken out. */
    clear(items) {
      const places = items.flat().filter((place) => codes[place] !== NONE);
      const text = `Took the name of ${several(places.length, "image")} away`;
      return act(
        text,
        places,
        places.map(() => NONE),
      )
        ? text
        : null;
    },
    /** Takes an image out of its group, or puts it back among the others of it. */
    toggleOut(place, others) {
      if (codes[place] !== OUT) {
        act("Took one image out", [place], [OUT]);
        return "Took one image out";
      }
      act("Put one image back", [place], [summary(others).code]);
      return "Put one image back";
    },
    undo: () => move(done, undone, "before"),
    redo: () => move(undone, done, "after"),
    get canUndo() {
      return done.length > 0;
    },
    get canRedo() {
      return undone.length > 0;
    },

    /** labels.csv as bytes: image and label of all that have a name, in the order of the rows. */
    async toCsv() {
      const all = await Pad.allNames();
      const places = [...codes.keys()].filter((place) => codes[place] >= FIRST);
      places.sort((a, b) => Pad.rowOf[a] - Pad.rowOf[b]);
      return Pad.writeCsv([
        ["image", "label"],
        ...places.map((p) => [all[p], names[codes[p] - FIRST]]),
      ]);
    },
    /** Gives the names of such a file; what it says of itself. */
    async fromCsv(buffer) {
      const lines = Pad.readCsv(buffer);
      const heading = (lines[0] ?? []).map((field) => field.trim().toLowerCase());
      let columns = COLUMNS.map(
        (names) => names.map((name) => heading.indexOf(name)).find((i) => i >= 0) ?? -1,
      );
      if (columns.includes(-1)) columns = [0, 1];
      else lines.shift();
      const byName = new Map();
      (await Pad.allNames()).forEach((name, place) => {
        const bytes = Pad.asByteText(name);
        byName.set(bytes, [...(byName.get(bytes) ?? []), place]);
      });
      const after = new Map();
      let unknown = 0;
      for (const line of lines) {
        const [image, label] = columns.map((column) => line[column] ?? "");
        const name = Pad.decodeByteText(label).trim();
        if (!byName.has(image) || !name) {
          unknown++;
          continue;
        }
        const code = codeOf(name);
        use(code);
        for (const place of byName.get(image)) after.set(place, code);
      }
      act(`Loaded ${several(after.size, "name")}`, [...after.keys()], [...after.values()]);
      const left = unknown ? `; ${several(unknown, "line")} of the file fit no image here` : "";
      return `Loaded the names of ${several(after.size, "image")}${left}`;
    },
  };
  Pad.several = several;
})();
