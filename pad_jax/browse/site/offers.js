"use strict";

// Which groups to name next: first those that Python chose, which lie apart; then, from what is
// named, those that bring most images near a name. And how much of the pile is near one.

(() => {
  const CANDIDATES = 800; // groups of which those to name next are chosen
  const ROUND = 20; // groups that are offered then
  let means, // unit rows of the groups
    images, // of some images that stand for the pile
    width,
    places, // of these
    reach; // the cosine from which on an image is near a group
  let queue = [],
    at = 0,
    round = 1;

  /** The inner product of a row of one array and a row of another. */
  function cosine(a, i, b, j) {
    let sum = 0;
    for (let p = i * width, q = j * width, end = p + width; p < end; p++, q++) sum += a[p] * b[q];
    return sum;
  }

  /** Unit rows, of rounded ones. */
  function unpacked(text, count) {
    const rows = Float32Array.from(Pad.unpack(text, Int16Array));
    width = count ? rows.length / count : width;
    for (let i = 0; i < count; i++) {
      const length = Math.sqrt(cosine(rows, i, rows, i)) || 1;
      for (let p = i * width; p < (i + 1) * width; p++) rows[p] /= length;
    }
    return rows;
  }

  const all = () => Array.from({ length: Pad.groups.count }, (_, g) => g);
  const isOpen = (g) => !Pad.labels.summary(Pad.groups.places(g)).code;

  /** How similar each of the images is to the nearest group with a name: 1 where it has one. */
  function similarities() {
    const named = all().filter((g) => !isOpen(g));
    return Float32Array.from(places, (place, i) => {
      if (Pad.labels.isNamed(place)) return 1;
      return named.reduce((most, g) => Math.max(most, cosine(images, i, means, g)), 0);
    });
  }

  /** The surest group without a name of each stretch of the order, in which similar ones lie
   * beside each other. */
  function candidates() {
    const { alike } = Pad.catalogue,
      open = all().filter(isOpen);
    const stretch = Math.max(1, open.length / CANDIDATES);
    const chosen = [];
    for (let i = 0; Math.floor(i) < open.length; i += stretch) {
      const some = open.slice(Math.floor(i), Math.floor(i + stretch));
      if (some.length) chosen.push(some.reduce((a, b) => (alike[b] > alike[a] ? b : a)));
    }
    return chosen;
  }

  /**
   * The groups that bring most images near a name, one after the other; where none brings one
   * near, those that bring them nearer.
   */
  function best(wanted) {
    const covered = similarities();
    const left = new Map(
      candidates().map((g) => [
        g,
        Float32Array.from(places, (_, i) => cosine(images, i, means, g)),
      ]),
    );
    const chosen = [];
    while (chosen.length < wanted && left.size) {
      let next,
        most = -1;
      for (const [g, similarity] of left) {
        let gain = 0;
        for (let i = 0; i < covered.length; i++) {
          const more = similarity[i] - covered[i];
          if (more <= 0) continue;
          gain += 0.001 * more + (covered[i] < reach && similarity[i] >= reach ? 1 : 0);
        }
        if (gain > most) [next, most] = [g, gain];
      }
      left.get(next).forEach((similarity, i) => {
        covered[i] = Math.max(covered[i], similarity);
      });
      left.delete(next);
      chosen.push(next);
    }
    return chosen;
  }

  Pad.offers = {
    open() {
      places = Pad.unpack(Pad.sketch.places, Uint32Array);
      images = unpacked(Pad.sketch.images, places.length);
      means = unpacked(Pad.sketch.means, Pad.groups.count);
      reach = Pad.sketch.reach;
      queue = Pad.catalogue.first.filter(isOpen);
      if (!queue.length) this.renew();
    },
    /** The groups most similar to one, so many. */
    neighbors(g, wanted) {
      const pairs = all().map((h) => [cosine(means, g, means, h), h]);
      const others = pairs.filter(([, h]) => h !== g).sort((a, b) => b[0] - a[0]);
      return others.slice(0, wanted).map(([, h]) => h);
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
    /** The share of the pile that has a name, or is near one: of the images that stand for it. */
    share() {
      const near = similarities().filter((similarity) => similarity >= reach).length;
      return Math.max(near / places.length, Pad.labels.numNamed / Pad.catalogue.images);
    },
  };
})();
