// The parts of D3 that the page uses, and no more.
export { default as flamegraph } from "d3-flame-graph";
export { select } from "d3-selection";
