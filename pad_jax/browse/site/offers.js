"use strict";

// Which groups to name next: first those that Python chose, which lie apart; then, from what is
// named, those that add most. And how much of the pile is near a name.

(() => {
  const SAMPLE = 2000; // images that stand for the pile
  const CANDIDATES = 800; // groups of which those to name next are chosen
  const ROUND = 20; // groups that are offered then
  let means, width; // unit rows, one a group
  let sample = []; // of images spread over the pile: {place, group}
  let queue = [],
    at = 0,
    round = 1;

  /** The cosine of the means of two groups, nearly. */
  function cosine(g, h) {
    let sum = 0;
    for (let i = g * width, j = h * width, end = i + width; i < end; i++, j++) {
      sum += means[i] * means[j];
    }
    return sum;
  }

  function normalize(rounded) {
    means = Float32Array.from(rounded);
    for (let g = 0; g < Pad.groups.count; g++) {
      const length = Math.sqrt(cosine(g, g)) || 1;
      for (let i = g * width; i < (g + 1) * width; i++) means[i] /= length;
    }
  }

  /** Every so manyth image; an image in no group goes with the group it is nearest to. */
  function takeSample() {
    const step = Math.max(1, Pad.catalogue.images / SAMPLE);
    const { nearest } = Pad.singles;
    for (let i = 0; i < Pad.catalogue.images; i += step) {
      const place = Math.floor(i),
        own = Pad.groups.of(place);
      const [group] = own < 0 ? nearest.of(place - Pad.numGrouped)[0] : [own];
      sample.push({ place, group });
    }
  }

  const all = () => Array.from({ length: Pad.groups.count }, (_, g) => g);
  const isOpen = (g) => !Pad.labels.summary(Pad.groups.places(g)).code;

  /** How similar each image of the sample is to what has a name: 1 for those that have one. */
  function similarities() {
    const named = all().filter((g) => !isOpen(g));
    const isNamed = new Set(named),
      found = new Map();
    const best = (g) => {
      if (isNamed.has(g)) return 1;
      if (!found.has(g))
        found.set(
          g,
          named.reduce((most, h) => Math.max(most, cosine(g, h)), 0),
        );
      return found.get(g);
    };
    return sample.map(({ place, group }) => (Pad.labels.isNamed(place) ? 1 : best(group)));
  }

  /** The surest group without a name of each stretch of the order, in which similar ones lie
   * beside each other. */
  function candidates() {
    const { alike } = Pad.catalogue,
      open = all().filter(isOpen);
    const stretch = Math.max(1, open.length / CANDIDATES);
    const chosen = [];
    for (let i = 0; i < open.length; i += stretch) {
      const some = open.slice(Math.floor(i), Math.max(Math.floor(i + stretch), Math.floor(i) + 1));
      chosen.push(some.reduce((a, b) => (alike[b] > alike[a] ? b : a)));
    }
    return chosen;
  }

  /**
   * The groups that add most, one after the other: each makes the sum, over the images, of the
   * similarity to what has a name as large as one group can (facility location, greedily).
   */
  function best(wanted) {
    const covered = similarities(),
      chosen = [];
    const to = candidates().map((g) => [
      g,
      Float32Array.from(sample, ({ group }) => cosine(g, group)),
    ]);
    while (chosen.length < Math.min(wanted, to.length)) {
      let next = null,
        most = 0;
      for (const [g, similarity] of to) {
        if (chosen.includes(g)) continue;
        let gain = 1e-9;
        for (let i = 0; i < covered.length; i++) gain += Math.max(0, similarity[i] - covered[i]);
        if (gain > most) [next, most] = [[g, similarity], gain];
      }
      chosen.push(next[0]);
      next[1].forEach((similarity, i) => {
        covered[i] = Math.max(covered[i], similarity);
      });
    }
    return chosen;
  }

  Pad.offers = {
    open() {
      width = Pad.catalogue.meanWidth;
      normalize(Pad.unpack(Pad.means.means, Int8Array));
      if (Pad.groups.count) takeSample();
      queue = Pad.catalogue.first.filter(isOpen);
      if (!queue.length) this.renew();
    },
    /** The groups most similar to one: [[group, similarity], ...]. */
    neighbors(g, wanted) {
      const others = all().filter((h) => h !== g);
      const pairs = others.map((h) => [h, cosine(g, h)]);
      return pairs.sort((a, b) => b[1] - a[1]).slice(0, wanted);
    },
    get queue() {
      return queue;
    },
    get round() {
      return round;
    },
    /** The group that is offered now; undefined when all of the round are done. */
    get current() {
      return queue[at];
    },
    get position() {
      return at;
    },
    move(step) {
      at = Math.min(Math.max(at + step, 0), queue.length);
    },
    /** Offers a group of this round again; whether it is one. */
    show(g) {
      const found = queue.indexOf(g);
      if (found >= 0) at = found;
      return found >= 0;
    },
    /** To the next group without a name. */
    advance() {
      at++;
      while (at < queue.length && !isOpen(queue[at])) at++;
    },
    /** A new round, of what adds most to the names there are. */
    renew() {
      queue = best(ROUND);
      at = 0;
      round++;
    },
    /** The share of the pile that has a name, or is near one: of a sample. */
    share() {
      const { nearEnough, images } = Pad.catalogue;
      const near = similarities().filter((similarity) => similarity >= nearEnough).length;
      return Math.max(near / Math.max(sample.length, 1), Pad.labels.numNamed / images);
    },
  };
})();
