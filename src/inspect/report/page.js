"use strict";
// Draws what is in #data. A node of the tree is [name, children] for a folder, and
// [name, bytes, compressed, layer] for a file; a layer of -1 stands for several files in one.
const data = JSON.parse(document.getElementById("data").textContent);
const MOST_CELLS = 150, MOST_ROWS = 1000, SEVERAL = -1;
const at = (id) => document.getElementById(id);
let measure = "bytes", sorted = { key: "bytes", down: true };

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0, value = Math.abs(bytes);
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  const digits = unit === 0 ? String(value) : value.toFixed(1);
  return (bytes < 0 ? "−" : "") + digits + " " + units[unit];
}

// A node with its sums, its parent, and the layer that most of it is in.
function node(raw, parent, index) {
  const made = { name: raw[0], parent, index, children: null, files: 1, bytes: 0, compressed: 0, layer: 0 };
  if (!Array.isArray(raw[1])) {
    [, made.bytes, made.compressed, made.layer] = raw;
    return made;
  }
  made.children = raw[1].map((child, nth) => node(child, made, nth));
  made.files = 0;
  const layers = new Map();
  for (const child of made.children) {
    for (const key of ["bytes", "compressed", "files"]) made[key] += child[key];
    layers.set(child.layer, (layers.get(child.layer) || 0) + child.bytes + 1);
  }
  const most = [...layers].sort((a, b) => b[1] - a[1])[0];
  made.layer = most ? most[0] : 0;
  return made;
}
const root = node(data.tree, null, 0);
const hue = (layer) => layer === SEVERAL ? 0 : Math.round(210 + layer * 137.5) % 360;
const layerName = (layer) => layer === SEVERAL ? "several" : String(layer);

// The opened folder is in the address, so that the browser's back button closes it.
function opened() {
  let found = root;
  for (const part of location.hash.slice(1).split("/").filter(Boolean)) {
    const child = found.children && found.children[Number(part)];
    if (!child || !child.children) break;
    found = child;
  }
  return found;
}
function address(target) {
  const parts = [];
  for (let step = target; step.parent; step = step.parent) parts.unshift(step.index);
  return "#" + parts.join("/");
}
// A folder with nothing but a folder in it is passed through, on the way in and out.
function open(target) {
  while (target.children.length === 1 && target.children[0].children) target = target.children[0];
  location.hash = address(target);
}
function close(target) {
  let outer = target.parent;
  while (outer.parent && outer.children.length === 1) outer = outer.parent;
  location.hash = address(outer);
}

// Squarified treemaps (Bruls, Huizing, van Wijk, 2000).
function squarify(items, x, y, width, height) {
  const total = items.reduce((sum, item) => sum + item.area, 0);
  if (!(total > 0 && width > 0 && height > 0)) return [];
  const scale = width * height / total;
  const placed = [];
  let rest = items.map((item) => ({ ...item, area: item.area * scale }));
  while (rest.length > 0) {
    const side = Math.min(width, height);
    let row = [], sum = 0, worst = Infinity;
    for (const item of rest) {
      const next = sum + item.area;
      const most = row.length ? row[0].area : item.area;
      const ratio = Math.max(side * side * most / (next * next), next * next / (side * side * item.area));
      if (row.length > 0 && ratio > worst) break;
      row.push(item); sum = next; worst = ratio;
    }
    rest = rest.slice(row.length);
    const thick = sum / side;
    let along = 0;
    for (const item of row) {
      const long = item.area / thick;
      placed.push(width >= height
        ? { ...item, x, y: y + along, width: thick, height: long }
        : { ...item, x: x + along, y, width: long, height: thick });
      along += long;
    }
    if (width >= height) { x += thick; width -= thick; } else { y += thick; height -= thick; }
  }
  return placed;
}

function drawMap(current) {
  const map = at("map");
  const children = current.children.filter((child) => child[measure] > 0)
    .sort((a, b) => b[measure] - a[measure]);
  const items = children.slice(0, MOST_CELLS).map((child) => ({ node: child, area: child[measure] }));
  const left = children.slice(MOST_CELLS);
  if (left.length > 0) {
    const sum = left.reduce((total, child) => total + child[measure], 0);
    items.push({ node: { name: left.length + " more", children: null, layer: SEVERAL, [measure]: sum }, area: sum });
  }
  map.replaceChildren(...squarify(items, 0, 0, map.clientWidth, map.clientHeight).map((cell, nth) => {
    const { name, layer, children: inner } = cell.node;
    const text = size(cell.node[measure]);
    const button = element("button", { type: "button", title: name + " — " + text, tabIndex: nth === 0 ? 0 : -1 });
    button.setAttribute("aria-label", name + ", " + text + (inner ? ", opens" : ""));
    Object.assign(button.style, {
      left: cell.x + "px", top: cell.y + "px", width: cell.width + "px", height: cell.height + "px",
    });
    button.style.setProperty("--hue", hue(layer));
    if (cell.width > 40 && cell.height > 18) button.append(element("span", {}, name));
    if (cell.width > 40 && cell.height > 36) button.append(element("span", {}, text));
    if (inner) button.onclick = () => open(cell.node);
    else button.dataset.leaf = "";
    return button;
  }));
}

at("map").addEventListener("keydown", (event) => {
  const cells = [...at("map").children];
  const now = cells.indexOf(document.activeElement);
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (step && now >= 0) {
    event.preventDefault();
    const next = cells[(now + step + cells.length) % cells.length];
    cells[now].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  } else if (event.key === "Escape" || event.key === "Backspace") {
    const current = opened();
    if (current.parent) { event.preventDefault(); close(current); }
  }
});

