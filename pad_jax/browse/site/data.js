"use strict";

/** All of this page; the files loaded after this one add to it. */
const Pad = {};

(() => {
  const folder = document.currentScript.src.replace(/[^/]*$/, "");
  const deferred = new Map(); // of data files, by name

  function entry(name) {
    if (!deferred.has(name)) {
      const made = {};
      made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
      deferred.set(name, made);
    }
    return deferred.get(name);
  }

  function addScript(source, failed, done = () => {}) {
    const script = document.createElement("script");
    script.src = source;
    script.onload = () => {
      script.remove();
      done();
    };
    script.onerror = () => {
      script.remove();
      failed();
    };
    document.head.append(script);
  }

  /** A file of the site that is not there any more. */
  Pad.Gone = class extends Error {};

  /** Data files call this with what they hold. */
  Pad.receive = (name, value) => {
    Pad[name] = value; // those that the page itself names are there before they are asked for
    entry(name).resolve(value);
  };

  /** The value of a data file, which is loaded when it is first asked for. */
  Pad.load = (name) => {
    const made = entry(name);
    if (!made.asked && !(name in Pad)) {
      made.asked = true;
      const source = `${folder}${name}.js`;
      addScript(source, () => made.reject(new Pad.Gone(`${source} cannot be read`)));
    }
    return made.promise;
  };

  /** Numbers from base64, little-endian: Kind is a typed array. */
  Pad.unpack = (text, Kind) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return new Kind(bytes.buffer);
  };

  /** Similar things of each of many: {indices, similarities}, flat, `width` of each. */
  Pad.unpackGraph = (graph, width) => ({
    indices: Pad.unpack(graph.indices, Uint32Array),
    similarities: Pad.unpack(graph.similarities, Uint8Array),
    width,
    of(i) {
      const pairs = [];
      for (let j = i * width; j < (i + 1) * width; j++) {
        pairs.push([this.indices[j], this.similarities[j] / 255]);
      }
      return pairs;
    },
  });

  // Names, files, neighbours -----------------------------------------------------------------

  async function named(place) {
    const size = Pad.catalogue.namesPerFile;
    const entries = await Pad.load(`names-${Math.floor(place / size)}`);
    return entries[place % size];
  }

  /** The name of the image at a place; a promise. */
  Pad.nameOf = async (place) => {
    const found = await named(place);
    return typeof found === "string" ? found : found[0];
  };

  /** The URI of its file, or null. */
  Pad.fileOf = async (place) => {
    const found = await named(place);
    if (typeof found !== "string") return found[1];
    return Pad.catalogue.base + Pad.encodeUri(found);
  };

  /** The names at all places, as one array. */
  Pad.allNames = async () => {
    const { images, namesPerFile } = Pad.catalogue;
    const files = [];
    for (let i = 0; i * namesPerFile < images; i++) files.push(Pad.load(`names-${i}`));
    const entries = (await Promise.all(files)).flat();
    return entries.map((found) => (typeof found === "string" ? found : found[0]));
  };

  const graphs = new Map();

  /** The images most similar to that at a place: [[place, similarity], ...], nearest first. */
  Pad.neighborsOf = async (place) => {
    const { neighborsPerFile, numNeighbors } = Pad.catalogue;
    const file = Math.floor(place / neighborsPerFile);
    const found = await Pad.load(`neighbors-${file}`);
    if (!graphs.has(file)) graphs.set(file, Pad.unpackGraph(found, numNeighbors));
    return graphs.get(file).of(place % neighborsPerFile);
  };

  // Groups and sets --------------------------------------------------------------------------

  /** What can be told once the catalogue is there. */
  Pad.open = () => {
    const { sizes, sets, images } = Pad.catalogue;
    const start = new Uint32Array(sizes.length + 1);
    sizes.forEach((size, g) => {
      start[g + 1] = start[g] + size;
    });
    Pad.rowOf = Pad.unpack(Pad.rows.rows, Uint32Array);
    Pad.groups = {
      count: sizes.length,
      places: (g) => range(start[g], start[g + 1]),
      first: (g) => start[g],
      size: (g) => sizes[g],
      /** The group of the image at a place; -1 for none. */
      of(place) {
        if (place >= start[sizes.length]) return -1;
        let low = 0,
          high = sizes.length;
        while (high - low > 1) {
          const middle = (low + high) >> 1;
          if (start[middle] <= place) low = middle;
          else high = middle;
        }
        return low;
      },
    };
    Pad.numGrouped = start[sizes.length];
    Pad.singles = {
      count: images - Pad.numGrouped,
      sets: Pad.unpack(Pad.outside.sets, Int32Array),
      nearest: Pad.unpackGraph(Pad.outside, Pad.catalogue.numNearest),
    };
    Pad.sets = []; // [{groups: [...], singles: [places]}]
    const at = (c) => (Pad.sets[c] ??= { groups: [], singles: [] });
    sets.forEach((c, g) => {
      if (c >= 0) at(c).groups.push(g);
    });
    Pad.singles.sets.forEach((c, i) => {
      if (c >= 0) at(c).singles.push(Pad.numGrouped + i);
    });
  };

  function range(from, to) {
    return Array.from({ length: to - from }, (_, i) => from + i);
  }

  // Pictures ---------------------------------------------------------------------------------

  const KEPT = 192; // packs in memory, about 60 MB
  const AT_ONCE = 6; // packs being loaded
  const packs = new Map(); // in the order of their use, the oldest first
  const waiting = new Map(); // pack -> images that want a picture of it, the latest pack last
  const loading = new Set();

  /** Packs of pictures call this: [[key, WebP as base64], ...]. */
  Pad.receivePictures = (number, pictures) => {
    packs.set(
      number,
      pictures.map((pair) => pair[1]),
    );
    if (packs.size > KEPT) packs.delete(packs.keys().next().value);
  };

  /** Shows the picture of a place in an <img>, as soon as its pack is there. */
  Pad.showPicture = (img, place) => {
    img.dataset.place = place;
    const number = Math.floor(place / Pad.catalogue.perPack);
    if (packs.has(number)) return fill(img, number);
    const images = waiting.get(number) ?? new Set();
    waiting.delete(number);
    waiting.set(number, images.add(img));
    if (waiting.size === 1) setTimeout(loadWaiting);
  };

  function loadWaiting() {
    for (const number of [...waiting.keys()].reverse()) {
      // what was asked for last is in view
      if (loading.size >= AT_ONCE) return;
      if (loading.has(number)) continue;
      if (![...waiting.get(number)].some((img) => img.isConnected)) {
        waiting.delete(number); // scrolled past
        continue;
      }
      loading.add(number);
      const done = () => {
        const images = waiting.get(number) ?? [];
        waiting.delete(number);
        loading.delete(number);
        for (const img of images) fill(img, number);
        loadWaiting();
      };
      const { pictures } = Pad.catalogue;
      addScript(`${folder}../${pictures}/${number}.js`, done, done);
    }
  }

  function fill(img, number) {
    const place = Number(img.dataset.place),
      { perPack } = Pad.catalogue;
    if (Math.floor(place / perPack) !== number) return; // shows another one by now
    const pack = packs.get(number);
    const data = pack?.[place % perPack];
    packs.delete(number);
    if (pack) packs.set(number, pack);
    img.classList.toggle("unknown", !data);
    if (!data) return;
    img.onload = () => img.classList.toggle("tiny", img.naturalWidth <= 64);
    img.src = `data:image/webp;base64,${data}`;
  }
})();
