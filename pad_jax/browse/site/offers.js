"use strict";

// Which groups to name next: first those that Python chose, which lie apart; then, from what is
// named, those that add most. A group stands for those of its neighbours that are similar to it.

(() => {
  let near; // the most similar groups of each group
  let queue = [],
    at = 0,
    round = 1;

  /** How similar each group is to a named one among its neighbours: 1 for those with a name. */
  function similarities() {
    const { count, places } = Pad.groups,
      { indices, similarities: cosine, width } = near;
    const best = new Float32Array(count);
    for (let g = 0; g < count; g++) if (Pad.labels.summary(places(g)).code) best[g] = 1;
    const named = Uint8Array.from(best);
    for (let g = 0; g < count; g++) {
      if (named[g]) continue;
      for (let i = g * width; i < (g + 1) * width; i++) {
        if (named[indices[i]]) {
          best[g] = cosine[i] / 255;
          break;
        } // nearest first
      }
    }
    return best;
  }

  /** The groups that add most to the similarities, one after the other (facility location). */
  function best(wanted) {
    const covered = similarities(),
      { count, size } = Pad.groups,
      { alike } = Pad.catalogue;
    const { indices, similarities: cosine, width } = near;
    const chosen = [];
    while (chosen.length < wanted) {
      const gain = new Float32Array(count);
      for (let g = 0; g < count; g++) {
        gain[g] += size(g) * (1 - covered[g]);
        for (let i = g * width; i < (g + 1) * width; i++) {
          const more = cosine[i] / 255 - covered[g];
          if (more > 0) gain[indices[i]] += size(g) * more;
        }
      }
      let next = -1;
      for (let g = 0; g < count; g++) {
        gain[g] *= covered[g] < 1 ? Math.max(alike[g], 1) : 0; // surer ones first
        if (gain[g] > 0 && (next < 0 || gain[g] > gain[next])) next = g;
      }
      if (next < 0) break;
      chosen.push(next);
      covered[next] = 1;
      indices.forEach((h, i) => {
        const g = Math.floor(i / width);
        if (h === next) covered[g] = Math.max(covered[g], cosine[i] / 255);
      });
    }
    return chosen;
  }

  const isOpen = (g) => !Pad.labels.summary(Pad.groups.places(g)).code;

  Pad.offers = {
    async open() {
      near = Pad.unpackGraph(await Pad.load("near"), Pad.catalogue.numNear);
      queue = Pad.catalogue.first.filter(isOpen);
      if (!queue.length) this.renew();
    },
    /** The groups most similar to one: [[group, similarity], ...]. */
    neighbors: (g) => near.of(g),
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
    renew(wanted = 20) {
      queue = best(wanted);
      at = 0;
      round++;
    },
    /** The share of all images whose group has a name, or is similar to one that has. */
    share() {
      const covered = similarities(),
        { size, count } = Pad.groups,
        { nearEnough, images } = Pad.catalogue;
      let sum = 0;
      for (let g = 0; g < count; g++) if (covered[g] >= nearEnough) sum += size(g);
      const { indices, similarities: cosine, width } = Pad.singles.nearest;
      for (let i = 0; i < Pad.singles.count; i++) {
        let isNear = Pad.labels.isNamed(Pad.numGrouped + i);
        for (let j = i * width; j < (i + 1) * width; j++) {
          isNear ||= covered[indices[j]] >= nearEnough && cosine[j] / 255 >= nearEnough;
        }
        sum += isNear;
      }
      return sum / images;
    },
  };
})();