// A table: columns are { name, key, number }, cells come from `row`.
function fill(table, columns, rows, row, sort) {
  table.tHead.replaceChildren(element("tr", {}, ...columns.map((column) => {
    const head = element("th", { scope: "col", className: column.number ? "number" : "" });
    if (!sort || !column.key) { head.append(column.name); return head; }
    if (sort.key === column.key) head.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
    const button = element("button", { type: "button" }, column.name);
    button.dataset.key = column.key;
    button.onclick = () => {
      sorted = { key: column.key, down: sort.key === column.key ? !sort.down : Boolean(column.number) };
      draw();
      table.tHead.querySelector("[data-key=" + column.key + "]").focus();
    };
    head.append(button);
    return head;
  })));
  table.tBodies[0].replaceChildren(...rows.map((item) =>
    element("tr", {}, ...row(item).map((value, nth) =>
      element("td", { className: columns[nth].number ? "number" : columns[nth].wide ? "wide" : "" }, value)))));
}

function drawTable(current) {
  const direction = sorted.down ? -1 : 1;
  const rows = [...current.children].sort((a, b) => {
    const [x, y] = [a[sorted.key], b[sorted.key]];
    return direction * (typeof x === "string" ? x.localeCompare(y) : x - y) || a.name.localeCompare(b.name);
  });
  const columns = [
    { name: current === root ? "Package" : "Name", key: "name", wide: true },
    { name: "Unpacked", key: "bytes", number: true },
    { name: "Compressed", key: "compressed", number: true },
    { name: "Files", key: "files", number: true },
    { name: "Layer", key: "layer", number: true },
  ];
  fill(at("table"), columns, rows.slice(0, MOST_ROWS), (child) => {
    let name = child.name;
    if (child.children) {
      name = element("button", { type: "button" }, child.name);
      name.onclick = () => open(child);
    }
    return [name, size(child.bytes), size(child.compressed), child.files.toLocaleString("en"), layerName(child.layer)];
  }, sorted);
  at("more").textContent = rows.length > MOST_ROWS ? "and " + (rows.length - MOST_ROWS) + " more" : "";
}

function draw() {
  const current = opened();
  const steps = [];
  for (let step = current; step; step = step.parent) steps.unshift(step);
  at("path").replaceChildren(...steps.map((step) => {
    const button = element("button", { type: "button" }, step.parent ? step.name : "all");
    if (step === current) button.setAttribute("aria-current", "location");
    button.onclick = () => { location.hash = address(step); };
    return element("li", {}, button, " " + size(step[measure]));
  }));
  drawMap(current);
  drawTable(current);
}

function drawRest() {
  at("name").textContent = data.name;
  at("facts").textContent = data.facts.join(" · ");
  at("legend").replaceChildren(...data.layers.map((layer, number) => {
    const mark = element("i");
    mark.style.setProperty("--hue", hue(number));
    return element("li", {}, mark, "layer " + number);
  }));
  at("pull").textContent = data.pull;
  const most = Math.max(1, ...data.layers.map((layer) => layer.size));
  const columns = [
    { name: "", number: true }, { name: "Compressed", number: true }, { name: "" },
    { name: "Unpacked", number: true }, { name: "Files", number: true }, { name: "Members", number: true },
    { name: "Codec" }, { name: "Digest, and where from", wide: true },
  ];
  if (data.others.length > 0) columns.push({ name: "Also in", wide: true });
  fill(at("layers").querySelector("table"), columns, data.layers.map((layer, number) => ({ ...layer, number })), (layer) => {
    const bar = element("meter", { max: most, value: layer.size });
    bar.setAttribute("aria-label", size(layer.size));
    const cells = [String(layer.number), size(layer.size), bar, size(layer.bytes), layer.files.toLocaleString("en"),
      layer.members.toLocaleString("en"), layer.codec,
      element("span", {}, element("code", {}, layer.digest.slice(7, 19)), " " + layer.from)];
    return data.others.length > 0 ? [...cells, layer.also.map((nth) => data.others[nth].name).join(", ")] : cells;
  });
  if (data.others.length > 0) {
    at("others").hidden = false;
    fill(at("others").querySelector("table"),
      [{ name: "Image", wide: true }, { name: "Layers", number: true }, { name: "Size", number: true },
        { name: "Shared layers", number: true }, { name: "Shared", number: true }],
      data.others, (other) => [other.name, String(other.layers), size(other.size), String(other.shared), size(other.sharedSize)]);
  }
  const against = data.against;
  if (against) {
    const section = at("against");
    section.hidden = false;
    section.querySelector("h2").textContent = "Changes since " + against.name;
    section.querySelector(".sum").textContent = against.sum;
    if (against.config.length > 0) {
      fill(section.querySelector(".config"), [{ name: "Config" }, { name: "There", wide: true }, { name: "Here", wide: true }],
        against.config, (change) => [change.what, change.a ?? "", change.b ?? ""]);
    }
    if (against.entries.length > 0) {
      fill(section.querySelector(".entries"), [{ name: "Change" }, { name: "Path", wide: true }, { name: "Size", number: true }],
        against.entries, (entry) => [entry[0], entry[1], size(entry[2])]);
    }
    section.querySelector(".rest").textContent = against.rest > 0 ? "and " + against.rest + " more paths" : "";
  }
  if (data.config.length > 0) {
    at("config").hidden = false;
    at("config").querySelector("dl").replaceChildren(...data.config.flatMap(([name, value]) =>
      [element("dt", {}, name), element("dd", {}, value)]));
  }
}

at("measure").addEventListener("change", (event) => { measure = event.target.value; draw(); });
addEventListener("hashchange", () => {
  draw();
  const first = at("map").firstElementChild;
  if (first) first.focus({ preventScroll: true });
});
addEventListener("resize", () => drawMap(opened()));
drawRest();
draw();
