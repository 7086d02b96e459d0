"use strict";

// A list of cards in rows, of which only those near the screen exist: a hundred thousand images
// scroll like a hundred. The pictures of a row are as large as fills it. Arrow keys move from card
// to card.

(() => {
  const MARGIN = 900; // px above and below the screen in which rows exist
  const GAP = Pad.CARD_GAP;

  /**
   * Args: `container` holds the rows; `label` says what it lists. `measure(item, room)` tells of a
   * card {pictures, beside}: how many stand in its row, and the px beside them; `sides` the
   * smallest and largest side of a picture; `height` the px of a card above and below them.
   * `render(item, room)` makes a card, `update(card, item)` brings it up to date. `onopen` and
   * `onpick` are called with an item, the latter with {range}: whether all since the last are meant.
   */
  Pad.Shelf = class {
    constructor(container, options) {
      Object.assign(this, options, {
        container,
        items: [],
        given: [],
        rows: [],
        shown: new Map(),
        current: 0,
      });
      this.inner = Pad.el("div", { class: "shelf", role: "list", "aria-label": this.label });
      container.replaceChildren(this.inner);
      this.onscroll = () => {
        this.frame ??= requestAnimationFrame(() => {
          this.frame = null;
          this.draw();
        });
      };
      this.onresize = () => this.resize();
      addEventListener("scroll", this.onscroll, { passive: true });
      addEventListener("resize", this.onresize);
      this.inner.addEventListener("keydown", (event) => this.press(event));
      this.inner.addEventListener("focusin", (event) => {
        const card = event.target.closest(".card");
        if (card) this.makeCurrent(Number(card.dataset.index));
      });
      this.inner.addEventListener("click", (event) => this.click(event));
    }

    close() {
      removeEventListener("scroll", this.onscroll);
      removeEventListener("resize", this.onresize);
    }

    /** Shows items, nearly in this order; the card of number `current` can then get the focus. */
    setItems(items, current = 0) {
      this.given = items;
      if (!this.pack()) return;
      this.current = Math.min(current, Math.max(items.length - 1, 0));
      this.redraw();
    }

    /** The page has another width. */
    resize() {
      const before = this.items[this.current];
      if (!this.pack()) return;
      this.current = Math.max(this.items.indexOf(before), 0);
      this.redraw();
    }

    pack() {
      const room = this.container.clientWidth;
      if (!room) return false; // not shown
      const { sides, height } = this;
      const measure = (item) => this.measure(item, room);
      const packed = Pad.packRows(this.given, { measure, sides, height, room });
      ({ items: this.items, rows: this.rows, rowOf: this.rowOf } = packed);
      this.room = room;
      this.inner.style.height = `${packed.height}px`;
      return true;
    }

    redraw() {
      for (const element of this.shown.values()) element.remove();
      this.shown.clear();
      this.draw();
    }

    /** The row at a height of the list, px. */
    rowAt(y) {
      let low = 0,
        high = this.rows.length;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (this.rows[middle].top <= y) low = middle;
        else high = middle;
      }
      return low;
    }

    /** Makes the rows near the screen, and removes the others; never that with the focus. */
    draw() {
      if (!this.rows.length) return;
      const top = -this.inner.getBoundingClientRect().top;
      const first = this.rowAt(top - MARGIN),
        last = this.rowAt(top + innerHeight + MARGIN);
      const focused = this.inner.contains(document.activeElement) ? this.rowOf[this.current] : -1;
      for (const [r, element] of this.shown) {
        if ((r < first || r > last) && r !== focused) {
          element.remove();
          this.shown.delete(r);
        }
      }
      for (let r = first; r <= last; r++) if (!this.shown.has(r)) this.drawRow(r);
    }

    drawRow(r) {
      const { cards, side, top, isFull } = this.rows[r];
      const row = Pad.el("div", { class: "row", role: "presentation" });
      row.style.transform = `translateY(${top}px)`;
      row.style.height = `${this.height + side}px`;
      row.style.setProperty("--side", `${side}px`);
      for (const { i, pictures, beside } of cards) {
        const card = this.render(this.items[i], this.room);
        const width = pictures * side + beside;
        card.style.flex = `${isFull ? width : 0} 1 ${width}px`;
        card.dataset.index = i;
        card.tabIndex = i === this.current ? 0 : -1;
        card.setAttribute("role", "listitem");
        card.setAttribute("aria-posinset", i + 1);
        card.setAttribute("aria-setsize", this.items.length);
        row.append(card);
      }
      this.shown.set(r, row);
      // In the order of the page, so that Tab and screen readers follow it.
      const after = [...this.shown.keys()].filter((other) => other > r).sort((a, b) => a - b)[0];
      this.inner.insertBefore(row, after === undefined ? null : this.shown.get(after));
    }

    card(i) {
      return this.inner.querySelector(`.card[data-index="${i}"]`);
    }

    /** Brings the cards that exist up to date. */
    refresh() {
      for (const card of this.inner.querySelectorAll(".card"))
        this.update(card, this.items[card.dataset.index]);
    }

    makeCurrent(i) {
      if (i === this.current) return;
      const before = this.card(this.current);
      if (before) before.tabIndex = -1;
      this.current = i;
      const card = this.card(i);
      if (card) card.tabIndex = 0;
      this.oncurrent?.(this.items[i]);
    }

    /** Moves the focus to a card, and the page so that it is seen. */
    focus(i = this.current) {
      if (!this.items.length) return;
      const box = this.inner.getBoundingClientRect(),
        r = this.rowOf[i];
      const top = box.top + this.rows[r].top,
        bottom = top + this.height + this.rows[r].side;
      const { above, below } = this.covered();
      if (top < above) scrollBy(0, top - above - GAP);
      else if (bottom > innerHeight - below) scrollBy(0, bottom - innerHeight + below + GAP);
      this.draw();
      if (!this.shown.has(r)) this.drawRow(r);
      this.makeCurrent(i);
      this.card(i).focus({ preventScroll: true });
    }

    /** How much of the screen the bars above and below cover, px. */
    covered() {
      const heights = [".top", ".name-bar"].map(
        (s) => document.querySelector(s)?.offsetHeight ?? 0,
      );
      return { above: heights[0], below: heights[1] };
    }

    press(event) {
      if (!event.target.matches(".card") || event.ctrlKey || event.metaKey || event.altKey) return;
      const last = this.items.length - 1;
      const moves = {
        ArrowLeft: () => this.current - 1,
        ArrowRight: () => this.current + 1,
        ArrowUp: () => this.vertical(-1),
        ArrowDown: () => this.vertical(1),
        PageUp: () => this.vertical(-this.page()),
        PageDown: () => this.vertical(this.page()),
        Home: () => 0,
        End: () => last,
      };
      if (moves[event.key]) {
        event.preventDefault();
        const to = Math.min(Math.max(moves[event.key](), 0), last);
        const from = this.current;
        this.focus(to);
        if (event.shiftKey) this.onpick(this.items[to], { range: true, from: this.items[from] });
      } else if (event.key === "Enter") {
        event.preventDefault();
        this.onopen(this.items[this.current]);
      } else if (event.key === " ") {
        event.preventDefault();
        this.onpick(this.items[this.current], { range: event.shiftKey });
      }
    }

    /** How many rows the screen shows. */
    page() {
      const { above, below } = this.covered(),
        { top } = this.rows[this.rowOf[this.current]];
      return Math.max(
        1,
        this.rowAt(top + innerHeight - above - below) - this.rowOf[this.current] - 1,
      );
    }

    /** The card some rows above or below, nearest to the same column. */
    vertical(rows) {
      const from = this.rowOf[this.current];
      const to = Math.min(Math.max(from + rows, 0), this.rows.length - 1);
      if (to === from) return this.current;
      const middles = ({ cards, side }) => {
        let left = 0;
        return new Map(
          cards.map(({ i, pictures, beside }) => {
            const width = pictures * side + beside;
            left += width + GAP;
            return [i, left - GAP - width / 2];
          }),
        );
      };
      const x = middles(this.rows[from]).get(this.current);
      const distance = ([, middle]) => Math.abs(middle - x);
      return [...middles(this.rows[to])].reduce((a, b) => (distance(b) < distance(a) ? b : a))[0];
    }

    click(event) {
      const card = event.target.closest(".card");
      if (!card) return;
      const item = this.items[Number(card.dataset.index)];
      if (event.target.closest(".open")) this.onopen(item);
      else if (!event.target.closest("button, a, label")) {
        card.focus({ preventScroll: true });
        this.onpick(item, { range: event.shiftKey });
      }
    }
  };
})();
