// A flame graph: d3-flame-graph lays it out, draws, zooms and searches; this file gives it the data, the colours, the
// words and the keyboard.
import { flamegraph, select } from "./flamegraph.js";

const CELL = 20;
// Shades of a colour, so that neighbours of one kind stay apart.
const SHADES = 3;

const percent = (part, whole) => (whole > 0 ? `${((100 * part) / whole).toFixed(1)} %` : "");

function duration(micros) {
  const size = Math.abs(micros);
  const [value, unit] =
    size < 1e3 ? [micros, "µs"] : size < 1e6 ? [micros / 1e3, "ms"] : size < 120e6 ? [micros / 1e6, "s"] : [micros / 60e6, "min"];
  return `${unit === "µs" ? Math.round(value) : value.toPrecision(3)} ${unit}`;
}

function shade(name) {
  let hash = 7;
  for (const c of name) hash = (hash * 31 + c.codePointAt(0)) >>> 0;
  return hash % SHADES;
}

// The flat lists of the server as a tree.
function treeOf(picture) {
  const nodes = picture.parent.map((_, at) => ({
    name: picture.names[picture.name[at]],
    kind: picture.kinds[picture.kind[at]],
    value: picture.sum[at],
    own: picture.own[at],
    other: picture.other[at],
    children: [],
  }));
  const roots = [];
  picture.parent.forEach((parent, at) => (parent < 0 ? roots : nodes[parent].children).push(nodes[at]));
  if (roots.length === 1) return roots[0];
  const sum = (of) => roots.reduce((total, root) => total + of(root), 0);
  return { name: "all", kind: "root", value: sum((r) => r.value), own: 0, other: sum((r) => r.other ?? 0), children: roots };
}

export async function show(section) {
  const find = (name) => section.querySelector(`.flame-${name}`);
  const [chartAt, details, path, found] = ["chart", "details", "path", "found"].map(find);
  const isComparison = section.dataset.compare === "yes";
  let picture;
  try {
    const answer = await fetch(section.dataset.src);
    if (!answer.ok) throw new Error(`the viewer answered ${answer.status}`);
    picture = await answer.json();
  } catch (error) {
    chartAt.textContent = `The graph cannot be loaded: ${error.message}`;
    return;
  }

  // A comparison is of the mean trace of each side.
  const mean = (micros, side) => micros / Math.max(1, picture.traces[side]);
  const more = (data) => mean(data.value, 0) - mean(data.other ?? 0, 1);
  const whole = picture.total[0];

  function color(node) {
    if (node.highlight) return "var(--k-found)";
    const data = node.data;
    if (!isComparison) return `var(--k-${data.kind}-${shade(data.name)})`;
    const change = more(data) / Math.max(mean(whole, 0), mean(picture.total[1], 1), 1);
    // What changed by a quarter of the whole has the full colour.
    const strength = Math.min(100, Math.round(Math.sqrt(Math.min(1, Math.abs(change) * 4)) * 100));
    return `color-mix(in srgb, var(--k-${change > 0 ? "more" : "less"}) ${strength}%, var(--k-same))`;
  }

  function describe(data) {
    if (isComparison) {
      const change = more(data);
      return `${data.name} — ${duration(mean(data.value, 0))} a trace, on the other side ${duration(mean(data.other ?? 0, 1))}: ${change > 0 ? "+" : ""}${duration(change)}`;
    }
    return `${data.name} — total ${duration(data.value)} (${percent(data.value, whole)}), own ${duration(data.own)} (${percent(data.own, whole)})`;
  }

  const width = () => Math.max(280, Math.floor(chartAt.getBoundingClientRect().width));
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let zoomed = null;
  let cursor = null;
  let chart = null;

  function setPath(node) {
    zoomed = node;
    const steps = [];
    for (let step = node; step; step = step.parent) steps.unshift(step);
    path.replaceChildren(
      ...steps.flatMap((step, at) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = step.data.name;
        button.disabled = at === steps.length - 1;
        button.addEventListener("click", () => zoomTo(step));
        return at > 0 ? [document.createTextNode(" › "), button] : [button];
      }),
    );
    path.hidden = steps.length < 2;
  }

  const zoomTo = (node) => chart.zoomTo(node);

  // Roots above what is zoomed stay in sight, faded; others have no width.
  const isShown = (node) => node.x1 - node.x0 > 0 && !node.data.hide;

  function point(node) {
    cursor = node;
    details.textContent = describe(node.data);
    const data = node.data;
    select(chartAt).selectAll("g.frame").classed("is-cursor", (other) => other?.data === data);
  }

  const moves = {
    ArrowUp: (node) => (node.children ?? []).filter(isShown).sort((a, b) => b.value - a.value)[0],
    ArrowDown: (node) => node.parent,
    ArrowLeft: (node) => beside(node, -1),
    ArrowRight: (node) => beside(node, 1),
  };

  function beside(node, step) {
    const siblings = (node.parent?.children ?? [node]).filter(isShown).sort((a, b) => a.x0 - b.x0);
    return siblings[siblings.indexOf(node) + step];
  }

  chartAt.addEventListener("keydown", (event) => {
    if (moves[event.key]) {
      point(moves[event.key](cursor ?? zoomed) ?? cursor ?? zoomed);
    } else if (event.key === "Enter" && cursor) {
      zoomTo(cursor);
    } else if (event.key === "Escape") {
      chart.resetZoom();
    } else {
      return;
    }
    event.preventDefault();
  });

  // The chart knows its width when it is made, and would take a laid-out tree for none: it is made anew.
  function draw() {
    chartAt.replaceChildren();
    chart = flamegraph()
      .width(width())
      .cellHeight(CELL)
      .minFrameSize(0.4)
      .transitionDuration(isCalm ? 0 : 200)
      .selfValue(false)
      .sort(false)
      .label((node) => describe(node.data))
      .setColorMapper(color)
      .onClick(setPath)
      .onHover(point)
      .setSearchMatch((node, term) => node.data.name.toLowerCase().includes(term.toLowerCase()))
      .setSearchHandler((results, sum, total) => {
        found.textContent = `${results.length} found, ${percent(sum, total)} of the time`;
      });
    const tree = treeOf(picture);
    select(chartAt).datum(tree).call(chart);
    const root = select(chartAt).datum();
    cursor = null;
    setPath(root);
    search();
  }

  function search() {
    const term = find("search").value.trim();
    if (term) {
      chart.search(term);
    } else {
      chart.clear();
      found.textContent = picture.hidden > 0 ? `${picture.hidden} smaller frames are not drawn` : "";
    }
  }

  find("search").addEventListener("input", search);
  find("reset").addEventListener("click", () => chart.resetZoom());
  chartAt.addEventListener("mouseleave", () => cursor && select(chartAt).selectAll("g.is-cursor").classed("is-cursor", false));
  draw();
  let drawnWidth = width();
  new ResizeObserver(() => {
    if (Math.abs(width() - drawnWidth) > 4) {
      drawnWidth = width();
      draw();
    }
  }).observe(section);
}
