'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const { layers, experts, loads } = data;
  const byId = (id) => document.getElementById(id);
  const number = (value, digits) => value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });

  // What a layout means: devices of slots, replicas and load of each expert, load of each device, all against the layer's mean.
  function measure(layout) {
    const perLayer = layout.slots.reduce((sum, n) => sum + n, 0);
    const deviceOf = layout.slots.flatMap((n, device) => Array(n).fill(device));
    const devices = layout.slots.length;
    const alive = (d) => data.alive[d] !== 0;
    const speeds = layout.slots.reduce((sum, _, d) => sum + (alive(d) ? data.speed[d] : 0), 0);
    const replicas = new Uint32Array(layers * experts);
    const device = new Float64Array(layers * devices).fill(0);
    const share = new Float64Array(layers * experts);
    const mean = new Float64Array(layers);
    for (let l = 0; l < layers; ++l) {
      for (let e = 0; e < experts; ++e) mean[l] += loads[l * experts + e] / speeds;
      for (let s = 0; s < perLayer; ++s) {
        const e = layout.map[l * perLayer + s];
        if (e >= 0 && alive(deviceOf[s])) ++replicas[l * experts + e];
      }
      for (let s = 0; s < perLayer; ++s) {
        const e = layout.map[l * perLayer + s];
        if (e >= 0 && alive(deviceOf[s])) device[l * devices + deviceOf[s]] += loads[l * experts + e] / replicas[l * experts + e];
      }
      for (let d = 0; d < devices; ++d) {
        const i = l * devices + d;
        device[i] = !alive(d) ? NaN : mean[l] > 0 ? device[i] / data.speed[d] / mean[l] : 0;
      }
      for (let e = 0; e < experts; ++e) {
        const i = l * experts + e;
        share[i] = mean[l] > 0 ? loads[i] / Math.max(1, replicas[i]) / mean[l] : 0;
      }
    }
    return { layout, perLayer, deviceOf, devices, replicas, device, share, mean };
  }

  const after = measure(data.after);
  const before = data.before ? measure(data.before) : null;

  function colour(name) {
    const hex = getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
    return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  }
  const mix = (a, b, t) => a.map((v, i) => Math.round(v + (b[i] - v) * t));
  function ramp(stops) {
    const colours = stops.map(colour);
    return (t) => {
      const at = Math.min(Math.max(t, 0), 1) * (colours.length - 1);
      const low = Math.min(Math.floor(at), colours.length - 2);
      return mix(colours[low], colours[low + 1], at - low);
    };
  }
  function quantile(arrays, q) {
    const all = arrays.flatMap((a) => Array.from(a)).filter((v) => !Number.isNaN(v)).sort((a, b) => a - b);
    return all.length ? all[Math.min(all.length - 1, Math.floor(q * all.length))] : 0;
  }
  const shown = before ? [before, after] : [after];
  const spreadOf = (measures) => Math.min(1, Math.max(0.002, quantile(measures.map((m) => m.device.map((v) => Math.abs(v - 1))), 0.995)));
  let shared = true;  // one colour scale for the GPU maps before and after
  const spread = (m) => spreadOf(shared ? shown : [m]);
  const top = Math.max(0.001, quantile(shown.map((m) => m.share), 0.999));

  let order = null;  // of experts within each layer, or null: by number
  function expertAt(layer, column) { return order ? order[layer][column] : column; }

  // A heat map: value(row, column) in 0..1 of the ramp, NaN = nothing there.
  function draw(canvas, rows, columns, stops, value) {
    const scale = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const left = 30, bottom = 18;
    const rowHeight = Math.max(4, Math.min(14, Math.round(560 / rows)));
    const height = rows * rowHeight + bottom;
    canvas.style.height = height + 'px';
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const pen = canvas.getContext('2d');
    const paint = ramp(stops), none = colour('none');
    const x = (c) => Math.round((left + (width - left) * c / columns) * scale);
    const y = (r) => Math.round(r * rowHeight * scale);
    const gap = (width - left) / columns > 9 ? Math.max(1, Math.round(scale)) : 0;
    for (let r = 0; r < rows; ++r)
      for (let c = 0; c < columns; ++c) {
        const v = value(r, c);
        pen.fillStyle = 'rgb(' + (Number.isNaN(v) ? none : paint(v)).join(',') + ')';
        pen.fillRect(x(c), y(r), x(c + 1) - x(c) - gap, y(r + 1) - y(r) - (gap && rowHeight > 8 ? gap : 0));
      }
    pen.fillStyle = 'rgb(' + colour('soft').join(',') + ')';
    pen.font = 11 * scale + 'px system-ui, sans-serif';
    pen.textAlign = 'right';
    pen.textBaseline = 'middle';
    const everyRow = Math.ceil(14 / rowHeight / 5) * 5;
    for (let r = 0; r < rows; r += rows <= 12 ? 1 : everyRow) pen.fillText(r, (left - 6) * scale, (r + 0.5) * rowHeight * scale);
    pen.textAlign = 'center';
    pen.textBaseline = 'bottom';
    let everyColumn = 1;
    for (const step of [1, 2, 4, 8, 16, 32, 64, 128]) { everyColumn = step; if ((width - left) / columns * step >= 26) break; }
    for (let c = 0; c < columns; c += everyColumn) pen.fillText(c, (x(c) + x(c + 1)) / 2, height * scale);
    canvas.cell = (px, py) => {
      const c = Math.floor((px - left) / (width - left) * columns), r = Math.floor(py / rowHeight);
      return c >= 0 && c < columns && r >= 0 && r < rows ? [r, c] : null;
    };
  }

  const tip = byId('tip');
  function attach(canvas, words) {
    canvas.addEventListener('pointermove', (event) => {
      const cell = canvas.cell && canvas.cell(event.offsetX, event.offsetY);
      tip.hidden = !cell;
      if (!cell) return;
      tip.textContent = words(...cell);
      const box = tip.getBoundingClientRect();
      tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8)) + 'px';
      tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - box.height - 8)) + 'px';
    });
    canvas.addEventListener('pointerleave', () => { tip.hidden = true; });
  }

  function held(m, layer, device) {
    const list = [];
    for (let s = 0; s < m.perLayer; ++s) if (m.deviceOf[s] === device && m.layout.map[layer * m.perLayer + s] >= 0) list.push(m.layout.map[layer * m.perLayer + s]);
    return list.join(', ') || 'none';
  }
  function places(m, layer, expert) {
    const list = [];
    for (let s = 0; s < m.perLayer; ++s) if (m.layout.map[layer * m.perLayer + s] === expert) list.push(m.deviceOf[s]);
    return list.join(', ') || 'none';
  }
  function legend(id, stops, from, to) {
    const gradient = document.createElement('i');
    gradient.style.background = 'linear-gradient(90deg,' + stops.map((s) => 'var(--' + s + ')').join(',') + ')';
    byId(id).replaceChildren(from, gradient, to);
  }
  const maps = [];
  for (const [m, name] of [[before, 'before'], [after, 'after']]) {
    if (!m) continue;
    const gpus = byId('gpus-' + name), list = byId('experts-' + name);
    maps.push(() => {
      const scale = spread(m);
      draw(gpus, layers, m.devices, ['cool', 'middle', 'hot'], (r, c) => (m.device[r * m.devices + c] - 1) / scale / 2 + 0.5);
      legend('gpu-legend-' + name, ['cool', 'middle', 'hot'], number(1 - scale, scale < 0.02 ? 4 : 2) + ' × the mean or less', number(1 + scale, scale < 0.02 ? 4 : 2) + ' × or more');
    });
    attach(gpus, (r, c) => {
      const v = m.device[r * m.devices + c];
      return 'layer ' + r + ', GPU ' + c + '\n' + (Number.isNaN(v) ? 'dead' : number(v, 3) + ' × the mean load') + '\nexperts ' + held(m, r, c);
    });
    maps.push(() => draw(list, layers, experts, ['low', 'mid', 'high'], (r, c) => m.share[r * experts + expertAt(r, c)] / top));
    attach(list, (r, c) => {
      const e = expertAt(r, c), i = r * experts + e;
      return 'layer ' + r + ', expert ' + e + '\n' + number(loads[i], 0) + ' tokens, ' + m.replicas[i] + (m.replicas[i] === 1 ? ' replica' : ' replicas') +
        '\n' + number(m.share[i], 3) + ' × the mean GPU load each\nGPUs ' + places(m, r, e);
    });
  }
  legend('expert-legend', ['low', 'mid', 'high'], '0', number(top, 2) + ' × the mean GPU load, or more, on one replica');
  const redraw = () => maps.forEach((paint) => paint());
  function choose(attribute, act) {
    const buttons = document.querySelectorAll('[data-' + attribute + ']');
    for (const button of buttons)
      button.addEventListener('click', () => {
        act(button.dataset[attribute]);
        for (const other of buttons) other.setAttribute('aria-pressed', String(other === button));
        redraw();
      });
  }
  choose('scale', (name) => { shared = name === 'shared'; });
  choose('order', (name) => {
    order = name === 'load' ? Array.from({ length: layers }, (_, l) =>
      Array.from({ length: experts }, (_, e) => e).sort((a, b) => loads[l * experts + b] - loads[l * experts + a] || a - b)) : null;
  });
  redraw();
  new ResizeObserver(redraw).observe(document.querySelector('main'));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  addEventListener('beforeprint', redraw);

  // The moves, a page at a time.
  const rows = byId('move-rows');
  if (!rows) return;
  const kPage = 100;
  const kinds = ['same GPU', 'same node', 'cross node', 'from storage', 'freed'];
  let page = 0;
  const layerChoice = byId('move-layer'), kindChoice = byId('move-kind');
  for (const l of [...new Set(data.moves.map((m) => m[0]))].sort((a, b) => a - b)) layerChoice.add(new Option('layer ' + l, l));
  kinds.forEach((name, kind) => { if (data.moves.some((m) => m[4] === kind)) kindChoice.add(new Option(name, kind)); });
  const source = before || after;
  function show() {
    const chosen = data.moves.map((m, i) => [i, m]).filter(([, m]) => (layerChoice.value === '' || m[0] === +layerChoice.value) &&
      (kindChoice.value === '' || m[4] === +kindChoice.value));
    const pages = Math.max(1, Math.ceil(chosen.length / kPage));
    page = Math.min(page, pages - 1);
    rows.replaceChildren(...chosen.slice(page * kPage, (page + 1) * kPage).map(([i, m]) => {
      const line = document.createElement('tr');
      const cells = [i + 1, m[0], after.deviceOf[m[1]], m[1], m[2] < 0 ? 'none' : m[2], m[3] < 0 ? 'none' : m[3], m[4] < 3 ? source.deviceOf[m[5]] : '–', kinds[m[4]]];
      cells.forEach((text, at) => { const cell = line.insertCell(); cell.textContent = text; if (at === 7) cell.className = 'text'; });
      return line;
    }));
    byId('move-page').textContent = number(chosen.length, 0) + ' moves, page ' + (page + 1) + ' of ' + pages;
    byId('move-back').disabled = page === 0;
    byId('move-on').disabled = page + 1 === pages;
  }
  for (const choice of [layerChoice, kindChoice]) choice.addEventListener('change', () => { page = 0; show(); });
  byId('move-back').addEventListener('click', () => { --page; show(); });
  byId('move-on').addEventListener('click', () => { ++page; show(); });
  show();
})();
