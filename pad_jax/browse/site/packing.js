"use strict";

// Cards in rows that fill the page: how a list is divided.

(() => {
  const PASSED = 6; // cards that may wait for a row with room

  Pad.CARD_GAP = 12; // px between cards, and between rows

  /**
   * Divides items into rows, nearly in their order: a card that does not fit lets a few smaller
   * ones pass. A row whose pictures would become too large takes one more card with smaller ones.
   *
   * `measure(item)` tells {pictures, beside}: how many stand in the card's row, and the px beside
   * them; `sides` are the least, the usual and the largest side of a picture, px; `height` of a card
   * without its pictures and `room`, the width of the page, px.
   *
   * Returns {items, rows, rowOf, height}: the items as they are shown; of each row {cards: [{i,
   * pictures, beside}], side, top, isFull}; the row of each item; the height of all, px.
   */
  Pad.packRows = (given, { measure, sides, height, room }) => {
    const [least, usual, most] = sides;
    const items = [],
      rows = [],
      waiting = [];
    let next = 0;

    /** Adds the first card that fits with pictures of this side; whether there was one. */
    function add(row, side) {
      for (let tried = 0; ; tried++) {
        if (tried === waiting.length) {
          if (waiting.length === PASSED || next === given.length) return false;
          waiting.push(given[next++]);
        }
        const { pictures, beside } = measure(waiting[tried]);
        const total = row.beside + beside + (row.pictures + pictures) * side;
        if (row.cards.length && total + row.cards.length * Pad.CARD_GAP > room) continue;
        row.cards.push({ i: items.length, pictures, beside });
        row.pictures += pictures;
        row.beside += beside;
        items.push(...waiting.splice(tried, 1));
        return true;
      }
    }

    const widest = (row) =>
      Math.floor(
        (room - row.beside - (row.cards.length - 1) * Pad.CARD_GAP) / Math.max(row.pictures, 1),
      );

    while (next < given.length || waiting.length) {
      const row = { cards: [], pictures: 0, beside: 0 };
      while (add(row, usual));
      if (widest(row) > most) add(row, least);
      rows.push(row);
    }
    const rowOf = new Uint32Array(items.length);
    let top = 0;
    rows.forEach((row, r) => {
      row.isFull = r < rows.length - 1;
      row.side = Math.min(widest(row), row.isFull ? most : (rows[r - 1]?.side ?? most));
      row.top = top;
      top += height + row.side + Pad.CARD_GAP;
      for (const { i } of row.cards) rowOf[i] = r;
    });
    return { items, rows, rowOf, height: Math.max(top - Pad.CARD_GAP, 0) };
  };
})();
