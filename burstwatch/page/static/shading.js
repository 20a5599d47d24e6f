// Episodes behind the lines: a uPlot plugin that fills their time, and says in the picture what it is.

const LABEL_PX = 11;

/** `read()` returns {bands: [{from, to, color, label}], marks: [{at, color}], levels: [{from, to, value, color}]}. */
export function shading(read) {
  return { hooks: { drawClear: [(u) => fill(u, read())], draw: [(u) => write(u, read())] } };
}

function clipped(u, draw) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  draw(ctx, bbox);
  ctx.restore();
}

const x = (u, at) => Math.round(u.valToPos(at, "x", true));

function fill(u, { bands, marks }) {
  clipped(u, (ctx, bbox) => {
    for (const band of bands) {
      const left = x(u, band.from);
      const width = Math.max(2 * devicePixelRatio, x(u, band.to) - left);
      ctx.fillStyle = band.color;
      ctx.globalAlpha = 0.16;
      ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.globalAlpha = 0.9;
      ctx.fillRect(left, bbox.top, width, Math.round(2 * devicePixelRatio));
    }
    ctx.globalAlpha = 0.75;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    for (const mark of marks) {
      ctx.strokeStyle = mark.color;
      line(ctx, x(u, mark.at) + 0.5, bbox.top, x(u, mark.at) + 0.5, bbox.top + bbox.height);
    }
  });
}

function write(u, { bands, levels, text, font }) {
  clipped(u, (ctx, bbox) => {
    const px = devicePixelRatio;
    ctx.lineWidth = 1.5 * px;
    ctx.setLineDash([4 * px, 3 * px]);
    for (const level of levels) {
      ctx.strokeStyle = level.color;
      const y = Math.round(u.valToPos(level.value, "y", true)) + 0.5;
      line(ctx, x(u, level.from), y, x(u, level.to), y);
    }
    ctx.font = `${LABEL_PX * px}px ${font}`;
    ctx.fillStyle = text;
    ctx.textAlign = "left";
    ctx.textBaseline = "bottom";
    for (const level of levels) {
      const left = Math.max(x(u, level.from), bbox.left) + 5 * px;
      const right = Math.min(x(u, level.to), bbox.left + bbox.width);
      if (left + ctx.measureText(level.label).width < right) ctx.fillText(level.label, left, u.valToPos(level.value, "y", true) - 2 * px);
    }
    ctx.textBaseline = "top";
    let taken = -Infinity; // labels of neighbours must not run into each other
    for (const band of bands) {
      const left = Math.max(x(u, band.from), bbox.left) + 5 * px;
      const needs = ctx.measureText(band.label).width;
      // Beside a narrow band there may be room to its left, where nothing has happened yet.
      const place = left + needs + 4 * px <= bbox.left + bbox.width ? left : x(u, band.from) - needs - 5 * px;
      if (place < Math.max(taken, bbox.left)) continue;
      ctx.fillText(band.label, place, bbox.top + 6 * px);
      taken = place + needs + 8 * px;
    }
  });
}

function line(ctx, x0, y0, x1, y1) {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
