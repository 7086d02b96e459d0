"use strict";

// Text as bytes, and CSV. Names of files need not be UTF-8: a byte that is none is held as Python
// holds it, as a lone surrogate U+DC80 .. U+DCFF, and becomes that byte again where it is written.

(() => {
  const encoder = new TextEncoder();

  /** Bytes of a text. */
  Pad.encode = (text) => {
    if (!/[\udc80-\udcff]/u.test(text)) return encoder.encode(text);
    const parts = text
      .split(/([\udc80-\udcff])/u)
      .map((part) =>
        /^[\udc80-\udcff]$/u.test(part)
          ? Uint8Array.of(part.charCodeAt(0) & 0xff)
          : encoder.encode(part),
      );
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  };

  /** A path as a part of a URI. */
  Pad.encodeUri = (path) =>
    Array.from(Pad.encode(path), (byte) => {
      const char = String.fromCharCode(byte);
      return /[\w.~/-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    }).join("");

  /** A text with one character a byte, by which names of any encoding can be compared. */
  Pad.asByteText = (text) => byteText(Pad.encode(text));

  function byteText(bytes) {
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192) {
      text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    }
    return text;
  }

  const quoted = (field) => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);

  /** Lines of fields as the bytes of a CSV file. */
  Pad.writeCsv = (lines) =>
    Pad.encode(lines.map((line) => `${line.map(quoted).join(",")}\n`).join(""));

  /** What divides the columns, as --mode=label finds it by the first line. */
  function separatorOf(first) {
    const bare = first.replaceAll(/"[^"]*"/g, "");
    const rank = (mark) => {
      const cells = bare.split(mark).map((cell) => cell.trim().toLowerCase());
      const isKnown = cells.some((cell) => Pad.IMAGE_COLUMNS.includes(cell));
      return 1e9 * isKnown + 1e8 * (cells.length === 2) + cells.length;
    };
    const marks = bare.includes("\t") ? ["\t", ",", ";"] : [",", "\t", ";"];
    return marks.reduce((a, b) => (rank(b) > rank(a) ? b : a));
  }

  Pad.IMAGE_COLUMNS = ["image", "path", "file", "filename", "file_name"];

  /**
   * The lines of a CSV file, an ArrayBuffer, as arrays of fields, with one character a byte: see
   * asByteText. Line ends of any kind, what spreadsheets write before the first line, and what
   * separator there is.
   */
  Pad.readCsv = (buffer) => {
    const text = byteText(new Uint8Array(buffer)).replace(/^\xef\xbb\xbf/, "");
    const separator = separatorOf(/[^\r\n]*\S[^\r\n]*/.exec(text)?.[0] ?? "");
    const lines = [];
    let line = [],
      field = "",
      inQuotes = false;
    const endLine = () => {
      lines.push([...line, field]);
      line = [];
      field = "";
    };
    for (let i = 0; i < text.length; i++) {
      const c = text[i];
      if (inQuotes) {
        if (c !== '"') field += c;
        else if (text[i + 1] === '"') {
          field += '"';
          i++;
        } else inQuotes = false;
      } else if (c === '"' && field === "") inQuotes = true;
      else if (c === separator) {
        line.push(field);
        field = "";
      } else if (c === "\n" || c === "\r") {
        if (c === "\r" && text[i + 1] === "\n") i++;
        endLine();
      } else field += c;
    }
    if (line.length || field) endLine();
    return lines.filter((fields) => fields.length > 1 || fields[0]);
  };

  /** What a user reads: of bytes, one a character. */
  Pad.decodeByteText = (text) =>
    new TextDecoder().decode(Uint8Array.from(text, (c) => c.charCodeAt(0)));
})();
