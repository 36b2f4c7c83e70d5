"use strict";

// Tables: a click on a column's name sorts by it, a second click the other way round.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button")?.addEventListener("click", () => {
      const downwards = head.getAttribute("aria-sort") === "ascending";
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        const order = x !== "" && y !== "" && !isNaN(x) && !isNaN(y) ? x - y : x.localeCompare(y);
        return downwards ? -order : order;
      });
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", downwards ? "descending" : "ascending");
      table.tBodies[0].append(...rows);
    });
  });
}

// The matrix: zoomed by buttons and keys, moved by dragging and arrows, read by pointing.
for (const tools of document.querySelectorAll("[data-matrix]")) {
  const frame = document.getElementById(tools.dataset.matrix);
  const svg = frame.querySelector("svg");
  const readout = tools.querySelector("output");
  const whole = svg.viewBox.baseVal;
  const [fullWidth, fullHeight] = [whole.width, whole.height];
  let [x, y, zoom] = [0, 0, 1];

  const show = () => {
    const [width, height] = [fullWidth / zoom, fullHeight / zoom];
    x = Math.min(Math.max(x, 0), fullWidth - width);
    y = Math.min(Math.max(y, 0), fullHeight - height);
    svg.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
    frame.classList.toggle("zoomed", zoom > 1);
  };
  const zoomBy = (factor, atX = 0.5, atY = 0.5) => {
    const next = Math.min(Math.max(zoom * factor, 1), 16);
    x += (fullWidth / zoom - fullWidth / next) * atX;
    y += (fullHeight / zoom - fullHeight / next) * atY;
    zoom = next;
    show();
  };
  const moveBy = (right, down) => {
    x += (right * fullWidth) / zoom;
    y += (down * fullHeight) / zoom;
    show();
  };
  const shareOf = (event) => {
    const box = svg.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };

  const actions = { in: () => zoomBy(2), out: () => zoomBy(0.5), all: () => zoomBy(1 / 16) };
  for (const button of tools.querySelectorAll("button")) {
    button.addEventListener("click", actions[button.dataset.zoom]);
  }
  const keys = {
    "+": actions.in, "=": actions.in, "-": actions.out, 0: actions.all,
    ArrowLeft: () => moveBy(-0.15, 0), ArrowRight: () => moveBy(0.15, 0),
    ArrowUp: () => moveBy(0, -0.15), ArrowDown: () => moveBy(0, 0.15),
  };
  frame.addEventListener("keydown", (event) => {
    if (keys[event.key] && (zoom > 1 || !event.key.startsWith("Arrow"))) {
      keys[event.key]();
      event.preventDefault();
    }
  });
  svg.addEventListener("dblclick", (event) => zoomBy(2, ...shareOf(event)));
  let held = null;
  svg.addEventListener("pointerdown", (event) => { held = zoom > 1 ? shareOf(event) : null; });
  svg.addEventListener("pointermove", (event) => {
    const tip = event.target.querySelector?.(":scope > title")?.textContent;
    if (tip && event.target !== svg) readout.textContent = tip;
    if (held && event.buttons) {
      const now = shareOf(event);
      moveBy(held[0] - now[0], held[1] - now[1]);
      held = now;
    }
  });
  window.addEventListener("pointerup", () => { held = null; });
}
