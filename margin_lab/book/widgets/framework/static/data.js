// Packed arrays (pack.py) back into series. A page holds them as base64, a live answer as a DataView.

function decodeBytes(source, dtype) {
  const bytes = typeof source === "string"
    ? Uint8Array.from(atob(source), (c) => c.charCodeAt(0))
    : new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  // slice() copies: a live buffer may start at an odd offset, which typed arrays of 8 bytes refuse.
  const buffer = bytes.slice().buffer;
  return dtype === "f8" ? new Float64Array(buffer) : new Float32Array(buffer);
}

/** One setting's series: {panel: {series: {x, y}}}, without the NaN padding at the end. */
function unpackFrame(columns, values, setting) {
  const frame = {};
  for (const column of columns) {
    const row = column.index ? column.index[setting] : 0;
    const start = column.start + row * column.length;
    const panel = (frame[column.panel] ??= {});
    (panel[column.series] ??= {})[column.axis] = values.subarray(start, start + column.length);
  }
  for (const panel of Object.values(frame)) {
    for (const [name, { x, y }] of Object.entries(panel)) {
      let length = x.length;
      while (length > 0 && Number.isNaN(x[length - 1]) && Number.isNaN(y[length - 1])) length--;
      panel[name] = { x: x.subarray(0, length), y: y.subarray(0, length) };
    }
  }
  return frame;
}
