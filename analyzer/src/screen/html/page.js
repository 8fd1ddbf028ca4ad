'use strict';
// Sorting: a click on the head of a column.
const UNITS = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, '%': 1 };
function valueOf(cell) {
  if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
  const found = /^([-+]?[\d.]+)\*?(?: (ns|us|ms|s|%))?$/.exec(cell.textContent.trim());
  return found ? Number(found[1]) * (UNITS[found[2]] ?? 1) : null;
}
function sort(table, head) {
  const descends = head.getAttribute('aria-sort') !== 'descending';
  const column = head.cellIndex;
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({ row, text: row.cells[column].textContent, value: valueOf(row.cells[column]) }));
  rows.sort((a, b) => {
    const order = a.value !== null && b.value !== null ? a.value - b.value
      : a.value !== null ? 1 : b.value !== null ? -1 : a.text.localeCompare(b.text);
    return descends ? -order : order;
  });
  body.append(...rows.map(({ row }) => row));
  for (const other of head.parentNode.cells) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', descends ? 'descending' : 'ascending');
}
for (const table of document.querySelectorAll('table.sortable')) {
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement('button');
    button.append(...head.childNodes);
    button.addEventListener('click', () => sort(table, head));
    head.append(button);
  }
}
// The values under the pointer, or under the cursor that the arrow keys move, are those of the table behind a plot.
const shown = document.getElementById('shown');
function show(plot, at) {
  const { left, right, count } = plot.dataset;
  const table = plot.closest('figure').querySelector('table.values');
  const row = table.tBodies[0].rows[at];
  if (!row) return;
  plot.dataset.at = at;
  const x = Number(left) + (Number(right) - Number(left)) * (at + 0.5) / Number(count);
  plot.querySelector('.cursor').setAttribute('d', `M${x} 20V164`);
  const heads = table.tHead.rows[0].cells;
  shown.textContent = [...row.cells].map((cell, column) => {
    const exact = cell.dataset.v !== undefined && cell.textContent !== cell.dataset.v ? ` (${cell.dataset.v})` : '';
    return `${heads[column].textContent} ${cell.textContent}${exact}`;
  }).join(', ');
  shown.hidden = false;
}
function hide(plot) {
  plot.querySelector('.cursor').setAttribute('d', '');
  shown.hidden = true;
}
for (const plot of document.querySelectorAll('svg.plot')) {
  const count = Number(plot.dataset.count);
  const place = (at) => Math.max(0, Math.min(count - 1, at));
  plot.addEventListener('pointermove', (event) => {
    const box = plot.getBoundingClientRect();
    const x = (event.clientX - box.left) * plot.viewBox.baseVal.width / box.width;
    const share = (x - plot.dataset.left) / (plot.dataset.right - plot.dataset.left);
    show(plot, place(Math.floor(share * count)));
  });
  plot.addEventListener('pointerleave', () => hide(plot));
  plot.addEventListener('blur', () => hide(plot));
  plot.addEventListener('keydown', (event) => {
    const at = Number(plot.dataset.at ?? 0);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: count - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(plot, place(to));
  });
}
